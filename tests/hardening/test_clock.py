"""The clock goes on, whatever it meets, and spins at nothing."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import InterfaceError, OperationalError, connections, transaction

from django_timelines import moments, store
from django_timelines.actors import Actor, ActorType
from django_timelines.engine import clock, family, sightings
from django_timelines.engine.claim import claim
from django_timelines.engine.pause import pause_all
from django_timelines.engine.runner import Runner
from django_timelines.management.ending import told_to_end
from django_timelines.models import Event, Lease, Notice, Run, Sighting
from django_timelines.signals import appended
from django_timelines.testing import drain, travel
from tests.counting import rows_read
from tests.races.at_once import somebody_waits
from tests.shop.here import HERE
from tests.shop.workflows import Order, Visit
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(databases="__all__")


class Turns(threading.Event):
    """Stops the clock after so many turns, and notes the pauses that it would have made."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.left = turns
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        self.left -= 1
        if self.left == 0:
            self.set()
        return self.is_set()


def closed(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    raise InterfaceError("connection already closed")


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_the_clock_outlives_a_connection_that_is_closed_under_it() -> None:
    turns = Turns(3)

    with connections[HERE].execute_wrapper(closed):
        clock.keep_time(turns)
    assert turns.pauses == [1.0, 1.0, 1.0]
    clock.keep_time(Turns(1))

    assert Sighting.objects.filter(name="clock").exists()


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
def test_the_clock_outlives_a_listener_that_would_end_its_thread(error: type[BaseException]) -> None:
    def leave(*args: Any, **kwargs: Any) -> None:
        raise error

    visit, turns = Visit.start(guest="Ada"), Turns(2)
    drain()
    appended.connect(leave)
    try:
        with travel(timedelta(days=4)):
            clock.keep_time(turns)
    finally:
        appended.disconnect(leave)

    assert (Visit.get(visit.pk).arrive.status, turns.left) == ("overdue", 0)


KEEP_TIME = """
import sys
import django
from django.conf import settings
from django.core.management import call_command

settings.DATABASES[sys.argv[1]]["NAME"] = sys.argv[2]
django.setup()
call_command("timelines_clock")
"""


@pytest.fixture
def hanging_clock() -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process that keeps time, and waits for a row that somebody holds."""
    if connections[HERE].vendor != "postgresql":
        pytest.skip("PostgreSQL tells who waits")
    Sighting.objects.create(name="clock", at=moments.now())
    command = [sys.executable, "-c", KEEP_TIME, HERE, str(connections[HERE].settings_dict["NAME"])]

    with transaction.atomic(using=HERE):
        Sighting.objects.select_for_update().get(name="clock")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            eventually(somebody_waits)
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_clock_whose_query_hangs_dies_of_the_second_signal(
    number: signal.Signals, hanging_clock: "subprocess.Popen[bytes]"
) -> None:
    def is_dead() -> bool:
        hanging_clock.send_signal(number)
        return hanging_clock.poll() is not None

    eventually(is_dead)

    assert hanging_clock.returncode == -number


def test_what_new_code_asks_for_keeps_the_clock_from_nothing_when_it_fails(monkeypatch: Any) -> None:
    def fail(using: str) -> None:
        raise ValueError("It does not work.")

    visit = Visit.start(guest="Ada")
    drain()
    new = clock.Clock(HERE)
    monkeypatch.setattr(new, "_chores", [fail, *new._chores])

    with travel(timedelta(days=4)), pytest.raises(ValueError, match="It does not work"):
        new.turn()

    assert Visit.get(visit.pk).arrive.status == "overdue"
    assert new._chores == [fail]


def test_what_new_code_asks_for_is_looked_at_each_minute_while_old_processes_may_end(monkeypatch: Any) -> None:
    looks = []

    def look(using: str) -> bool:
        looks.append(using)
        return len(looks) in (2, 3)  # some is left then

    new = clock.Clock(HERE)
    monkeypatch.setattr(new, "_chores", [look])

    turns = ((0, 1), (59, 1), (61, 2), (62, 3), (63, 4), (64, 4), (130, 5), (595, 6), (660, 6), (7200, 6))
    for seconds, looked in turns:
        with travel(timedelta(seconds=seconds)):
            new.turn()
        assert len(looks) == looked


def test_the_clock_waits_before_it_looks_again_at_what_it_cannot_look_at(settings: Any) -> None:
    Order.start(customer="Ada")
    settings.TIMELINES = {**settings.TIMELINES, "PLACEMENT": 5}  # no dict: whoever reads it raises

    with travel(timedelta(seconds=10)):
        looked_at = [clock.tick(HERE), clock.tick(HERE), clock.tick(HERE)]

    assert looked_at == [1, 0, 0]


def test_what_the_clock_cannot_look_at_does_not_keep_it_from_the_rest(settings: Any) -> None:
    Order.start(customer="Ada")
    Order.start(customer="Bob")
    settings.TIMELINES = {**settings.TIMELINES, "PLACEMENT": 5}

    with travel(timedelta(seconds=10)):
        assert clock.tick(HERE) == 2

    assert list(Run.objects.values_list("status", "rings")) == [("due", 2), ("due", 2)]  # rung for at the start, too


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("workflow", ["", "shop.Order"])
def test_the_clock_rests_while_what_is_due_is_paused(workflow: str, caplog: pytest.LogCaptureFixture) -> None:
    Order.start(customer="Ada")
    pause_all("the bad day", *filter(None, [workflow]))
    caplog.clear()
    turns = Turns(2)

    with travel(timedelta(seconds=10)):
        clock.keep_time(turns)

    assert (turns.pauses, caplog.messages) == ([1.0, 1.0], [])


def test_a_clock_of_one_turn_has_been_seen() -> None:
    order = Order.start(customer="Ada")
    assert "No clock has been seen" in str(order.timeline.explain())

    call_command("timelines_clock", "--once", stdout=StringIO())

    assert "No clock has been seen" not in str(order.timeline.explain())


def test_a_signal_that_comes_while_the_process_looks_whether_it_is_to_end_ends_it() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    told = told_to_end()
    handlers = [signal.signal(number, handler) for number, handler in before.items()]

    for handler in handlers:
        told.clear()
        has_it, heard = threading.Event(), threading.Event()

        def look(has_it: threading.Event, heard: threading.Event) -> None:
            with told._cond:  # type: ignore[attr-defined]  # as wait() has it for a moment
                has_it.set()
                assert heard.wait(20)

        looking = threading.Thread(target=look, args=[has_it, heard])
        looking.start()
        has_it.wait(20)
        try:
            handler(0, None)
            heard.set()
        finally:
            for number, former in before.items():
                signal.signal(number, former)
        assert told.wait(20)
        looking.join(20)


def test_a_timeline_with_many_notices_that_it_cannot_take_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(family, "MANY", 2)
    deaf, other = uuid.uuid4(), uuid.uuid4()
    for timeline in (deaf, deaf, deaf, other):
        Notice.objects.create(timeline=timeline, source=uuid.uuid4(), sequence=1, kind=Notice.ENDED)

    assert set(family.unheard(HERE)) == {deaf, other}


def test_a_look_reads_no_state_of_what_it_rings_for() -> None:
    for name in ("Ada", "Bob", "Cleo"):
        Order.start(customer=name)

    with travel(timedelta(seconds=10)), rows_read(HERE) as read:
        assert clock.tick(HERE) == 3

    assert (read["run"] > 0, read["states"]) == (True, 0)


def test_what_is_overdue_is_found_without_its_state(deploy: Any) -> None:
    deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, manual=True, within=timedelta(hours=1))
            def sign(self): ...
    """).start()
    drain()

    with travel(timedelta(hours=2)), rows_read(HERE) as read:
        clock.settle_due_deadlines(HERE)

    assert read["states"] == 0
    assert Event.objects.filter(type="StepOverdue").exists()


def read_only(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if not sql.startswith("SELECT"):
        raise OperationalError("database is locked")
    return execute(sql, params, many, context)


class Passing:
    """Time as no clock that can be set tells it; it passes as a test says."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def by(self, seconds: float) -> None:
        """Let time pass, for leases, too."""
        self.at += seconds
        moments.offset += timedelta(seconds=seconds)


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Passing]:
    """Let a clock's time pass as the test says."""
    passing = Passing()
    for module in (clock, sightings):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: passing.at), raising=False)
    yield passing
    moments.offset = timedelta(0)


def executed() -> Order:
    """Return an order of which a worker executes a step, which is not to be done twice."""
    order = Order.start(customer="Ada")
    drain()
    order.pay(amount=1)
    worker = Runner(Actor(ActorType.WORKER, "busy", "busy"), "embedded", HERE)
    assert claim(order.pk, ("send", ""), Run.objects.get(step="send").fence, worker)
    return order


def send_status(order: Order) -> str:
    return str(Order.get(order.pk).send.status)


def turn_for(new: clock.Clock, passing: Passing, seconds: int) -> None:
    for _ in range(seconds):
        passing.by(1)
        new.turn()


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("away", [closed, read_only])
def test_after_a_time_in_which_a_clock_could_not_write_a_living_attempt_has_time_for_a_heartbeat(
    away: Any, passing: Passing
) -> None:
    new, order = clock.Clock(HERE), executed()
    new.turn()

    with connections[HERE].execute_wrapper(away):
        for _ in range(61):
            passing.by(1)
            with suppress(InterfaceError, OperationalError):
                new.turn()
    turn_for(new, passing, 1)
    before = send_status(order)
    store.heartbeat(HERE, [Lease.objects.get().holder], 60)
    turn_for(new, passing, 25)

    assert (before, send_status(order)) == ("running", "running")
    turn_for(new, passing, 40)  # no other heartbeat came, and it could look all the time
    assert send_status(order) == "blocked"


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_after_a_time_in_which_nobody_could_write_what_nobody_keeps_is_rescued_a_third_of_a_lease_later(
    passing: Passing,
) -> None:
    new, order = clock.Clock(HERE), executed()
    new.turn()
    passing.by(70)  # it stood still

    turn_for(new, passing, 20)
    assert (send_status(order), new.until_next()) == ("running", 1.0)
    turn_for(new, passing, 1)
    assert send_status(order) == "blocked"


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize(("looks_again", "status"), [(True, "running"), (False, "blocked")])
def test_a_clock_that_begins_rescues_at_once_only_if_it_does_not_look_again(
    looks_again: bool, status: str, passing: Passing
) -> None:
    order = executed()
    passing.by(61)

    clock.Clock(HERE, **({"looks_again": True} if looks_again else {})).turn()

    assert send_status(order) == status


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_clock_that_always_fails_at_something_else_rescues_when_a_lease_ends(
    passing: Passing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise ValueError("It does not work.")

    new, order = clock.Clock(HERE), executed()
    monkeypatch.setattr(clock, "keep_schedules", fail)

    for _ in range(61):
        passing.by(1)
        with suppress(ValueError):
            new.turn()

    assert send_status(order) == "blocked"
