"""The list of timelines."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_timelines import moments
from django_timelines.actors import acting, of_user
from django_timelines.exceptions import PermanentFailure
from django_timelines.models import Timeline
from django_timelines.state import TimelineStatus
from django_timelines.testing import drain, recorded_errors, travel
from tests.shop.workflows import Supper, plan

from .conftest import LIST, a_parcel
from .workflows import Gift, Parcel

pytestmark = pytest.mark.django_db(transaction=True)


def names(response) -> list[str]:
    return [str(timeline.pk) for timeline in response.context["cl"].result_list]


def test_the_list_says_what_each_timeline_is_and_where_it_stands(root: Client, blocked: Parcel) -> None:
    with acting(of_user(User.objects.get(username="grace"))):
        a_parcel(key="order-17")

    text = root.get(LIST).content.decode()

    assert "Parcel order-17" in text
    assert f"Parcel {str(blocked.pk)[:18]}" in text
    assert '<span class="timelines-badge timelines-blocked">Blocked</span>' in text
    assert '<span class="timelines-badge timelines-waiting">Waiting</span>' in text
    assert "Weigh is blocked after attempt 1" in text
    assert "Hand over waits for a call until" in text
    assert '<span class="timelines-quiet">grace</span>' in text


def test_fifty_rows_cost_as_many_queries_as_five(root: Client, django_assert_num_queries) -> None:
    queries = 8

    for _number in range(5):
        Parcel.start(name="one")
    drain()
    with django_assert_num_queries(queries):
        root.get(LIST)

    for _number in range(45):
        Parcel.start(name="one")
    drain()
    with django_assert_num_queries(queries):
        assert len(root.get(LIST).context["cl"].result_list) == 50


def test_the_list_never_reads_a_state_and_never_counts_timelines(
    root: Client, blocked: Parcel, django_assert_num_queries
) -> None:
    with django_assert_num_queries(8) as queries:
        root.get(LIST, {"status": "blocked", "workflow": "workflows.Parcel"})

    statements = [query["sql"] for query in queries.captured_queries if "django_timelines" in query["sql"]]
    assert not [statement for statement in statements if re.search(r'"state"|COUNT\(\*\)|OFFSET', statement)]


def test_pages_follow_one_another_by_key(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_timelines.admin.timelines.TimelineAdmin.list_per_page", 2)
    pks = [str(Parcel.start(name="one").pk) for _number in range(5)][::-1]

    first = root.get(LIST)
    second = root.get(LIST + first.context["cl"].older_query)
    third = root.get(LIST + second.context["cl"].older_query)
    back = root.get(LIST + third.context["cl"].newer_query)
    front = root.get(LIST + back.context["cl"].newer_query)

    assert [names(page) for page in (first, second, third)] == [pks[:2], pks[2:4], pks[4:]]
    assert first.context["cl"].newer_query is None
    assert third.context["cl"].older_query is None
    assert names(back) == pks[2:4]
    assert names(front) == pks[:2]
    assert front.context["cl"].newer_query is None
    assert f'<a href="{first.context["cl"].older_query}" rel="next">Older</a>' in first.content.decode()


def test_a_page_keeps_its_filter_and_a_filter_begins_at_the_newest(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_timelines.admin.timelines.TimelineAdmin.list_per_page", 1)
    for _number in range(3):
        Parcel.start(name="one")

    second = root.get(LIST + root.get(LIST, {"status": "running"}).context["cl"].older_query)

    assert "status=running" in second.context["cl"].older_query
    cl = second.context["cl"]
    links = [choice["query_string"] for spec in cl.filter_specs for choice in spec.choices(cl)]
    assert not [link for link in links if "before=" in link]
    assert "before=" not in second.context["cl"].newest_query


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "blocked"}, ["blocked"]),
        ({"workflow": "workflows.Gift"}, ["gift"]),
        ({"workflow": "workflows.Parcel", "status": "waiting"}, ["parcel"]),
        ({"status": "no such status"}, []),
    ],
)
def test_filters(root: Client, blocked: Parcel, query: dict[str, str], found: list[str]) -> None:
    rows = {"blocked": blocked.pk, "parcel": a_parcel().pk}
    rows["gift"] = Gift.start(receiver=User.objects.get(username="grace")).pk

    assert names(root.get(LIST, query)) == [str(rows[name]) for name in found]


def test_the_workflow_filter_offers_what_only_the_database_still_has(root: Client, forgotten: Timeline) -> None:
    response = root.get(LIST, {"workflow": "workflows.Forgotten"})

    assert names(response) == [str(forgotten.pk)]
    assert '<a href="?workflow=workflows.Forgotten">Forgotten</a>' in response.content.decode()


@pytest.mark.usefixtures("keys_by_our_clock")
def test_search_finds_by_id_by_its_beginning_by_key_and_by_starter(root: Client) -> None:
    # a key's first eight digits are others every 2**16 ms: begin when they have just changed
    travel(timedelta(milliseconds=-int(moments.now().timestamp() * 1000) % 2**16))
    user = User.objects.create_user("lena")
    with acting(of_user(user)):
        parcel = a_parcel(key="order 17")
    pk = str(parcel.pk)
    a_parcel()

    for term in (pk, parcel.pk.hex, pk.upper(), f" {pk} ", pk[:18] + pk[19:], "order 17", "lena", str(user.pk)):
        assert names(root.get(LIST, {"q": term})) == [pk], term
    assert len(names(root.get(LIST, {"q": pk[:8]}))) == 2


def test_search_finds_a_person_by_name_or_address_and_what_is_about_them(root: Client) -> None:
    user = User.objects.create_user("helena.k", "lena@example.org")
    a_parcel()
    about = Gift.start(receiver=user)
    with acting(of_user(user)):
        started = a_parcel()

    for term in ("helena.k", "helena", "lena@example.org", "lena@"):
        assert names(root.get(LIST, {"q": term})) == [str(started.pk), str(about.pk)], term
    assert names(root.get(LIST, {"q": "elena"})) == []
    assert names(root.get(LIST, {"q": "he"})) == []


def test_who_may_not_see_users_does_not_find_them_by_a_beginning_or_an_address(staff) -> None:
    gift = Gift.start(receiver=User.objects.create_user("helena", "lena@example.org"))
    client = staff("view")

    assert names(client.get(LIST, {"q": "helena"})) == [str(gift.pk)]
    assert names(client.get(LIST, {"q": "hele"})) == []
    assert names(client.get(LIST, {"q": "lena@example.org"})) == []


def test_a_search_for_a_person_costs_a_few_queries_and_reads_no_text_of_a_payload(
    root: Client, django_assert_max_num_queries
) -> None:
    for number in range(20):
        Gift.start(receiver=User.objects.create_user(f"helena{number}"))

    with django_assert_max_num_queries(25) as queries:
        assert len(names(root.get(LIST, {"q": "helena"}))) == 5

    assert not [query["sql"] for query in queries.captured_queries if "%helena" in query["sql"]]


def test_the_filter_offers_each_status_and_finds_children_that_failed(root: Client) -> None:
    plan["charge"] = no_money
    supper = Supper.start(guest="Ada", dishes=[])
    with recorded_errors():
        drain()

    text = root.get(LIST).content.decode()

    assert [status for status in TimelineStatus if f'href="?status={status}"' not in text] == []
    assert names(root.get(LIST, {"status": "failed"})) == [str(supper.timeline.children.get().pk)]


def no_money(workflow: Any) -> None:
    raise PermanentFailure("There is no money.")


@pytest.mark.parametrize(
    "term",
    [
        "order",
        "' OR 1=1 --",
        "%",
        "\\",
        "\x00",
        "é" * 3000,
        "f" * 33,
        "-" * 40,
        "state__fields",
        "zzzzzzzz",
        "🦒" * 100,
    ],
)
def test_garbage_finds_nothing_and_harms_nothing(root: Client, term: str) -> None:
    a_parcel(key="order 17")

    response = root.get(LIST, {"q": term})

    assert response.status_code == 200
    assert term == "\x00" or names(response) == []


@pytest.mark.parametrize("query", ["before=x", "after=%00", "before=1&after=2", "after=" + "9" * 5000])
def test_a_garbled_page_goes_back_to_the_first(root: Client, query: str) -> None:
    assert root.get(f"{LIST}?{query}")["Location"] == f"{LIST}?e=1"


@pytest.mark.parametrize("query", ["state__icontains=a", "events__data__icontains=a", "key__contains=a", "nonsense=1"])
def test_an_address_cannot_ask_for_what_reads_each_row(root: Client, query: str) -> None:
    assert root.get(f"{LIST}?{query}").status_code == 400


@pytest.mark.parametrize("query", ["o=5", "o=-1.2", "p=900", "all=", "_facets=True"])
def test_the_order_is_always_by_age(root: Client, query: str) -> None:
    pks = [str(Parcel.start(name="one").pk) for _number in range(3)]

    assert names(root.get(f"{LIST}?{query}")) == pks[::-1]


def test_an_empty_list_says_so(root: Client) -> None:
    assert "No timeline fits." in root.get(LIST).content.decode()
