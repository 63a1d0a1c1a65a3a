"""A long step in a real browser, on the example project as it is run for real."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from . import sites
from .sites import Site
from .visitors import TURN, expect_step, expect_the_same, log_in, mark, step

pytestmark = pytest.mark.browser
AN_IMPORT = 240_000  # ms in which a busy machine has read the file
MOVING = re.compile(r"[1-9][\d,]* · [\d,]+ per (second|minute)")
STORY = [
    ("TimelineStarted", ""),
    ("StepCalled", "upload"),
    ("AttemptStarted", "upload"),
    ("StepCompleted", "upload"),
    ("StepDue", "load_rows"),
    ("AttemptStarted", "load_rows"),
    ("StepCompleted", "load_rows"),
    ("StepDue", "tidy_up"),
    ("AttemptStarted", "tidy_up"),
    ("StepCompleted", "tidy_up"),
    ("TimelineCompleted", ""),
]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Site]:
    """One for each test, which counts what was imported."""
    with sites.demo(tmp_path) as site:
        yield site


def test_an_import_shows_how_far_it_is_also_to_who_comes_late_and_ends_when_it_is_cancelled(
    demo: Site, browser: Browser, context: BrowserContext, tmp_path: Path
) -> None:
    page = context.new_page()
    timeline = upload(page, demo, tmp_path, 200_000)  # more than is read while the test looks
    mark(page)

    expect(bar(page)).to_be_visible(timeout=TURN)
    expect(step(page, "load_rows")).to_contain_text(MOVING, timeout=TURN)
    came_late = context.new_page().goto(page.url)
    assert came_late is not None
    assert MOVING.search(came_late.text())
    with log_in(browser, demo.address) as staff:
        cancel(staff.new_page(), demo, timeline)

    expect(page.locator("#next")).to_contain_text("This import goes no further", timeout=TURN)
    expect(bar(page)).to_have_count(0)
    expect_the_same(page)
    imported, addresses = demo.contacts()
    assert 0 < imported == addresses < 198_000


def test_an_import_tells_in_the_end_what_it_did(demo: Site, page: Page, tmp_path: Path) -> None:
    timeline = upload(page, demo, tmp_path, 1_200)
    mark(page)

    finish(page, "1188", "12")

    assert demo.contacts() == (1_188, 1_188)
    assert demo.events(timeline) == STORY


@pytest.mark.postgres
@pytest.mark.redis
def test_a_worker_that_is_killed_half_way_costs_one_batch_on_postgres_and_redis(
    production: Site, page: Page, tmp_path: Path
) -> None:
    timeline = upload(page, production, tmp_path, 16_000)
    mark(page)
    expect(step(page, "load_rows")).to_contain_text(MOVING, timeout=TURN)

    production.kill_runner_of(timeline, "load_rows")
    left = production.contacts()
    finish(page, "15840", "160")

    assert 0 < left[0] < 15_840
    assert production.contacts() == (15_840, 15_840)
    assert ("AttemptInterrupted", "load_rows") in production.events(timeline)


def upload(page: Page, site: Site, directory: Path, rows: int) -> str:
    """Import a file of so many contacts, every hundredth without an address; return the timeline's id."""
    file = directory / "contacts.csv"
    lines = (f"Contact {n},{'nobody' if n % 100 == 0 else f'contact{n}@example.org'}" for n in range(1, rows + 1))
    file.write_text("\n".join(["name,email", *lines]))
    page.goto(f"{site.address}/contacts/")
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="Your import")).to_be_visible()
    return PurePosixPath(urlsplit(page.url).path).name


def bar(page: Page) -> Locator:
    """Return the bar of the long step, found as a screen reader finds it."""
    return page.get_by_role("progressbar", name="Progress of “Load rows”")


def cancel(page: Page, site: Site, timeline: str) -> None:
    """Look how far it is, as staff, and cancel it."""
    page.goto(f"{site.address}/admin/django_timelines/timeline/{timeline}/change/")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Load rows"))
    expect(row.get_by_role("progressbar", name="Progress of “Load rows”")).to_be_visible(timeout=TURN)
    page.get_by_role("button", name="Cancel timeline").click()
    page.get_by_label("Reason").fill("The wrong file.")
    page.get_by_role("button", name="Cancel timeline").click()
    expect(page.locator(".messagelist")).to_contain_text("The timeline is cancelled", timeout=TURN)


def finish(page: Page, imported: str, rejected: str) -> None:
    """Expect the end, on the page that was open all the time."""
    said = f"{imported} contacts were imported, {rejected} rows had no address"
    expect(page.locator("#next")).to_contain_text(said, timeout=AN_IMPORT)
    expect_step(page, "tidy_up", "Completed")
    expect(bar(page)).to_have_count(0)
    expect_the_same(page)
