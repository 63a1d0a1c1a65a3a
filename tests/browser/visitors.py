"""What visitors and staff do in the example project, and what they then see."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, WebSocketRoute, expect

TURN = 60_000  # ms in which a page must have changed: a lease of 10 s, a page that reloads every 5 s, a busy machine

CONTRASTS = """elements => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = e => { const c = rgb(getComputedStyle(e).backgroundColor); return c[3] === 0 ? ground(e.parentElement) : c };
  const opacity = e => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1;
  const ink = e => rgb(getComputedStyle(e).color).slice(0, 3).map((v, n) => ground(e)[n] + (v - ground(e)[n]) * opacity(e));
  return elements.map(e => {
    const [a, b] = [light(ink(e)), light(ground(e))].sort((x, y) => y - x);
    return [e.textContent, (a + 0.05) / (b + 0.05)] }) }"""


def contrasts_of(page: Page, selector: str) -> list[tuple[str, float]]:
    """Return the contrast of each of these texts with its ground, after WCAG 2.2 ("contrast ratio", "relative luminance")."""
    return [(text, ratio) for text, ratio in page.locator(selector).evaluate_all(CONTRASTS)]


def fill_in(page: Page, email: str, password: str) -> None:
    """Fill in the sign-up form."""
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(password)


def sign_up(page: Page, site: str, email: str) -> str:
    """Sign up; return the timeline's id."""
    page.goto(f"{site}/sign-up/")
    fill_in(page, email, "long enough")
    page.get_by_role("button", name="Sign up").click()
    return timeline_on(page)


def timeline_on(page: Page) -> str:
    """Return the id of the timeline whose page this is."""
    expect(page.get_by_role("heading", name="Your sign-up")).to_be_visible()
    return PurePosixPath(urlsplit(page.url).path).name


def step(page: Page, name: str) -> Locator:
    """Return a step's line."""
    return page.locator(f'[data-step="{name}"]')


def expect_step(page: Page, name: str, word: str) -> None:
    """Expect a step to stand there, soon."""
    expect(step(page, name)).to_contain_text(word, ignore_case=True, timeout=TURN)


def mark(page: Page) -> None:
    """Remember that the page was not loaded again."""
    page.evaluate("window.isTheSame = true")


def expect_the_same(page: Page) -> None:
    """Expect that the page was not loaded since it was marked."""
    assert page.evaluate("window.isTheSame") is True


def open_mail(page: Page, site: str, email: str) -> None:
    """Go to the outbox and follow the link in the mail to this address."""
    page.goto(f"{site}/outbox/")
    mail = page.locator("article", has_text=email)
    expect(mail).to_have_count(1, timeout=TURN)
    mail.get_by_role("link").click()


def log_in(browser: Browser, site: str) -> BrowserContext:
    """Log in as the demo's staff."""
    staff = browser.new_context()
    page = staff.new_page()
    log_in_on(page, site)
    page.close()
    return staff


def log_in_on(page: Page, site: str) -> None:
    """Log in as the demo's staff, on this page."""
    page.goto(f"{site}/admin/")
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


class Cable:
    """The line between a page and the site's sockets: it can be cut."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._sockets: list[WebSocketRoute] = []
        self._is_cut = False
        page.route_web_socket(re.compile("/live/"), self._connect)

    def cut(self) -> None:
        """Cut it: what is open is closed, and nothing gets through."""
        self._is_cut = True
        self._page.context.set_offline(True)
        for socket in self._sockets:
            socket.close()

    def mend(self) -> None:
        """Put it together again."""
        self._is_cut = False
        self._page.context.set_offline(False)

    def _connect(self, socket: WebSocketRoute) -> None:
        if self._is_cut:
            socket.close()
        else:
            socket.connect_to_server()
            self._sockets.append(socket)


def order_coffee(page: Page, site: str, customer: str, *drinks: str) -> str:
    """Order one of each of these drinks; return the timeline's id."""
    page.goto(f"{site}/coffee/")
    page.get_by_label("Your name").fill(customer)
    for drink in drinks:
        page.get_by_label(drink).fill("1")
    page.get_by_role("button", name="Order and pay").click()
    expect(page.get_by_role("heading", name="Your order")).to_be_visible()
    return PurePosixPath(urlsplit(page.url).path).name
