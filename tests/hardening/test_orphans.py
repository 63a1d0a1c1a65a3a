"""A query whose body was interrupted does not go on in the database."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from django_timelines.engine import orphans
from django_timelines.engine import stopping as stopping_engine
from django_timelines.engine.stopping import stop
from django_timelines.placements import stopping
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.workflows import AT_LEAST_ONCE, Retry, Workflow, step
from tests.races.at_once import Started, at_once
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import ran
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

VENDOR = connections[HERE].vendor
LONG_SECONDS = 90  # and more, for which nobody waits
LONG = {"postgresql": "SELECT pg_sleep(100)", "mysql": "SELECT BENCHMARK(2000000000, MD5('seat'))"}
AT_WORK = {
    "postgresql": "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'",
    "mysql": "SELECT info FROM information_schema.processlist WHERE db = DATABASE() AND info IS NOT NULL",
}


@pytest.fixture(autouse=True)
def in_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database hear that a query is over, and the worker give it back, however slow the machine is."""
    monkeypatch.setattr(orphans, "PATIENCE", 30)
    monkeypatch.setattr(stopping_engine, "LAST", 60)
    monkeypatch.setattr(stopping_engine, "MOMENT", 30)


class Seat(Workflow):
    """Its steps take the same row. The first attempt takes too long for that."""

    @step
    def begin(self) -> None: ...

    @step(after=begin, manual=True, timeout=timedelta(seconds=4), retry=Retry(2))
    def inside(self) -> None:
        take("inside", ask)

    @step(after=begin, manual=True, timeout=timedelta(seconds=4), retry=Retry(2))
    def inside_a_block(self) -> None:
        with transaction.atomic(using=HERE):
            take("inside_a_block", ask)

    @step(after=begin, manual=True, timeout=timedelta(seconds=4), retry=Retry(2))
    def with_the_driver(self) -> None:
        take("with_the_driver", lambda: connections[HERE].connection.cursor().execute(LONG[VENDOR]))

    @step(after=begin, manual=True)
    def without_limit(self) -> None:
        take("without_limit", ask)

    @step(after=begin, manual=True, timeout=timedelta(seconds=4), retry=Retry(2), delivery=AT_LEAST_ONCE)
    def outside(self) -> None:
        with transaction.atomic(using=HERE):
            take("outside", ask)


def take(name: str, wait: Callable[[], Any]) -> None:
    ran[name] += 1
    Entry.objects.filter(text="seat").update(text="taken")
    if ran[name] == 1:
        wait()


def ask() -> None:
    with connections[HERE].cursor() as cursor:
        cursor.execute(LONG[VENDOR])


def goes_on() -> bool:
    """Tell whether the database still works on it."""
    with connections[HERE].cursor() as cursor:
        cursor.execute(AT_WORK[VENDOR])
        return (LONG[VENDOR],) in cursor.fetchall()


def in_a_thread() -> None:
    at_once(drain)


def called(name: str, place: Any) -> Seat:
    """Return a timeline on which a worker is to do this step."""
    place(Seat._declaration.label, background="rq:default", **{name: "rq:default"})
    Entry.objects.create(text="seat")
    seat = Seat.start()
    drain()
    getattr(seat, name)()
    return seat


@pytest.mark.parametrize("work", [drain, in_a_thread])
@pytest.mark.parametrize("name", ["inside", "inside_a_block", "with_the_driver", "outside"])
def test_the_next_attempt_does_not_wait_for_the_query_of_the_one_that_was_interrupted(
    name: str, work: Callable[[], Any], place: Any
) -> None:
    if VENDOR == "sqlite" or (VENDOR == "mysql" and work is in_a_thread):
        pytest.skip("a query of this driver is not interrupted there")
    seat, began = called(name, place), time.monotonic()

    with recorded_errors():
        work()
    eventually(lambda: not goes_on())
    with travel(timedelta(minutes=10)):
        work()

    assert time.monotonic() - began < LONG_SECONDS
    assert (ran[name], getattr(Seat.get(seat.pk), name).status) == (2, "completed")
    assert [event.data["error"]["type"] for event in seat.timeline.events.filter(type="AttemptFailed")] == [
        "TimeoutError"
    ]


def test_nor_for_that_of_a_worker_that_was_told_to_end(place: Any) -> None:
    if VENDOR != "postgresql":
        pytest.skip("a query of this driver is not interrupted in a thread")
    seat = called("without_limit", place)

    worker = Started(drain)
    eventually(goes_on)
    stop(0)
    eventually(lambda: not goes_on())
    worker.answer()
    stopping.clear()
    drain()

    assert (ran["without_limit"], Seat.get(seat.pk).without_limit.status) == (2, "completed")
