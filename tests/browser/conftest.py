"""A real browser. Mark its tests with ``pytestmark = pytest.mark.browser``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.services import CHROMIUM

from . import sites
from .live_site import LiveSite
from .sites import Site
from .visitors import TURN

FLAGS = [
    "--headless",
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    # a test talks to the server under test, and to nobody else
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Playwright runs an event loop in this thread: the tests of other packages must not meet it, and Django must not mind.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        expect.set_options(timeout=TURN)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor: cookies and storage of their own."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@contextmanager
def served() -> Iterator[LiveSite]:
    """Serve the tests' own site; each step runs when the test says so."""
    site = LiveSite()
    yield site
    site.stop()
    site.kept.close()


@pytest.fixture
def site(settings: Any) -> Iterator[LiveSite]:
    """The tests' own site, under a strict content security policy."""
    settings.MIDDLEWARE = ["tests.browser.live_site.StrictPolicy", *settings.MIDDLEWARE]
    with served() as site:
        yield site


@pytest.fixture(scope="module")
def served_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.demo(tmp_path_factory.mktemp("demo")) as site:
        yield site


@pytest.fixture
def demo(served_demo: Site) -> Iterator[Site]:
    """The example project, as ``make demo`` serves it: one for the tests of a module."""
    yield served_demo
    served_demo.stall_file.unlink(missing_ok=True)


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Site]:
    """The example project on PostgreSQL and Redis, with workers."""
    with sites.production(tmp_path) as site:
        yield site
