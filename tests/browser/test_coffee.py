"""The coffee shop in a real browser: an order is paid and made at the same time, and then handed over."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from .sites import Site
from .visitors import TURN, expect_step, expect_the_same, log_in, log_in_on, mark, order_coffee

pytestmark = pytest.mark.browser


def test_the_shop_on_sqlite_with_the_embedded_worker(demo: Site, browser: Browser, context: BrowserContext) -> None:
    visit(demo, browser, context.new_page())


@pytest.mark.postgres
@pytest.mark.redis
def test_the_shop_on_postgres_and_redis_with_workers(
    production: Site, browser: Browser, context: BrowserContext
) -> None:
    visit(production, browser, context.new_page())


def test_the_counter_hands_over_after_a_login_in_another_tab(
    demo: Site, browser: Browser, context: BrowserContext
) -> None:
    with log_in(browser, demo.address) as staff:
        counter = staff.new_page()
        counter.goto(f"{demo.address}/coffee/counter/")
        order_coffee(context.new_page(), demo.address, "Eve", "Latte")
        button = counter.locator("article", has_text="Eve").get_by_role("button", name="Hand over")
        expect(button).to_be_visible(timeout=TURN)
        tab = staff.new_page()
        tab.goto(f"{demo.address}/admin/")
        tab.get_by_role("button", name="Log out").click()
        log_in_on(tab, demo.address)
        expect_to_stay(counter, button)

        button.click()

        expect(counter.get_by_text("Handed over to Eve.")).to_be_visible()


def visit(site: Site, browser: Browser, page: Page) -> None:
    """One order that goes well, one whose card is declined, and one that waits for a machine."""
    with log_in(browser, site.address) as staff:
        counter = staff.new_page()
        counter.goto(f"{site.address}/coffee/counter/")
        expect(counter.get_by_text("Nothing to hand over.")).to_be_visible()
        hand_over(site, page, counter)
        decline(site, page, counter)


def hand_over(site: Site, page: Page, counter: Page) -> None:
    """From the order to the hand-over; the customer's page and the counter are open all the time."""
    order = order_coffee(page, site.address, "Ada", "Latte", "Mocha")
    mark(page)
    mark(counter)

    expect_step(page, "hand_over", "Waiting")
    expect(page.locator("#next")).to_contain_text("Your drinks are ready, Ada.", timeout=TURN)
    waiting = counter.locator("article", has_text="Ada")
    expect(waiting).to_contain_text("latte, mocha", timeout=TURN)
    expect_the_same(counter)
    button = waiting.get_by_role("button", name="Hand over")
    expect_to_stay(counter, button)
    button.click()

    expect(counter.get_by_text("Handed over to Ada.")).to_be_visible()
    expect(counter.get_by_text("Nothing to hand over.")).to_be_visible()
    expect(page.locator("#next")).to_contain_text("Enjoy, Ada!", timeout=TURN)
    expect_the_same(page)
    told = [event for event in site.events(order) if event[0] == "StepCompleted"]
    assert sorted(told[1:3]) == [("StepCompleted", "build"), ("StepCompleted", "payment")]
    assert told[3:] == [("StepCompleted", "hand_over")]

    page.get_by_role("link", name="Build", exact=True).click()
    expect_step(page, "make", "Completed, 2 of 2")
    expect_step(page, "make[latte]", "Completed")
    page.get_by_role("link", name="Order", exact=True).click()
    expect(page.get_by_role("heading", name="Your order")).to_be_visible()


def expect_to_stay(page: Page, button: Locator) -> None:
    """Expect that somebody may press it for as long as they like: nothing new is put into its place as the page refreshes."""
    there = button.element_handle()
    for _ in range(2):  # at the second answer the page has taken the first one
        with page.expect_response(page.url):
            pass
    assert there.evaluate("button => button.isConnected")


def decline(site: Site, page: Page, counter: Page) -> None:
    """A card is declined while the coffee machine is away: what was begun ends, and nothing is handed over."""
    machine = counter.locator(".plugs form", has_text="The coffee machine")
    machine.get_by_role("button", name="Pull the plug").click()
    expect(machine).to_contain_text("unplugged")
    order = order_coffee(page, site.address, "Bob", "Kopi Luwak")

    expect_step(page, "payment", "Failed")
    expect_step(page, "apologise", "Completed")
    expect(page.locator("#next")).to_contain_text("The money did not come", timeout=TURN)
    machine.get_by_role("button", name="Plug in").click()
    expect(page.get_by_role("status").first).to_contain_text("Cancelled on", timeout=TURN)

    assert ("TimelineCancelled", "") in site.events(order)
    assert {("StepCompleted", "hand_over"), ("StepCompleted", "build")}.isdisjoint(site.events(order))
    drinks = page.get_by_role("link", name="Build", exact=True)
    if drinks.count():  # on a busy machine the card may be declined before they are begun
        drinks.click()
        expect(page.get_by_role("status").first).to_contain_text("Cancelled on", timeout=TURN)
