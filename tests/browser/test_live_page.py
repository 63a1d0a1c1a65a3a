"""A timeline's page in a real browser: it changes by itself, or tells the truth some other way."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.live import stream, watcher
from django_timelines.policy import remember
from django_timelines.testing import drain, travel
from example_project.signup.workflows import Signup
from tests.pages.stories import signed_up
from tests.shop.workflows import Supper

from .live_site import LiveSite
from .proxy import Proxy
from .visitors import contrasts_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PATIENCE = 60_000  # ms
NEXT_TRY = 120_000  # ms: a page tries a socket again after half a minute at most, and relies on it once that has lasted


@pytest.fixture
def signup(site) -> Signup:
    """A sign-up that waits for its visitor to follow the link."""
    return signed_up()


def let_in(context: BrowserContext, site: LiveSite, signup: Signup) -> None:
    """Make it the browser that signed up."""
    session = SessionStore()
    remember(session, [signup.pk.hex])
    session.save()
    context.add_cookies([{"name": "sessionid", "value": session.session_key, "url": site.address}])


@pytest.fixture
def visitor(context: BrowserContext, page: Page, site: LiveSite, signup: Signup) -> Page:
    """The browser that signed up. What the content security policy forbids is written down in ``window.forbidden``."""
    let_in(context, site, signup)
    page.add_init_script(
        "window.forbidden = [];"
        "document.addEventListener('securitypolicyviolation', event => forbidden.push(event.violatedDirective))"
    )
    return page


def look(page: Page, site: LiveSite, signup: Signup, state: str = "live") -> None:
    """Open the timeline's page and wait until it is told what happens."""
    page.goto(site.address + signup.get_absolute_url())
    expect(page.locator("[data-timelines]")).to_have_attribute("data-timelines-state", state, timeout=PATIENCE)


def finish(signup: Signup) -> None:
    signup.activate()
    drain()


def expect_end(page: Page) -> None:
    expect(page.get_by_role("status")).to_contain_text("Completed on", timeout=PATIENCE)
    expect(page.locator('[data-step="start_onboarding"]')).to_contain_text("Completed", timeout=PATIENCE)


def test_the_page_changes_by_itself_and_breaks_no_policy(visitor, site, signup):
    look(visitor, site, signup)
    visitor.evaluate("window.unchanged = true")

    finish(signup)

    expect_end(visitor)
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "ended", timeout=PATIENCE)
    assert visitor.evaluate("[window.unchanged, window.forbidden]") == [True, []]


def test_a_page_whose_socket_was_cut_for_a_while_catches_up(visitor, site, signup):
    look(visitor, site, signup)

    site.stop()
    expect(visitor.locator("[data-timelines]")).not_to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)
    signup.activate()
    site.start()

    expect(visitor.locator('[data-step="start_onboarding"]')).to_contain_text("Due", timeout=PATIENCE)
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)
    drain()
    expect_end(visitor)


class DyingSocket:
    """A page's line to the site's sockets. What is open when it dies stays open, and brings nothing any more."""

    def __init__(self, page: Page) -> None:
        self._dead: set[WebSocketRoute] = set()
        self.open: set[WebSocketRoute] = set()
        page.route_web_socket("**/live/**", self._connect)

    def die(self) -> None:
        self._dead |= self.open

    def _connect(self, socket: WebSocketRoute) -> None:
        self.open.add(socket)
        socket.connect_to_server().on_message(lambda frame: None if socket in self._dead else socket.send(frame))


def test_a_page_whose_socket_died_without_a_word_catches_up_once_it_is_looked_at(visitor, site, signup):
    line = DyingSocket(visitor)
    look(visitor, site, signup)
    line.die()
    signup.activate()

    visitor.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(visitor.locator('[data-step="start_onboarding"]')).to_contain_text("Due", timeout=PATIENCE)
    drain()
    expect_end(visitor)  # by a socket that lives
    assert len(line.open) == 2


def test_a_page_that_is_looked_at_keeps_a_socket_that_lives(visitor, site, signup):
    line = DyingSocket(visitor)
    look(visitor, site, signup)

    with visitor.expect_response("**/since/**", timeout=PATIENCE):
        visitor.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    finish(signup)
    expect_end(visitor)
    assert len(line.open) == 1


NO_SOCKET = "delete window.WebSocket;"
NO_STREAM = "delete window.EventSource;"
PATIENT = "const go = setTimeout; window.setTimeout = (f, ms, ...rest) => go(f, ms === 5000 ? 60000 : ms, ...rest);"
"""Nothing holds a stream back here, however long its first event takes."""


def test_without_a_websocket_the_page_is_streamed_to_and_breaks_no_policy(visitor, site, signup):
    visitor.add_init_script(NO_SOCKET + PATIENT)
    look(visitor, site, signup, state="streaming")
    visitor.evaluate("window.unchanged = true")

    finish(signup)

    expect_end(visitor)
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "ended", timeout=PATIENCE)
    assert visitor.evaluate("[window.unchanged, window.forbidden]") == [True, []]


def test_a_stream_that_ends_or_is_cut_comes_back_and_catches_up(visitor, site, signup, monkeypatch):
    monkeypatch.setattr(stream, "LASTS", 0.2)
    monkeypatch.setattr(stream, "BEAT", 0.2)
    visitor.add_init_script(NO_SOCKET + PATIENT)
    look(visitor, site, signup, state="streaming")
    with visitor.expect_request(lambda request: "/live/" in request.url, timeout=PATIENCE):
        pass  # it came back by itself

    site.stop()
    signup.activate()
    site.start()

    expect(visitor.locator('[data-step="start_onboarding"]')).to_contain_text("Due", timeout=PATIENCE)
    drain()
    expect_end(visitor)


def test_without_a_stream_either_the_page_polls(visitor, site, signup):
    visitor.add_init_script(NO_SOCKET + NO_STREAM)
    look(visitor, site, signup, state="polling")

    finish(signup)

    expect_end(visitor)


def test_a_page_whose_stream_is_held_back_polls(visitor, site, signup):
    held = []
    visitor.add_init_script(NO_SOCKET)
    visitor.route("**/live/**", lambda route: held.append(route))
    look(visitor, site, signup, state="polling")

    finish(signup)

    expect_end(visitor)
    assert len(held) == 1


def test_a_page_whose_stream_may_look_no_more_says_so(visitor, site, signup, monkeypatch):
    monkeypatch.setattr(watcher, "ASKED_LONG_AGO", 0.0)
    visitor.add_init_script(NO_SOCKET + PATIENT)
    look(visitor, site, signup, state="streaming")

    Session.objects.all().delete()
    signup.activate()

    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "refused", timeout=PATIENCE)
    expect(visitor.get_by_role("status")).to_contain_text("Waiting for “activate”")


def test_a_page_that_polls_shows_a_pause_of_everything(visitor, context, site):
    running = Signup.start(email="grace@example.org", password="correct horse")
    let_in(context, site, running)
    visitor.add_init_script(NO_SOCKET + NO_STREAM)
    look(visitor, site, running, state="polling")

    pause_all("the office is on fire")

    expect(visitor.get_by_role("status")).to_contain_text("It is paused and goes on later", timeout=PATIENCE)
    resume_all()
    expect(visitor.get_by_role("status")).not_to_contain_text("It is paused", timeout=PATIENCE)


def test_where_no_socket_gets_through_the_page_is_streamed_to(visitor, site, signup):
    visitor.route_web_socket("**/live/**", lambda socket: socket.close())
    look(visitor, site, signup, state="streaming")

    finish(signup)

    expect_end(visitor)


@pytest.fixture
def proxy(site: LiveSite) -> Iterator[Proxy]:
    proxy = Proxy(site.port, sockets="pass")
    yield proxy
    proxy.stop()


def look_through(page: Page, proxy: Proxy, signup: Signup, state: str) -> None:
    page.goto(proxy.address + signup.get_absolute_url())
    expect(page.locator("[data-timelines]")).to_have_attribute("data-timelines-state", state, timeout=PATIENCE)


def test_where_each_socket_is_cut_once_it_is_open_the_page_is_streamed_to_until_one_lasts(
    visitor, proxy, signup, monkeypatch
):
    monkeypatch.setattr(stream, "LASTS", 3600)  # then only another try could end it
    proxy.sockets = "cut"
    streams = []
    visitor.on("request", lambda request: streams.append(request) if "/live/" in request.url else None)
    look_through(visitor, proxy, signup, state="streaming")
    tries = proxy.handshakes
    while proxy.handshakes < tries + 2:
        visitor.wait_for_timeout(100)
    assert len(streams) == 1  # another try leaves it alone

    signup.activate()

    expect(visitor.locator('[data-step="start_onboarding"]')).to_contain_text("Due", timeout=PATIENCE)
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "streaming")
    proxy.sockets = "pass"
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=NEXT_TRY)
    drain()
    expect_end(visitor)


def test_where_the_handshake_of_a_socket_is_held_back_the_page_is_streamed_to(visitor, proxy, signup):
    proxy.sockets = "hold"
    look_through(visitor, proxy, signup, state="streaming")

    finish(signup)

    expect_end(visitor)
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "ended", timeout=PATIENCE)


def test_without_javascript_the_page_tells_the_truth_by_reloading(browser: Browser, site, signup):
    context = browser.new_context(java_script_enabled=False)
    let_in(context, site, signup)
    page = context.new_page()
    page.goto(site.address + signup.get_absolute_url())
    expect(page.get_by_role("status")).to_contain_text("Waiting for “activate”")

    finish(signup)

    expect_end(page)
    context.close()


def test_a_page_that_may_not_look_any_more_stops_asking(visitor, context, site, signup):
    look(visitor, site, signup)

    site.stop()
    context.clear_cookies()
    site.start()

    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "refused", timeout=PATIENCE)


IMPATIENT = "const go = setInterval; window.setInterval = (f, ms, ...rest) => go(f, ms === 30000 ? 300 : ms, ...rest);"
"""Who was refused asks again much sooner here."""


@pytest.mark.parametrize("by", ["itself", "a look at it"])
def test_a_page_that_a_proxy_refused_while_the_site_was_away_goes_on_when_it_is_back(visitor, site, signup, by):
    visitor.add_init_script(IMPATIENT if by == "itself" else "")
    look(visitor, site, signup)
    visitor.evaluate("window.unchanged = true")
    visitor.route("**/*", lambda route: route.fulfill(status=404))
    site.stop()
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "refused", timeout=PATIENCE)
    signup.activate()

    site.start()
    visitor.unroute("**/*")
    if by == "a look at it":
        visitor.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(visitor.locator('[data-step="start_onboarding"]')).to_contain_text("Due", timeout=PATIENCE)
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "live", timeout=PATIENCE)
    drain()
    expect_end(visitor)
    assert visitor.evaluate("window.unchanged") is True


def test_a_page_that_may_not_look_asks_once_in_a_long_while(visitor, context, site, signup):
    visitor.clock.install()
    visitor.add_init_script(NO_SOCKET + NO_STREAM)
    look(visitor, site, signup, state="polling")
    context.clear_cookies()
    visitor.clock.run_for(20_000)
    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "refused", timeout=PATIENCE)
    asked = []
    visitor.on("response", lambda response: asked.append(response.status))

    for _ in range(3):
        with visitor.expect_response("**/since/**", timeout=PATIENCE):
            visitor.clock.run_for(30_000)

    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "refused")
    assert asked == [404, 404, 404]


def test_a_page_whose_socket_may_look_no_more_says_so(visitor, context, site, signup, monkeypatch):
    monkeypatch.setattr(watcher, "ASKED_LONG_AGO", 0.0)
    look(visitor, site, signup)

    Session.objects.all().delete()
    signup.activate()

    expect(visitor.locator("[data-timelines]")).to_have_attribute("data-timelines-state", "refused", timeout=PATIENCE)
    expect(visitor.get_by_role("status")).to_contain_text("Waiting for “activate”")


def test_the_rest_of_the_page_keeps_up_without_disturbing_whoever_types(visitor, site, signup, settings, tmp_path):
    (tmp_path / "signup").mkdir()
    (tmp_path / "signup" / "signup_timeline.html").write_text(
        "<!doctype html><html><head>{% load timelines %}{% timelines_script %}</head><body>{% timeline workflow %}"
        '<p id="seen" data-timelines-page>event {{ timeline.head }}</p>'
        '<form id="ask" data-timelines-page><input id="answer"><b>event {{ timeline.head }}</b></form>'
        '<div id="more" data-timelines-page><details><summary>More</summary>event {{ timeline.head }}</details></div>'
        "</body></html>"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    head = signup.timeline.head
    look(visitor, site, signup)
    visitor.locator("summary").click()
    visitor.locator("#answer").press_sequentially("half a")

    signup.activate()

    expect(visitor.locator("#seen")).to_have_text(f"event {head + 5}", timeout=PATIENCE)
    expect(visitor.locator("#more")).to_contain_text(f"event {head + 5}")
    expect(visitor.locator("details")).to_have_attribute("open", "")
    expect(visitor.locator("#ask b")).to_have_text(f"event {head}")
    visitor.keyboard.type(" sentence")
    expect(visitor.locator("#answer")).to_have_value("half a sentence")

    visitor.locator("#answer").blur()

    expect(visitor.locator("#ask b")).to_have_text(f"event {head + 5}", timeout=PATIENCE)


SLOW_PAGES = """
const get = window.fetch;
window.underWay = window.most = 0;
window.fetch = async (...words) => {
  window.most = Math.max(window.most, ++window.underWay);
  const answer = await get(...words);
  await new Promise((go) => setTimeout(go, 600));
  window.underWay -= 1;
  return answer;
};
"""


def test_the_rest_of_a_slow_page_keeps_up_while_events_keep_coming(visitor, site, signup, settings, tmp_path):
    (tmp_path / "signup").mkdir()
    (tmp_path / "signup" / "signup_timeline.html").write_text(
        "<!doctype html><html><head>{% load timelines %}{% timelines_script %}</head><body>{% timeline workflow %}"
        '<p id="seen" data-timelines-page>event {{ timeline.head }}</p></body></html>'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    visitor.add_init_script(SLOW_PAGES)
    look(visitor, site, signup)
    seen, rounds, end = {visitor.locator("#seen").text_content()}, 0, time.monotonic() + PATIENCE / 1000

    while rounds < 20 or (len(seen) <= 2 and time.monotonic() < end):  # the machine may be slow as well
        rounds += 1
        signup.timeline.pause(reason="lunch")
        visitor.wait_for_timeout(100)
        signup.timeline.resume()
        visitor.wait_for_timeout(100)
        seen.add(visitor.locator("#seen").text_content())

    assert len(seen) > 2
    head = Signup.get(signup.pk).timeline.head
    expect(visitor.locator("#seen")).to_have_text(f"event {head}", timeout=PATIENCE)
    assert visitor.evaluate("window.most") == 1


def test_following_the_link_leads_to_the_page_as_it_is_then(visitor, site, signup):
    visitor.goto(signup.activate.link().replace("https://example.org", site.address))

    visitor.get_by_role("button", name="Activate").click()
    expect(visitor.locator('[data-step="activate"]')).to_contain_text("Completed", timeout=PATIENCE)
    drain()

    expect_end(visitor)
    assert visitor.evaluate("window.forbidden") == []


@pytest.fixture
def supper(site) -> Supper:
    """A supper whose bill, a timeline of its own, waits for a tip."""
    supper = Supper.start(guest="Ada", dishes=[])
    drain()
    return Supper.get(supper.pk)


@pytest.mark.parametrize("state", ["live", "streaming", "polling"])
def test_the_page_of_a_parent_shows_what_a_child_does(visitor, context, site, supper, state):
    let_in(context, site, supper)
    visitor.add_init_script({"live": "", "streaming": NO_SOCKET + PATIENT, "polling": NO_SOCKET + NO_STREAM}[state])
    look(visitor, site, supper, state=state)
    visitor.evaluate("window.unchanged = true")
    family = visitor.get_by_role("navigation", name="Parent and children")
    expect(family).to_contain_text("Bill waiting")

    supper.bill.child.timeline.pause(reason="the till is closed")

    expect(visitor.get_by_role("status")).to_contain_text("It is paused and goes on later", timeout=PATIENCE)
    expect(family).to_contain_text("Bill paused", timeout=PATIENCE)
    supper.bill.child.timeline.resume()
    expect(family).to_contain_text("Bill waiting", timeout=PATIENCE)
    assert visitor.evaluate("[window.unchanged, window.forbidden]") == [True, []]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_step_can_be_read_in_both_themes(visitor: Page, site: LiveSite, signup: Signup, theme: str) -> None:
    with travel(timedelta(days=30)):
        drain()
    visitor.emulate_media(color_scheme=theme)

    look(visitor, site, signup, "ended")

    expect(visitor.locator('[data-step="start_onboarding"]')).to_contain_text("Not reached")
    contrasts = contrasts_of(visitor, ".timelines-steps p")
    assert [(word, ratio) for word, ratio in contrasts if ratio < 4.5] == []  # WCAG 2.2, level AA


def test_a_button_and_a_bar_are_seen_in_the_readers_own_colours(visitor, context, site, supper):
    bill = supper.bill.child
    let_in(context, site, bill)
    visitor.emulate_media(forced_colors="active")
    look(visitor, site, bill)

    borders = visitor.locator(".timelines-button, .timelines-progress progress").evaluate_all(
        "all => all.map(one => getComputedStyle(one).borderStyle)"
    )

    assert borders == ["solid", "solid"]
