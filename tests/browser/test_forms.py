"""The form on a timeline's page in a real browser, while the timeline goes on."""

from collections.abc import Iterator

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core.signals import request_started
from playwright.sync_api import BrowserContext, Page, expect

from django_timelines.models import Timeline
from django_timelines.placements import embedded
from django_timelines.policy import remember
from django_timelines.testing import drain
from tests.shop.workflows import Order, Trip

from .live_site import LiveSite

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PATIENCE = 20_000  # ms


@pytest.fixture
def site(settings) -> Iterator[LiveSite]:
    settings.MIDDLEWARE = ["tests.browser.live_site.StrictPolicy", *settings.MIDDLEWARE]
    request_started.disconnect(dispatch_uid="django_timelines.embedded")  # each step runs when the test says so
    site = LiveSite()
    yield site
    site.stop()
    request_started.connect(embedded.serve, dispatch_uid="django_timelines.embedded")


def look(context: BrowserContext, page: Page, site: LiveSite, workflow: Order | Trip) -> None:
    """Open the timeline's page in the browser that began it, and wait until it is told what happens."""
    session = SessionStore()
    remember(session, [workflow.pk.hex])
    session.save()
    context.add_cookies([{"name": "sessionid", "value": session.session_key, "url": site.address}])
    page.add_init_script(
        "window.forbidden = [];"
        "document.addEventListener('securitypolicyviolation', event => forbidden.push(event.violatedDirective))"
    )
    page.goto(site.address + workflow.get_absolute_url())
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
