"""A projection follows each event once, in one transaction with its place, and misses none."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, DatabaseError, IntegrityError, connections, transaction

from django_timelines import following as known
from django_timelines import moments
from django_timelines.engine import follow as following_engine
from django_timelines.engine.follow import follow_all, keep_following
from django_timelines.engine.projecting import begin_new
from django_timelines.engine.rebuild import ask
from django_timelines.models import Event, News, Place, Projection
from django_timelines.testing import drain, recorded_errors, travel
from tests.shop.here import HERE

from .conftest import follow_to_the_end
from .models import Account, Seen
from .projections import Accounts
from .workflows import Gift, Letter, Sale, Visit

pytestmark = pytest.mark.django_db(databases="__all__")


def totals() -> dict[str, int]:
    return dict(Account.objects.values_list("customer", "total"))


def sell(customer: str, *amounts: int) -> Sale:
    sale = Sale.start(customer=customer)
    for pay, amount in zip((sale.pay, sale.pay_again), amounts, strict=False):
        pay(amount=amount)
    return sale


def row(label: str = "ledger.Accounts") -> Projection:
    return Projection.objects.get(pk=label)


def test_an_event_is_followed_once() -> None:
    sell("Ada", 5)
    sell("Ada", 2, 3)

    follow_to_the_end()
    follow_to_the_end()

    assert totals() == {"Ada": 10}


def test_what_comes_later_is_followed_from_the_place_on() -> None:
    sale = sell("Ada", 5)
    follow_to_the_end()

    sale.pay_again(amount=7)
    follow_to_the_end()

    assert totals() == {"Ada": 12}
    assert Place.objects.get(timeline=sale.pk, projection="ledger.Accounts").sequence == sale.timeline.head


def test_drain_follows_too_and_runs_what_reactions_made_due() -> None:
    sell("Ada", 5)

    drain()
    sell("Grace", 4)
    drain()

    assert totals() == {"Ada": 5, "Grace": 4}
    assert Letter.timelines.count() == 2
    assert {letter.status for letter in Letter.timelines.all()} == {"completed"}


def test_a_handler_is_given_the_events_of_its_workflow_alone() -> None:
    Visit.start(customer="Ada")

    follow_to_the_end()
    follow_to_the_end("ledger.History")

    assert totals() == {}
    assert Seen.objects.filter(type="Received").count() == 1


def test_a_handler_is_given_the_events_of_its_step_alone() -> None:
    sale = sell("Ada", 5, 6)
    Gift.start(customer="Ada").pay()

    follow_to_the_end("ledger.History")

    assert Seen.objects.filter(type="StepCompleted").count() == 1
    types = [seen.type for seen in Seen.objects.filter(timeline=sale.pk).order_by("sequence")]
    assert types == ["TimelineStarted", "Received", "StepCompleted", "Received"]


def test_an_event_of_an_older_version_is_given_as_the_newer_one() -> None:
    sale = sell("Ada", 5)
    Event.objects.filter(timeline=sale.pk, type="Received").update(version=1, data={"cents": 900})

    follow_to_the_end()

    assert totals() == {"somebody": 9}


def test_an_event_of_a_version_that_the_code_does_not_know_stops_it() -> None:
    sale = sell("Ada", 5)
    Event.objects.filter(timeline=sale.pk, type="Received").update(version=3)

    follow_to_the_end()

    assert "recorded in version 3, and the code knows 2" in row().error
    assert totals() == {}


def test_news_is_written_for_those_alone_who_follow_such_events() -> None:
    Letter.start(to="Ada")

    assert list(News.objects.values_list("projection", flat=True)) == ["ledger.History"]


def test_an_event_without_news_is_found_by_the_walk() -> None:
    sale = sell("Ada", 5)
    follow_to_the_end()
    sale.pay_again(amount=7)
    sell("Grace", 1)
    News.objects.all().delete()  # the release before does not know the projection

    follow_to_the_end()
    assert totals() == {"Ada": 5}
    with travel(timedelta(minutes=11)):
        follow_to_the_end()

    assert totals() == {"Ada": 12, "Grace": 1}


@pytest.mark.parametrize("span", [2, 6])
def test_a_walk_in_small_parts_passes_everything(span: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_engine, "SPAN", span)
    monkeypatch.setattr(following_engine, "MOST_TIMELINES", 2)
    for number in range(7):
        sell(f"customer {number}", 1, 2)
        Letter.start(to="nobody")
    News.objects.all().delete()

    follow_to_the_end()

    assert totals() == {f"customer {number}": 3 for number in range(7)}
    assert (row().walked, row().has_walked) == (None, True)


def test_a_walk_goes_on_behind_what_it_has_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_engine, "MOST_EVENTS", 3)
    letter, _, cut, _ = Letter.start(to="nobody"), sell("Ada", 1, 2), sell("Grace", 3, 4), sell("Eve", 5, 6)
    News.objects.all().delete()

    following_engine.begin_new(HERE)

    following_engine.follow(known.get("ledger.Accounts"), HERE)
    assert totals() == {"Ada": 3, "Grace": 3}
    assert letter.pk < row().walked < cut.pk
    follow_to_the_end()

    assert totals() == {"Ada": 3, "Grace": 7, "Eve": 11}
    assert (row().walked, row().has_walked) == (None, True)


def test_a_timeline_of_more_events_than_one_transaction_takes_is_followed_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following_engine, "MOST_EVENTS", 1)
    follow_to_the_end()  # so that the walk is done
    for customer in ("Ada", "Grace"):
        sell(customer, 5, 6)

    follow_to_the_end()

    assert totals() == {"Ada": 11, "Grace": 11}
    assert not News.objects.filter(projection="ledger.Accounts").exists()


def test_a_projection_stops_at_the_event_at_which_its_handler_fails(cause: Any) -> None:
    def fail_at_seven(event: Any) -> None:
        if event.data.amount == 7:
            raise ValueError("No sevens.")

    follow_to_the_end()
    sell("Ada", 5)
    sale = sell("Grace", 6, 7)
    sell("Eve", 8)
    cause(fail_at_seven)

    follow_to_the_end()
    follow_to_the_end()

    stopped = Event.objects.get(timeline=sale.pk, type="Received", sequence__gt=8)
    assert totals() == {"Ada": 5, "Grace": 6}
    assert (row().stopped_timeline, row().stopped_sequence) == (sale.pk, stopped.sequence)
    assert row().error.startswith(f"count failed at event {stopped.sequence} of {sale.pk}. ValueError: No sevens.")
    assert row().retry is not None


@pytest.mark.parametrize("method", ["clear", "__init__"])
def test_the_others_go_on_whichever_method_fails(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any) -> None:
        raise ValueError("not today")

    monkeypatch.setattr(Accounts, method, fails)
    sell("Ada", 5)
    if method == "clear":
        ask(Accounts.label)

    while follow_all(HERE):
        pass

    assert Seen.objects.filter(type="Received").count() == 1
    assert row().error.startswith(f"{method} failed. ValueError: not today")
    assert (row().tries, row().stopped_sequence) == (1, None)


def _swallow(event: Any) -> None:
    """Make it if it is not there, as is often done, and mostly right outside of a transaction."""
    Account.objects.get_or_create(customer="Eve")
    with suppress(IntegrityError):
        Account.objects.create(customer="Eve")


def _swallow_of_a_cursor(event: Any) -> None:
    with suppress(DatabaseError), connections[HERE].cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


@pytest.mark.parametrize("last", ["count", "flush"])
@pytest.mark.parametrize("swallow", [_swallow, _swallow_of_a_cursor])
def test_a_projection_stops_where_a_method_swallows_an_error_of_the_database(
    swallow: Any, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if swallow is _swallow_of_a_cursor and connections[HERE].vendor != "postgresql":
        pytest.skip("Only PostgreSQL goes on with nothing after an error")
    monkeypatch.setattr(Accounts, "count", lambda self, event: None)
    monkeypatch.setattr(Accounts, "thank", lambda self, event: None)
    monkeypatch.setattr(Accounts, last, lambda self, event=None: swallow(event))
    sale = sell("Ada", 5)

    with recorded_errors():
        while follow_all(HERE):
            pass

    where = {"count": f"count failed at event 8 of {sale.pk}. ", "flush": "flush failed. "}
    assert row().error.startswith(f"{where[last]}django.db.transaction.TransactionManagementError: It caught an error")
    assert Seen.objects.filter(type="Received").count() == 1


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_projection_stops_at_the_event_whose_rows_the_database_refuses_only_at_the_commit(cause: Any) -> None:
    if HERE != DEFAULT_DB_ALIAS:
        pytest.skip("What it refers to is in another database")

    def refer_to_nothing(event: Any) -> None:
        if event.data.amount == 7:
            Permission.objects.using(HERE).create(name="x", codename="x", content_type_id=99_999)

    sell("Ada", 5, 6)
    sale = sell("Grace", 1, 7)
    sell("Eve", 8, 9)
    cause(refer_to_nothing)

    with recorded_errors():
        while follow_all(HERE):
            pass

    stopped = sale.timeline.events.filter(type="Received").latest("sequence").sequence
    assert totals() == {"Ada": 11, "Grace": 1}
    assert (row().stopped_timeline, row().stopped_sequence, row().tries) == (sale.pk, stopped, 1)
    assert f" failed at event {stopped} of {sale.pk}. django.db.utils.IntegrityError: " in row().error
    Place.objects.filter(timeline=sale.pk).update(sequence=sale.timeline.head)
    with pytest.raises(CommandError, match=r"(the commit|count) failed"):
        call_command("timelines", "rebuild", Accounts.label)
    assert totals() == {"Ada": 11, "Grace": 1}


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize(
    "said", ["django.db.transaction.TransactionManagementError: It left", "ValueError: No sevens."]
)
def test_a_projection_stops_where_a_handler_leaves_a_transaction_open(said: str, cause: Any) -> None:
    def leave_open(event: Any) -> None:
        transaction.atomic(using=HERE).__enter__()
        if said.endswith("No sevens."):
            raise ValueError("No sevens.")

    cause(leave_open)
    sale = sell("Ada", 5)

    with recorded_errors():
        while follow_all(HERE):
            pass

    assert not connections[HERE].in_atomic_block
    assert row().error.startswith(f"count failed at event 8 of {sale.pk}. {said}")
    assert (totals(), Seen.objects.filter(type="Received").count()) == ({}, 1)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_what_mariadb_has_rolled_back_is_begun_again_though_a_handler_swallows_the_error(cause: Any) -> None:
    if connections[HERE].vendor != "mysql":
        pytest.skip("Elsewhere nothing can be written after such an error")
    runs: list[Any] = []

    def lose(event: Any) -> None:
        runs.append(event.sequence)
        if len(runs) == 1:
            with suppress(DatabaseError), connections[HERE].cursor() as cursor:
                cursor.execute("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'")

    cause(lose)
    sell("Ada", 5)

    follow_to_the_end()

    assert (totals(), len(runs)) == ({"Ada": 5}, 2)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_the_others_go_on_whatever_is_raised_once_a_projection_has_written(cause: Any) -> None:
    sell("Ada", 5)
    cause(lambda event: transaction.on_commit(lambda: 1 / 0, using=HERE))

    with pytest.raises(ZeroDivisionError):
        follow_all(HERE)

    assert Seen.objects.exists()


def test_the_others_go_on(cause: Any) -> None:
    cause(lambda event: 1 / 0)
    sell("Ada", 5)

    with recorded_errors():
        while follow_all(HERE):
            pass

    assert totals() == {}
    assert Seen.objects.filter(type="Received").count() == 1


class Busy(threading.Event):
    """Let somebody pay before each look, until the walk has come to its end, or never does."""

    looks = 0

    def is_set(self) -> bool:
        self.looks += 1
        sell("Ada", 5)
        return row().has_walked or self.looks == 10


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_walk_goes_on_though_there_are_always_news() -> None:
    begin_new(HERE)
    busy = Busy()

    keep_following(busy)

    assert busy.looks < 10


def test_it_goes_on_by_itself_once_the_code_is_mended(cause: Any) -> None:
    from .projections import trouble

    sell("Ada", 5)
    cause(lambda event: 1 / 0)
    with moments.standing_still():
        follow_to_the_end()
        trouble.clear()
        follow_to_the_end()
    assert totals() == {}
    with travel(timedelta(seconds=6)):
        follow_to_the_end()

    assert totals() == {"Ada": 5}
    assert (row().error, row().tries, row().retry, row().stopped_timeline) == ("", 0, None, None)


def test_the_tries_are_ever_further_apart(cause: Any) -> None:
    cause(lambda event: 1 / 0)
    sell("Ada", 5)
    waits = []
    with moments.standing_still():
        for _ in range(3):
            follow_to_the_end()
            retry = row().retry
            assert retry is not None
            waits.append(round((retry - moments.now()).total_seconds()))
            moments.offset += timedelta(seconds=waits[-1] + 1)

    assert waits == [5, 10, 20]


def test_drain_raises_what_a_handler_raised(cause: Any) -> None:
    cause(lambda event: 1 / 0)
    sell("Ada", 5)

    with pytest.raises(ZeroDivisionError):
        drain()


def test_a_handler_that_exits_ends_nobody(cause: Any) -> None:
    def leave(event: Any) -> None:
        raise SystemExit(3)

    cause(leave)
    sell("Ada", 5)

    follow_to_the_end()

    assert "SystemExit(3)" in row().error


def test_an_error_that_cannot_be_told_stops_a_projection_as_any_other(cause: Any) -> None:
    class Odd(Exception):
        @property
        def __notes__(self) -> list[str]:
            sys.exit(3)

    def fail(event: Any) -> None:
        raise Odd("not this one")

    cause(fail)
    sell("Ada", 5)

    follow_to_the_end()

    assert "Odd: not this one" in row().error
