"""Two answers of one session at once: each is saved as a whole, and what the other has noted of timelines stays."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from django_timelines import policy
from django_timelines.testing import drain
from tests.shop.workflows import Order

pytestmark = pytest.mark.django_db
STORED = ["db", "cache", "cached_db", "file"]
others: list[Callable[[], Any]] = []  # what happens before the next answer is sent


def slowly(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Let others be answered after a view has done its work, and before its answer is sent."""

    def answer(request: Any) -> Any:
        response = get_response(request)
        while others:
            others.pop()()
        return response

    return answer


@pytest.fixture(autouse=True)
def routed(settings, tmp_path) -> None:
    settings.DEBUG = True  # anybody may begin
    settings.SESSION_FILE_PATH = tmp_path
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.slowly"]


def tab_of(browser: Client) -> Client:
    """Return another tab of this browser."""
    tab = Client()
    tab.cookies = browser.cookies
    return tab


def begun(tab: Any) -> str:
    """Order in this tab; return the address of the order's page."""
    return tab.post("/timelines/start/shop.Order/", {"customer": "ada", "amount": "1"})["Location"]


def status_of(browser: Client, *addresses: str) -> list[int]:
    return [browser.get(address).status_code for address in addresses]


@pytest.mark.parametrize("engine", STORED)
def test_what_is_begun_in_another_tab_while_a_call_is_answered_is_this_sessions_still(client, settings, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    first, second = begun(client), ""
    drain()

    def begin_another() -> None:
        nonlocal second
        second = begun(tab_of(client))

    others.append(begin_another)
    answer = client.post(first, {"timelines-step": "pay", "amount": "5"})

    assert answer.status_code == 302
    assert status_of(client, first, second) == [200, 200]
    assert status_of(Client(), second) == [404]


@pytest.mark.parametrize("known", [1, policy.REMEMBERED])
def test_a_script_begins_two_at_once_and_its_session_knows_both(client, known):
    addresses = []

    def begin() -> None:
        body = {"workflow": "shop.Order", "input": {"customer": "ada"}}
        answer = tab_of(client).post("/timelines/api/", body, content_type="application/json")
        addresses.append(answer["Location"])

    for _known in range(known):
        begin()
    others.append(begin)
    begin()

    assert status_of(client, *addresses[-2:]) == [200, 200]
    assert len(client.session[policy.SESSION_KEY]) == min(known + 2, policy.REMEMBERED)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_an_async_view_leaves_what_another_answer_has_noted(client):
    addresses = [begun(client)]
    visitor = AsyncClient()
    visitor.cookies = client.cookies

    others.append(lambda: addresses.append(begun(tab_of(client))))
    pk = async_to_sync(visitor.get)("/order/async/?customer=ada").content.decode()

    assert status_of(client, *addresses, Order.get(pk).get_absolute_url()) == [200, 200, 200]


def test_what_was_noted_is_not_brought_back_to_who_logs_out_meanwhile(client, ada):
    client.force_login(ada)
    begun(client)
    address = begun(client)

    others.append(tab_of(client).logout)
    answer = client.post("/timelines/start/shop.Order/", {"customer": "ada", "amount": "1"})

    assert answer.status_code == 400  # Django's answer: the session is gone
    assert not Session.objects.exists()
    client.cookies.clear()
    assert status_of(client, address) == [404]


def test_a_request_that_notes_nothing_reads_its_session_once(client):
    address = begun(client)

    with CaptureQueriesContext(
        connection,
    ) as asked:
        client.get(address)

    assert len([query for query in asked.captured_queries if "django_session" in query["sql"]]) == 1


def test_a_session_in_a_cookie_is_noted_in_as_ever(client, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

    assert status_of(client, begun(client), begun(client)) == [200, 200]
