"""The form on a timeline's page in a real browser, while the timeline goes on."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from django_timelines.models import Timeline
from django_timelines.policy import remember
from django_timelines.testing import drain
from tests.shop.workflows import Draft, Order, Poll, Trip

from .live_site import LiveSite

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PATIENCE = 60_000  # ms


def look(
    context: BrowserContext, page: Page, site: LiveSite, workflow: Draft | Order | Poll | Trip, address: str = ""
) -> None:
    """Open the timeline's page in the browser that began it, or another, and wait until it is told what happens."""
    session = SessionStore()
    remember(session, [workflow.pk.hex])
    session.save()
    context.add_cookies([{"name": "sessionid", "value": session.session_key, "url": site.address}])
    page.add_init_script(
        "window.forbidden = [];"
        "document.addEventListener('securitypolicyviolation', event => forbidden.push(event.violatedDirective))"
    )
    page.goto(site.address + (address or workflow.get_absolute_url()))
    expect(page.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)
    page.evaluate("window.isTheSame = true")


def test_the_next_form_comes_by_itself(context: BrowserContext, page: Page, site: LiveSite) -> None:
    order = Order.start("ada")
    look(context, page, site, order)
    expect(page.get_by_label("Amount")).to_have_count(0)

    drain()

    expect(page.get_by_label("Amount")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Amount").fill("5")
    assert page.evaluate("[window.isTheSame, window.forbidden]") == [True, []]
    page.get_by_role("button", name="Pay").click()
    expect(page.locator('[data-step="pay"]')).to_contain_text("Completed", timeout=PATIENCE)
    assert page.evaluate("window.forbidden") == []


@pytest.mark.parametrize("failure", ["503", "403", "cut"])
def test_the_next_form_comes_by_itself_also_where_the_page_could_not_be_fetched_at_once(
    context: BrowserContext, page: Page, site: LiveSite, failure: str
) -> None:
    order = Order.start("ada")
    look(context, page, site, order)
    failed: list[Route] = []

    def fail_twice(route: Route) -> None:
        if len(failed) == 2:
            return route.continue_()
        failed.append(route)
        return route.abort() if failure == "cut" else route.fulfill(status=int(failure))

    page.route(site.address + order.get_absolute_url(), fail_twice)

    drain()

    expect(page.get_by_label("Amount")).to_be_visible(timeout=PATIENCE)
    assert len(failed) == 2
    assert page.evaluate("window.isTheSame") is True


def test_who_has_the_link_of_a_step_fills_in_its_form(page: Page, site: LiveSite) -> None:
    order = Order.start("ada")
    drain()
    page.goto(Order.get(order.pk).pay.link().replace("https://example.org", site.address))
    page.get_by_label("Amount").fill("-5")
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("alert")).to_have_text("An amount is at least nought.")
    expect(page.get_by_label("Amount")).to_have_value("-5")
    assert page.title().startswith("Error: Pay")

    page.get_by_label("Amount").fill("5")
    page.get_by_role("button", name="Pay").click()

    expect(page.locator('[data-step="pay"]')).to_contain_text("Completed", timeout=PATIENCE)
    expect(page.get_by_role("button")).to_have_count(0)  # it may look on, and call nothing


def test_what_was_typed_and_left_stays_while_the_timeline_goes_on_beside_it(
    context: BrowserContext, page: Page, site: LiveSite, settings, tmp_path
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "trip_choose.html").write_text(
        '{% extends "django_timelines/timeline_page.html" %}{% block content %}{{ block.super }}'
        '<p id="seen" data-timelines-page>event {{ timeline.head }}</p>{% endblock %}'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    trip = Trip.start("ada")
    look(context, page, site, trip)
    page.get_by_label("Menu").fill("fish")
    page.get_by_label("Menu").blur()

    drain()

    head = Trip.get(trip.pk).timeline.head
    expect(page.locator("#seen")).to_have_text(f"event {head}", timeout=PATIENCE)  # the page was fetched again
    expect(page.get_by_label("Menu")).to_have_value("fish")
    page.get_by_role("button", name="Choose").click()
    expect(page.locator('[data-step="choose"]')).to_contain_text("Completed", timeout=PATIENCE)
    assert Trip.get(trip.pk).menu == "fish"


def test_a_form_that_is_kept_can_be_sent_after_a_login_in_another_tab(
    context: BrowserContext, page: Page, site: LiveSite
) -> None:
    User.objects.create_superuser("boss", password="correct horse")
    trip = Trip.start("ada")
    look(context, page, site, trip)
    page.get_by_label("Menu").fill("fish")
    tab = context.new_page()
    tab.goto(f"{site.address}/admin/")
    tab.get_by_label("Username").fill("boss")
    tab.get_by_label("Password").fill("correct horse")
    tab.get_by_role("button", name="Log in").click()
    expect(tab.get_by_role("heading", name="Site administration")).to_be_visible()
    token = page.locator("[name=csrfmiddlewaretoken]")
    before = token.input_value()
    drain()
    expect(token).not_to_have_value(before, timeout=PATIENCE)  # the page was fetched again

    page.get_by_role("button", name="Choose").click()

    expect(page.locator('[data-step="choose"]')).to_contain_text("Completed", timeout=PATIENCE)
    assert Trip.get(trip.pk).menu == "fish"


def test_a_form_that_somebody_else_has_used_stays_with_what_was_typed_and_says_so(
    context: BrowserContext, page: Page, site: LiveSite
) -> None:
    trip = Trip.start("ada")
    look(context, page, site, trip)
    page.get_by_label("Menu").fill("fish")
    page.get_by_label("Menu").blur()

    Trip.get(trip.pk).choose("cake")

    expect(page.get_by_text("This has gone on meanwhile. What you typed is kept here.")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_label("Menu")).to_have_value("fish")
    page.get_by_role("button", name="Choose").click()
    expect(page.get_by_role("alert")).to_contain_text("“choose” was done meanwhile.")
    assert Trip.get(trip.pk).menu == "cake"


def test_a_form_that_came_back_with_what_is_wrong_stays_with_what_was_typed_when_somebody_else_uses_it(
    context: BrowserContext, page: Page, site: LiveSite
) -> None:
    order = Order.start("ada")
    drain()
    look(context, page, site, order)
    page.get_by_label("Amount").fill("-5")
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("alert")).to_have_text("An amount is at least nought.")
    page.get_by_role("heading", name="Order").click()  # looks elsewhere
    expect(page.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)

    Order.get(order.pk).pay(7)

    expect(page.get_by_text("This has gone on meanwhile. What you typed is kept here.")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_label("Amount")).to_have_value("-5")


def test_a_form_that_nobody_has_touched_goes_when_somebody_else_has_used_it(
    context: BrowserContext, page: Page, site: LiveSite
) -> None:
    trip = Trip.start("ada")
    look(context, page, site, trip)
    expect(page.get_by_label("Menu")).to_be_visible()

    Trip.get(trip.pk).choose("cake")

    expect(page.get_by_label("Menu")).to_have_count(0, timeout=PATIENCE)
    assert page.evaluate("window.isTheSame") is True


def test_a_page_that_becomes_another_one_is_loaded_again(
    context: BrowserContext, page: Page, site: LiveSite, settings, tmp_path
) -> None:
    head = "{% load timelines %}<!doctype html><html><head>{% timelines_script %}</head><body>{% timeline workflow %}"
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "order_pay.html").write_text(head + '<p id="pay" data-timelines-page>pay</p></body></html>')
    (tmp_path / "shop" / "order_timeline.html").write_text(
        head + '<p id="other" data-timelines-page>other</p></body></html>'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    order = Order.start("ada")
    look(context, page, site, order)
    expect(page.locator("#other")).to_be_visible()

    drain()

    expect(page.locator("#pay")).to_be_visible(timeout=PATIENCE)
    assert Timeline.objects.get(pk=order.pk).status == "waiting"


def test_a_form_that_is_filled_in_says_so_while_the_page_may_not_look(
    context: BrowserContext, page: Page, site: LiveSite
) -> None:
    trip = Trip.start("ada")
    look(context, page, site, trip)
    stale = page.get_by_text("This has gone on meanwhile. What you typed is kept here.")
    cut_off = page.get_by_text("This page is cut off. What it shows may be out of date.")
    page.get_by_label("Menu").fill("fish")
    expect(stale.or_(cut_off).filter(visible=True)).to_have_count(0)
    cookies = context.cookies()
    context.clear_cookies()

    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(stale).to_be_visible(timeout=PATIENCE)
    expect(cut_off).to_be_visible()
    context.add_cookies([{name: cookie[name] for name in ("name", "value", "domain", "path")} for cookie in cookies])
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(stale).to_be_hidden(timeout=PATIENCE)
    expect(cut_off).to_be_hidden()
    expect(page.get_by_label("Menu")).to_have_value("fish")


@pytest.fixture
def choosing(context: BrowserContext, page: Page, site: LiveSite, settings, tmp_path) -> Trip:
    """A trip whose choice is open on a page of that step alone."""
    settings.ROOT_URLCONF = "tests.browser.urls"
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "trip_choose.html").write_text('{% extends "django_timelines/timeline_page.html" %}')
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    trip = Trip.start("ada")
    look(context, page, site, trip, f"/trip/{trip.pk}/choose/")
    expect(page.get_by_label("Menu")).to_be_visible()
    return trip


def test_the_page_of_a_step_leads_to_the_timelines_page_when_somebody_else_has_done_the_step(
    page: Page, site: LiveSite, choosing: Trip
) -> None:
    Trip.get(choosing.pk).choose("cake")

    page.wait_for_url(site.address + choosing.get_absolute_url(), timeout=PATIENCE)
    expect(page.get_by_label("Menu")).to_have_count(0)


def test_the_page_of_a_step_says_that_somebody_else_has_done_it_while_its_form_is_filled_in(
    page: Page, site: LiveSite, choosing: Trip
) -> None:
    page.get_by_label("Menu").fill("fish")

    Trip.get(choosing.pk).choose("cake")

    expect(page.get_by_text("This has gone on meanwhile. What you typed is kept here.")).to_be_visible(timeout=PATIENCE)
    with page.expect_response(page.url, timeout=PATIENCE):  # it is looked for again, once it is left
        page.get_by_label("Menu").blur()
    expect(page.get_by_label("Menu")).to_have_value("fish")
    assert page.evaluate("window.isTheSame") is True
    page.get_by_label("Menu").fill("")
    page.get_by_label("Menu").blur()
    page.wait_for_url(site.address + choosing.get_absolute_url(), timeout=PATIENCE)


@pytest.fixture
def another(settings, tmp_path) -> None:
    """The pages of a poll and a draft have one live element less once something has happened on them."""
    page = (
        '{% extends "django_timelines/timeline_page.html" %}{% block content %}{{ block.super }}CONTENT'
        '<input type="search"><dialog>Are you sure?</dialog>{% endblock %}'
    )
    extra = '{% if CONDITION %}<p id="extra" data-timelines-page>as it was</p>{% endif %}'
    (tmp_path / "shop").mkdir()
    for name, condition in {"poll_answer": "calls.1", "draft_archive": "workflow.text == 'draft'"}.items():
        content = page.replace("CONTENT", extra.replace("CONDITION", condition))
        (tmp_path / "shop" / f"{name}.html").write_text(content)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]


def poll_of_two(context: BrowserContext, page: Page, site: LiveSite) -> tuple[Poll, Locator]:
    """Look at a poll of two; return it and what the second has to fill in."""
    poll = Poll.start(["ada", "bob"])
    drain()
    look(context, page, site, poll)
    expect(page.locator("#extra")).to_have_count(1)
    return poll, page.get_by_label("Words").nth(1)


def answer_for_ada(page: Page, poll: Poll) -> None:
    """Let somebody else fill in the first form; wait until the page was fetched again, and would have been loaded anew."""
    Poll.get(poll.pk).answer["ada"](words="yes")
    expect(page.get_by_label("Words")).to_have_count(1, timeout=PATIENCE)
    page.wait_for_timeout(1000)


def test_a_page_that_becomes_another_one_is_not_loaded_again_while_a_form_on_it_is_filled_in(
    context: BrowserContext, page: Page, site: LiveSite, another: None
) -> None:
    poll, words = poll_of_two(context, page, site)
    words.fill("maybe")
    words.blur()

    answer_for_ada(page, poll)

    words = page.get_by_label("Words")
    expect(words).to_have_value("maybe")
    assert page.evaluate("window.isTheSame") is True
    expect(page.get_by_text("What you typed is kept here.")).to_be_hidden()  # its step still waits
    words.fill("")
    words.blur()
    expect(page.locator("#extra")).to_have_count(0, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("document.querySelector('[type=search]').focus()", "document.activeElement.blur()"),
        ("document.querySelector('dialog').showModal()", "document.querySelector('dialog').close()"),
    ],
    ids=["focus", "dialog"],
)
def test_a_page_that_becomes_another_one_is_not_loaded_again_while_somebody_is_at_it(
    context: BrowserContext, page: Page, site: LiveSite, another: None, begin: str, end: str
) -> None:
    poll, _words = poll_of_two(context, page, site)
    page.evaluate(begin)

    Poll.get(poll.pk).answer["ada"](words="yes")

    expect(page.locator("[data-timelines]")).to_contain_text("Completed", timeout=PATIENCE)
    page.wait_for_timeout(1000)
    assert page.evaluate("window.isTheSame") is True
    page.evaluate(end)
    expect(page.locator("#extra")).to_have_count(0, timeout=PATIENCE)


def test_a_page_that_becomes_another_one_is_not_loaded_again_while_a_form_is_sent(
    context: BrowserContext, page: Page, site: LiveSite, another: None
) -> None:
    draft = Draft.start("draft")
    Draft.get(draft.pk).review("good")
    drain()
    look(context, page, site, draft)
    held: list[Route] = []
    page.route("**/*", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    page.get_by_role("button", name="Archive").click(no_wait_after=True)

    with page.expect_response(lambda response: not response.request.is_navigation_request(), timeout=PATIENCE):
        Draft.get(draft.pk).timeline.amend(reason="a slip of the pen", text="text")

    page.wait_for_timeout(1000)
    held[0].continue_()
    expect(page.locator('[data-step="archive"]')).to_contain_text("Completed", timeout=PATIENCE)


def test_a_form_whose_sending_was_called_off_is_not_kept(context: BrowserContext, page: Page, site: LiveSite) -> None:
    trip = Trip.start("ada")
    look(context, page, site, trip)
    page.evaluate("addEventListener('submit', event => confirm('Sure?') || event.preventDefault())")
    page.get_by_label("Menu").fill("fish")
    page.get_by_role("button", name="Choose").click()  # Playwright says no
    page.get_by_label("Menu").fill("")
    page.get_by_label("Menu").blur()

    Trip.get(trip.pk).choose("cake")

    expect(page.get_by_label("Menu")).to_have_count(0, timeout=PATIENCE)
    assert page.evaluate("window.isTheSame") is True


def test_a_form_with_a_list_that_nobody_has_touched_goes_when_somebody_else_has_used_it(
    context: BrowserContext, page: Page, site: LiveSite, settings, tmp_path
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "trip_timeline.html").write_text(
        "{% load timelines %}<!doctype html><html><head>{% timelines_script %}</head><body>{% timeline workflow %}"
        '<section id="call" data-timelines-page>{% if call %}<form id="{{ call.id }}" method="post" data-timelines-form>'
        '<select name="menu"><option>fish</option><option>cake</option></select></form>{% endif %}</section></body></html>'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    trip = Trip.start("ada")
    look(context, page, site, trip)

    Trip.get(trip.pk).choose("cake")

    expect(page.get_by_role("combobox")).to_have_count(0, timeout=PATIENCE)


@pytest.mark.parametrize("fragment", ["", "#pay"])
def test_the_answer_to_a_form_that_becomes_another_page_sends_nothing_again(
    context: BrowserContext, page: Page, site: LiveSite, settings, tmp_path, fragment: str
) -> None:
    frame = "{% load timelines %}<!doctype html><html><head>{% timelines_script %}</head><body>{% timeline workflow %}CONTENT"
    form = (
        f'<form method="post" action="{fragment}">{{% csrf_token %}}{{{{ call.token }}}}<input name="amount">'
        '<button>Pay</button></form><p id="pay" data-timelines-page>{{ form.errors }}</p>'
    )
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "order_pay.html").write_text(frame.replace("CONTENT", form))
    (tmp_path / "shop" / "order_timeline.html").write_text(
        frame.replace("CONTENT", '<p id="other" data-timelines-page>other</p>')
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    order = Order.start("ada")
    drain()
    look(context, page, site, order)
    methods: list[str] = []
    page.on("request", lambda request: methods.append(request.method) if request.is_navigation_request() else None)
    page.get_by_role("textbox").fill("-5")
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_text("An amount is at least nought.")).to_be_visible()
    expect(page.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)

    Order.get(order.pk).pay(5)

    expect(page.locator("#other")).to_be_visible(timeout=PATIENCE)
    assert methods == ["POST", "GET"]
