"""The whole story in a real browser, on the example project as it is run for real."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .sites import Site
from .visitors import TURN, Cable, expect_step, expect_the_same, fill_in, log_in, mark, open_mail, sign_up, timeline_on

pytestmark = pytest.mark.browser

STORY = [
    ("TimelineStarted", ""),
    ("StepCalled", "register"),
    ("AttemptStarted", "register"),
    ("StepCompleted", "register"),
    ("StepDue", "open_account"),
    ("AttemptStarted", "open_account"),
    ("StepCompleted", "open_account"),
    ("StepDue", "send_activation_link"),
    ("AttemptStarted", "send_activation_link"),
    ("StepCompleted", "send_activation_link"),
    ("StepDue", "activate"),
    ("StepCalled", "activate"),
    ("AttemptStarted", "activate"),
    ("StepCompleted", "activate"),
    ("StepNotTaken", "expire"),
    ("StepDue", "start_onboarding"),
    ("AttemptStarted", "start_onboarding"),
    ("StepCompleted", "start_onboarding"),
    ("TimelineCompleted", ""),
]
INTERRUPTION = [("AttemptInterrupted", "send_activation_link"), ("AttemptStarted", "send_activation_link")]


def test_the_story_on_sqlite_with_the_embedded_worker(demo: Site, browser: Browser, context: BrowserContext) -> None:
    page = context.new_page()
    demo.stall_file.touch()
    timeline = begin(page, demo, "embedded@example.org")

    demo.stall_file.unlink()
    finish(page, demo, "embedded@example.org")

    assert demo.events(timeline) == STORY
    expect_in_admin(browser, demo, timeline)


@pytest.mark.postgres
@pytest.mark.redis
def test_the_story_on_postgres_and_redis_with_a_worker_killed_in_the_middle(
    production: Site, browser: Browser, context: BrowserContext
) -> None:
    page = context.new_page()
    production.stall_file.touch()
    timeline = begin(page, production, "killed@example.org")

    production.kill_runner_of(timeline, "send_activation_link")
    production.stall_file.unlink()
    finish(page, production, "killed@example.org")

    interrupted = STORY.index(("StepCompleted", "send_activation_link"))
    assert production.events(timeline) == STORY[:interrupted] + INTERRUPTION + STORY[interrupted:]
    expect_in_admin(browser, production, timeline)


def test_the_story_without_javascript(demo: Site, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        demo.stall_file.touch()
        timeline = begin(page, demo, "plain@example.org")

        demo.stall_file.unlink()
        expect_step(page, "activate", "Waiting")  # the page reloads itself
        expect(page.locator("#next")).to_contain_text("We sent a link to plain@example.org")
        open_mail(page, demo.address, "plain@example.org")
        page.get_by_role("button", name="Activate").click()
        assert timeline_on(page) == timeline
        page.get_by_role("link", name="Open your account").click(timeout=TURN)

        expect(page.get_by_text("First steps")).to_be_visible()
        assert demo.events(timeline) == STORY


def test_a_page_whose_socket_was_cut_catches_up(demo: Site, browser: Browser, context: BrowserContext) -> None:
    page = context.new_page()
    cable = Cable(page)
    timeline = sign_up(page, demo.address, "cut@example.org")
    section = page.locator("[data-timelines]")
    expect(section).to_have_attribute("data-timelines-state", "live")
    expect_step(page, "activate", "Waiting")  # the mail has gone out, and the page knows it
    mark(page)

    cable.cut()
    expect(section).not_to_have_attribute("data-timelines-state", "live")
    with browser.new_context() as elsewhere:  # the visitor reads the mail on another device
        other = elsewhere.new_page()
        open_mail(other, demo.address, "cut@example.org")
        other.get_by_role("button", name="Activate").click()
        expect_step(other, "start_onboarding", "Completed")
    expect_step(page, "activate", "Waiting")
    cable.mend()

    expect_step(page, "start_onboarding", "Completed")
    expect(page.get_by_role("link", name="Open your account")).to_be_visible()
    expect_the_same(page)
    assert demo.events(timeline) == STORY


def test_a_double_click_is_one_sign_up(demo: Site, page: Page) -> None:
    page.goto(f"{demo.address}/sign-up/")
    fill_in(page, "twice@example.org", "long enough")

    page.get_by_role("button", name="Sign up").dblclick()

    expect_step(page, "activate", "Waiting")
    page.goto(f"{demo.address}/outbox/")
    expect(page.locator("article", has_text="twice@example.org")).to_have_count(1)


def test_a_link_that_was_cut_off_or_used_says_so(demo: Site, page: Page) -> None:
    sign_up(page, demo.address, "links@example.org")
    open_mail(page, demo.address, "links@example.org")
    link = page.url
    page.get_by_role("button", name="Activate").click()
    expect_step(page, "start_onboarding", "Completed")

    for wrong in (link, f"{link[:-5]}/"):
        page.goto(wrong)
        expect(page.get_by_role("heading", name="This link cannot be followed")).to_be_visible()
        expect(page.get_by_role("button")).to_have_count(0)


def begin(page: Page, site: Site, email: str) -> str:
    """From the index to the visitor's page, on which the mail is being sent; return the timeline's id."""
    page.goto(site.address)
    page.get_by_role("main").get_by_role("link", name="Sign up").click()
    fill_in(page, "nobody", "short")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_text("Enter a valid email address.")).to_be_visible()
    expect(page.get_by_text("Ensure this value has at least 8 characters")).to_be_visible()

    fill_in(page, email, "long enough")
    page.get_by_role("button", name="Sign up").click()
    timeline = timeline_on(page)
    expect_step(page, "open_account", "Completed")
    expect_step(page, "send_activation_link", "Running")
    return timeline


def finish(page: Page, site: Site, email: str) -> None:
    """From there to the account, the visitor's page being open all the time."""
    mark(page)
    expect_step(page, "activate", "Waiting")
    expect(page.locator("#next")).to_contain_text(f"We sent a link to {email}")
    expect(page.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live")

    mail = page.context.new_page()
    open_mail(mail, site.address, email)
    expect_step(page, "activate", "Waiting")  # looking at the link spends nothing
    mail.get_by_role("button", name="Activate").click()
    expect_step(mail, "start_onboarding", "Completed")

    expect_step(page, "start_onboarding", "Completed")
    expect_the_same(page)
    page.get_by_role("link", name="Open your account").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_text(f"Welcome, {email}")).to_be_visible()
    expect(page.get_by_text("First steps")).to_be_visible()


def expect_in_admin(browser: Browser, site: Site, timeline: str) -> None:
    """Expect that staff sees the same timeline, to the last event."""
    with log_in(browser, site.address) as staff:
        page = staff.new_page()
        page.goto(f"{site.address}/admin/django_timelines/timeline/")
        page.locator(f'a[href*="{timeline}"]').first.click()
        events = page.locator('[id^="event-"]')
        expect(events).to_have_count(len(site.events(timeline)))
        expect(events.filter(has_text="Timeline started")).to_be_visible()
        expect(events.filter(has_text="Timeline completed")).to_be_visible()
