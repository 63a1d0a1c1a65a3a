"""The guided form in a real browser, on the example project as it is run for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from . import sites
from .sites import Site
from .visitors import TURN, expect_step, expect_the_same, mark, open_mail

pytestmark = pytest.mark.browser

STEPS = ["begin", "select_amount", "enter_details", "send_verification", "verify_address", "pay", "charge", "thank"]


@pytest.fixture
def new_demo(tmp_path: Path) -> Iterator[Site]:
    """One for a test which counts what was given."""
    with sites.demo(tmp_path) as site:
        yield site


def test_somebody_gives_on_sqlite_with_the_embedded_worker(new_demo: Site, context: BrowserContext) -> None:
    give(context, new_demo, "embedded@example.org")


@pytest.mark.postgres
@pytest.mark.redis
def test_somebody_gives_on_postgres_and_redis_with_rq_workers(production: Site, context: BrowserContext) -> None:
    give(context, production, "rq@example.org")


def test_somebody_gives_without_javascript(demo: Site, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        timeline = begin(page, demo)
        choose(page, "5")
        enter(page, "Ada", "plain@example.org")
        expect_step(page, "verify_address", "Waiting")
        open_mail(page, demo.address, "plain@example.org")
        page.get_by_role("button", name="Verify address").click()
        page.get_by_role("button", name="Pay €5").click(timeout=TURN)

        expect(page.get_by_role("heading", name="Thank you, Ada!")).to_be_visible(timeout=TURN)
        assert completed(demo, timeline) == STEPS


def test_somebody_gives_by_keyboard_alone(demo: Site, page: Page) -> None:
    page.goto(f"{demo.address}/donate/")
    press(page, "A roof for the library")
    expect(page.get_by_role("button", name="Give")).to_be_visible()
    press(page, "Give")
    timeline = timeline_on(page)
    focus(page, lambda: page.evaluate("document.activeElement.type") == "radio")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="€10. Who are you?")).to_be_visible()
    focus(page, lambda: page.evaluate("document.activeElement.name") == "name")
    page.keyboard.type("Ada")
    page.keyboard.press("Tab")
    page.keyboard.type("keys@example.org")
    page.keyboard.press("Enter")

    expect_step(page, "verify_address", "Waiting")
    assert completed(demo, timeline)[:3] == STEPS[:3]


def test_the_back_button_leads_to_where_things_stand(demo: Site, page: Page) -> None:
    timeline = begin(page, demo)
    choose(page, "30")
    expect(page.get_by_label("Your name")).to_be_visible()

    page.go_back()  # to the page on which the amount was chosen

    expect(page.get_by_label("Your name")).to_be_visible()
    enter(page, "Ada", "back@example.org")
    expect_step(page, "verify_address", "Waiting")
    assert [step for _type, step in demo.events(timeline) if _type == "StepCalled"] == STEPS[:3]


def test_going_back_to_the_beginning_and_giving_again_is_another_donation(demo: Site, page: Page) -> None:
    first = begin(page, demo)
    page.go_back()
    page.get_by_role("button", name="Give").click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()

    assert timeline_on(page) != first


def test_a_double_click_gives_once(demo: Site, page: Page) -> None:
    page.goto(f"{demo.address}/donate/")
    page.get_by_role("link", name="Trees").click()
    page.get_by_role("button", name="Give").dblclick()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    timeline = timeline_on(page)
    page.get_by_label("10", exact=True).check()
    page.get_by_role("button", name="Continue").dblclick()
    expect(page.get_by_label("Your name")).to_be_visible()

    assert [step for type, step in demo.events(timeline) if type == "StepCalled"] == STEPS[:2]


def test_a_second_tab_goes_on_by_itself_and_keeps_what_was_chosen_there(demo: Site, context: BrowserContext) -> None:
    page, second, third = context.new_page(), context.new_page(), context.new_page()
    timeline = begin(page, demo)
    for tab in (second, third):
        tab.goto(page.url)
        expect(tab.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=TURN)
        mark(tab)
    third.get_by_label("50", exact=True).check()

    choose(page, "5")

    expect(second.get_by_label("Your name")).to_be_visible(timeout=TURN)
    expect_the_same(second)
    expect_step(third, "enter_details", "Waiting")
    expect(third.get_by_text("This has gone on meanwhile.")).to_be_visible(timeout=TURN)
    expect(third.get_by_label("50", exact=True)).to_be_checked()
    third.get_by_role("button", name="Continue").click()
    expect(third.get_by_role("alert").first).to_contain_text("“select amount” is done already.")
    expect(third.get_by_label("Your name")).to_be_visible()
    assert (
        demo.ask("SELECT fields FROM django_timelines_timeline WHERE id = '{}'", timeline)[0][0].count('"amount":5')
        == 1
    )


def test_the_address_cannot_be_verified_without_its_link(demo: Site, page: Page) -> None:
    begin(page, demo)
    choose(page, "5")
    enter(page, "Eve", "somebody.else@example.org")
    expect_step(page, "verify_address", "Waiting")

    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)


def test_a_campaign_that_closed_meanwhile_takes_nothing(demo: Site, page: Page) -> None:
    page.goto(f"{demo.address}/donate/")
    page.get_by_role("link", name="The lighthouse lamp").click()
    expect(page.get_by_text("This campaign is closed")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)


def give(context: BrowserContext, site: Site, email: str) -> None:
    """The whole story, the visitor's page being open all the time after the address was given."""
    page = context.new_page()
    site.stall_file.touch()
    timeline = begin(page, site)
    choose(page, "30")
    enter(page, "Ada", "nobody")
    expect(page.get_by_text("Enter a valid email address.")).to_be_visible()
    enter(page, "Ada", email)
    expect(page.get_by_text(f"A mail is on its way to {email}")).to_be_visible()
    mark(page)

    site.stall_file.unlink()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible(timeout=TURN)
    mail = context.new_page()
    open_mail(mail, site.address, email)
    mail.get_by_role("button", name="Verify address").click()

    page.get_by_role("button", name="Pay €30").wait_for(timeout=TURN)
    expect_the_same(page)
    page.get_by_role("button", name="Pay €30").click()
    expect(page.get_by_role("heading", name="Thank you, Ada!")).to_be_visible(timeout=TURN)
    expect(mail.get_by_role("heading", name="Thank you, Ada!")).to_be_visible(timeout=TURN)
    expect(page.get_by_text("PAY-000001")).to_be_visible()
    assert completed(site, timeline) == STEPS
    page.get_by_role("link", name="See the campaign").click()
    expect(page.get_by_text("€30 so far")).to_be_visible()


def begin(page: Page, site: Site) -> str:
    """From the index to the first form; return the timeline's id."""
    page.goto(site.address)
    page.get_by_role("main").get_by_role("link", name="The donor").click()
    page.get_by_role("link", name="A roof for the library").click()
    page.get_by_role("button", name="Give").click()
    return timeline_on(page)


def choose(page: Page, euros: str) -> None:
    """Choose an amount."""
    page.get_by_role("radio", name=euros, exact=True).check()
    page.get_by_role("button", name="Continue").click()


def enter(page: Page, name: str, email: str) -> None:
    """Say who gives. The browser's own checks are switched off: the server's are seen."""
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Email address").fill(email)
    page.locator("form[data-timelines-form]").evaluate("form => form.noValidate = true") if "@" not in email else None
    page.get_by_role("button", name="Continue").click()


def timeline_on(page: Page) -> str:
    """Return the id of the timeline whose page this is."""
    expect(page.get_by_role("heading", name="Your donation")).to_be_visible()
    return PurePosixPath(urlsplit(page.url).path).name


def completed(site: Site, timeline: str) -> list[str]:
    """Return the steps that were completed, in that order, each as often as it was."""
    return [step for type, step in site.events(timeline) if type == "StepCompleted"]


def press(page: Page, name: str) -> None:
    """Go to something by the Tab key and press it."""
    focus(page, lambda: page.evaluate("document.activeElement.textContent.trim()") == name)
    page.keyboard.press("Enter")


def focus(page: Page, is_there: Callable[[], bool]) -> None:
    """Press Tab until it is there."""
    for _press in range(20):
        page.keyboard.press("Tab")
        if is_there():
            return
    raise AssertionError("the Tab key does not lead there")
