"""The admin in a real browser, under a strict content security policy."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from django_timelines.testing import drain, recorded_errors
from tests.admin.conftest import LIST, a_parcel, page_of
from tests.admin.workflows import Parcel
from tests.shop.workflows import Supper

from .live_site import LiveSite
from .visitors import contrasts_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PATIENCE = 60_000  # ms
WORKFLOWS = f"{LIST}workflows/"
PARCEL = f"{WORKFLOWS}workflows.Parcel/"


def let_in(context: BrowserContext, site: LiveSite) -> None:
    """Make it the browser of a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("grace"))
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site.address}])


@pytest.fixture
def admin(context: BrowserContext, page: Page, site: LiveSite) -> Page:
    let_in(context, site)
    page.add_init_script(
        "window.forbidden = [];"
        "document.addEventListener('securitypolicyviolation', event => forbidden.push(event.violatedDirective))"
    )
    return page


def test_the_page_changes_by_itself_and_what_was_opened_stays_open(admin: Page, site: LiveSite) -> None:
    parcel = a_parcel("The scales are broken.")
    admin.goto(site.address + page_of(parcel))
    expect(admin.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)
    standing = admin.locator("#timelines-page").get_by_role("status")
    expect(standing).to_contain_text("Blocked")
    admin.locator("#event-2 summary, #event-8 summary, #event-7 summary").first.click()
    admin.evaluate("window.isTheSame = true")

    parcel.weigh.skip(reason="Weighed by hand.")
    drain()

    expect(standing).to_contain_text("Waiting", timeout=PATIENCE)
    expect(admin.locator("#event-9")).to_contain_text("Weighed by hand.")
    expect(admin.locator("#events details[open]")).to_have_count(1)
    expect(admin.get_by_role("button", name="Retry “Weigh”")).to_have_count(0)
    assert admin.evaluate("window.isTheSame") is True
    assert admin.evaluate("window.forbidden") == []


def test_the_page_of_a_parent_changes_when_a_child_moves(admin: Page, site: LiveSite) -> None:
    supper = Supper.start(guest="Ada", dishes=[])
    drain()
    admin.goto(site.address + page_of(supper))
    expect(admin.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)
    admin.evaluate("window.isTheSame = true")

    Supper.get(supper.pk).bill.child.timeline.pause(reason="the till is closed")

    family = admin.get_by_role("region", name="Family")
    expect(family.get_by_role("row", name="Bill")).to_contain_text("Paused", timeout=PATIENCE)
    assert admin.evaluate("[window.isTheSame, window.forbidden]") == [True, []]


def test_a_blocked_step_is_retried_by_keyboard_alone(admin: Page, site: LiveSite) -> None:
    parcel = a_parcel("The scales are broken.")
    admin.goto(site.address + page_of(parcel))

    admin.get_by_role("button", name="Retry “Weigh”").press("Enter")
    expect(admin.get_by_role("heading", name="Try “Weigh” again?")).to_be_visible()
    admin.get_by_label("Reason (optional)").fill("The scales are mended.")
    admin.get_by_role("button", name="Retry").press("Enter")

    expect(admin.locator(".messagelist")).to_contain_text("“Weigh” is tried again. It is due now.")
    expect(admin.locator("#event-9")).to_contain_text("The scales are mended.")
    assert admin.evaluate("window.forbidden") == []
    with recorded_errors():
        drain()
    expect(admin.locator("#timelines-page").get_by_role("status")).to_contain_text("attempt 2", timeout=PATIENCE)


def test_a_box_of_the_diagram_leads_to_its_row_by_keyboard_and_changes_with_the_page(
    admin: Page, site: LiveSite
) -> None:
    parcel = a_parcel("The scales are broken.")
    admin.goto(site.address + page_of(parcel))
    box = admin.locator('[data-box="weigh"]')
    expect(admin.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)

    admin.get_by_role("link", name="Weigh: blocked. Runs by itself.").press("Enter")
    expect(admin).to_have_url(f"{site.address}{page_of(parcel)}#step-2")
    expect(box).to_have_class("timelines-box timelines-is-blocked")
    parcel.weigh.skip(reason="Weighed by hand.")
    drain()

    expect(box).to_have_class("timelines-box timelines-is-skipped", timeout=PATIENCE)
    expect(admin.locator('.timelines-walked[data-from="weigh"]')).to_have_count(1)
    assert admin.evaluate("window.forbidden") == []


def test_a_box_of_a_workflow_leads_to_its_row_and_on_to_its_timelines_by_keyboard(admin: Page, site: LiveSite) -> None:
    parcel = a_parcel("The scales are broken.")
    a_parcel()
    admin.goto(site.address + PARCEL)

    admin.get_by_role("link", name="Weigh: 1 blocked. Runs by itself. After Pack").press("Enter")
    expect(admin).to_have_url(f"{site.address}{PARCEL}#step-2")
    admin.locator("#step-2").get_by_role("link", name="Blocked 1").press("Enter")

    expect(admin.locator("#result_list tbody tr")).to_have_count(1)
    expect(admin.locator("#result_list")).to_contain_text(str(parcel.pk)[:18])


def test_a_diagram_that_is_too_large_begins_where_the_timeline_stands(admin: Page, site: LiveSite) -> None:
    parcel = a_parcel()
    admin.set_viewport_size({"width": 390, "height": 300})

    admin.goto(site.address + page_of(parcel))

    expect(admin.locator('[data-box="hand_over"]')).to_have_class("timelines-box timelines-is-waiting")
    admin.wait_for_function("document.querySelector('.timelines-room').scrollTop > 0")
    room, box = (admin.locator(one).bounding_box() for one in (".timelines-room", '[data-box="hand_over"]'))
    assert room
    assert box
    assert room["y"] <= box["y"]
    assert box["y"] + box["height"] <= room["y"] + room["height"]


def test_without_a_script_the_verbs_work_and_a_link_reloads(browser: Browser, site: LiveSite) -> None:
    context = browser.new_context(java_script_enabled=False)
    let_in(context, site)
    page = context.new_page()
    parcel = a_parcel()
    page.goto(site.address + page_of(parcel))

    page.get_by_role("button", name="Cancel timeline").click()
    page.get_by_label("Reason").fill("Not wanted any more.")
    page.get_by_role("button", name="Cancel timeline").click()
    expect(page.locator(".messagelist")).to_contain_text("The timeline is cancelled.")

    other = a_parcel()
    page.goto(site.address + page_of(other))
    other.hand_over()
    drain()
    page.get_by_role("link", name="Reload").click()
    expect(page.locator("#timelines-page").get_by_role("status")).to_contain_text("Completed")
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_word_can_be_read_in_both_themes(admin: Page, site: LiveSite, theme: str) -> None:
    blocked, retrying, done = a_parcel("broken"), a_parcel("again"), a_parcel()
    done.hand_over()
    drain()
    Parcel.start(name="one")
    skipped = a_parcel("broken")
    skipped.weigh.skip(reason="By hand.")
    admin.emulate_media(color_scheme=theme)

    contrasts = []
    for path in (LIST, WORKFLOWS, PARCEL, *map(page_of, (blocked, retrying, done, skipped))):
        admin.goto(site.address + path)
        contrasts += contrasts_of(admin, ".timelines-badge, .timelines-quiet, .timelines-message")

    assert len(contrasts) > 50
    assert [(word, ratio) for word, ratio in contrasts if ratio < 4.5] == []  # WCAG 2.2, level AA
    assert admin.evaluate("window.forbidden") == []


def test_a_long_name_breaks_and_moves_no_column_out_of_sight(admin: Page, site: LiveSite) -> None:
    parcel = a_parcel(key="Straßenverkehrszulassungsordnung" * 3)
    admin.set_viewport_size({"width": 1200, "height": 800})

    for path, wide in (
        (page_of(parcel), ".timelines-steps-table"),
        (LIST, ".results"),
        (WORKFLOWS, ".timelines-table"),
    ):
        admin.goto(site.address + path)
        assert admin.evaluate("document.documentElement.scrollWidth") <= 1200
        assert admin.locator(wide).evaluate("one => one.scrollWidth <= one.clientWidth"), path


def test_on_a_phone_only_the_tables_scroll(admin: Page, site: LiveSite) -> None:
    parcel = a_parcel("The_scales_are_broken" * 20)
    admin.set_viewport_size({"width": 400, "height": 800})

    for path in (page_of(parcel), WORKFLOWS, PARCEL):
        admin.goto(site.address + path)
        assert admin.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_diagram_reads_the_same_on_a_page_from_right_to_left(admin: Page, site: LiveSite) -> None:
    parcel = a_parcel()
    admin.goto(site.address + page_of(parcel))

    admin.evaluate("document.documentElement.dir = 'rtl'")

    outside = admin.locator(".timelines-box").evaluate_all(
        """boxes => boxes.filter(box => {
          const front = box.querySelector('.timelines-front').getBoundingClientRect();
          return [...box.querySelectorAll('.timelines-name, .timelines-said')].some(
            text => text.getBoundingClientRect().left < front.left || text.getBoundingClientRect().right > front.right) })
          .map(box => box.dataset.box)"""
    )
    assert outside == []


def test_buttons_look_like_buttons_in_the_readers_own_colours(admin: Page, site: LiveSite) -> None:
    parcel = a_parcel("The scales are broken.")
    admin.emulate_media(forced_colors="active")
    admin.goto(site.address + page_of(parcel))

    buttons = admin.locator("#timelines-page .button:visible").evaluate_all(
        "buttons => buttons.map(one => [one.textContent, getComputedStyle(one).borderStyle])"
    )

    assert len(buttons) > 3
    assert [text for text, style in buttons if style != "solid"] == []
