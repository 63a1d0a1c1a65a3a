"""Bodies that end a process, hang, fork, leak or break what they were given: the attempt fails and says so; its worker lives."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from django_timelines.engine import interrupt
from django_timelines.engine import stopping as stopping_module
from django_timelines.engine.answer import answer
from django_timelines.engine.stopping import stop
from django_timelines.models import Event, Lease, Run, Timeline
from django_timelines.placements import stopping
from django_timelines.testing import drain, recorded_errors
from tests.races.at_once import meanwhile
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import plan, ran
from tests.waiting import eventually

from .broken import break_connection
from .workflows import Box, Slow, Whisper

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.fixture(autouse=True)
def in_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is left be given back, however slow the machine is."""
    monkeypatch.setattr(stopping_module, "LAST", 60)


def failure_of(what: Callable[[Any], None], step: str) -> dict[str, Any]:
    """Return the error that is recorded of this body."""
    plan[step] = what
    slow = Slow.start()
    with recorded_errors():
        drain()
    event = Event.objects.filter(timeline=slow.pk, type="AttemptFailed", step=step).earliest("sequence")
    assert not Lease.objects.exists()
    return dict(event.data["error"])


def exits(workflow: Any) -> None:
    sys.exit(3)


def recurses(workflow: Any) -> None:
    """The collector waits: a finalizer that it ran in the last frames would have no room, and pytest would be told of that."""

    def deeper() -> None:
        deeper()

    gc.disable()
    try:
        deeper()
    finally:
        gc.enable()


def leaves_a_transaction_open(workflow: Any) -> None:
    transaction.atomic(using=HERE).__enter__()
    Entry.objects.create(text="in the leak")


def leaves_a_transaction_open_and_closes(workflow: Any) -> None:
    leaves_a_transaction_open(workflow)
    connections[HERE].close()


def closes_the_connection(workflow: Any) -> None:
    connections[HERE].close()


def breaks_the_connection(workflow: Any) -> None:
    break_connection(HERE)


class HostileError(Exception):
    def __str__(self) -> str:
        sys.exit(1)

    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")


def raises_what_cannot_be_shown(workflow: Any) -> None:
    raise HostileError


def raises_ten_megabytes(workflow: Any) -> None:
    raise ValueError("x" * 10_000_000)


def sets_what_cannot_be_encoded(workflow: Any) -> None:
    workflow.notes.append(object())


@pytest.fixture
def in_thread() -> Callable[[Callable[[], Any]], Any]:
    """Do something in a thread of its own, as the embedded worker does; give what it returned."""

    def do(what: Callable[[], Any]) -> Any:
        found: list[Any] = []

        def work() -> None:
            try:
                found.append(what())
            finally:
                connections.close_all()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(timeout=50)
        assert not thread.is_alive()
        return found[0]

    return do


BAD = {
    exits: "The body raised SystemExit, which is no Exception. Return, or raise one.",
    recurses: "maximum recursion depth exceeded",
    leaves_a_transaction_open: f"The body left a transaction open ({HERE}). What it wrote there is rolled back.",
    raises_what_cannot_be_shown: "(its message cannot be shown)",
    raises_ten_megabytes: "x" * 2_000,
}


@pytest.mark.usefixtures("timers")
@pytest.mark.parametrize("step", ["inside", "outside"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_the_attempt_fails_and_says_so(bad: Callable[[Any], None], step: str) -> None:
    error = failure_of(bad, step)

    assert error["message"].startswith(BAD[bad])
    assert len(error["message"]) <= 2_000
    assert len(error["traceback"]) <= 16_000
    assert not Entry.objects.filter(text="in the leak").exists()
    assert Slow.start().inside.status == "due"  # the connection is as good as new


@pytest.mark.usefixtures("timers")
def test_a_transaction_that_was_left_open_on_a_closed_connection_breaks_it_for_nobody_else() -> None:
    error = failure_of(leaves_a_transaction_open_and_closes, "outside")

    assert error["message"].startswith("The body left a transaction open")
    assert Slow.start().inside.status == "due"


@pytest.mark.usefixtures("timers")
@pytest.mark.parametrize("step", ["inside", "outside"])
def test_what_cannot_be_encoded_fails_the_attempt(step: str) -> None:
    assert failure_of(sets_what_cannot_be_encoded, step)["message"]


@pytest.mark.usefixtures("timers")
@pytest.mark.parametrize("closes", [closes_the_connection, breaks_the_connection])
def test_an_exactly_once_body_that_loses_its_connection_fails_and_rolls_back(closes: Callable[[Any], None]) -> None:
    def write_and_close(workflow: Any) -> None:
        Entry.objects.create(text="before")
        closes(workflow)

    error = failure_of(write_and_close, "inside")

    assert error["message"]
    assert not Entry.objects.filter(text="before").exists()


@pytest.mark.usefixtures("timers")
@pytest.mark.parametrize("closes", [closes_the_connection, breaks_the_connection])
def test_an_outside_effect_is_recorded_although_its_body_closed_the_connection(closes: Callable[[Any], None]) -> None:
    plan["outside"] = closes
    slow = Slow.start()
    drain()

    assert Slow.get(slow.pk).outside.status == "completed"


@pytest.mark.usefixtures("timers")
def test_a_process_that_a_body_forked_ends_where_the_body_ends() -> None:
    pids: list[int] = []

    def fork(workflow: Any) -> None:
        pid = os.fork()
        if pid:
            pids.append(os.waitpid(pid, 0)[1])

    plan["outside"] = fork
    slow = Slow.start()
    drain()

    assert [os.waitstatus_to_exitcode(status) for status in pids] == [os.EX_SOFTWARE]
    assert Event.objects.filter(timeline=slow.pk, type="StepCompleted", step="outside").count() == 1


@pytest.mark.parametrize("step", ["inside", "outside"])
def test_a_timeout_ends_a_body_in_the_main_thread(step: str) -> None:
    error = failure_of(lambda workflow: signal.pause(), step)

    assert (error["type"], error["message"]) == ("TimeoutError", "It did not end within its timeout of 0:00:00.500000.")


@pytest.mark.parametrize("step", ["inside", "outside"])
def test_a_timeout_ends_a_body_in_a_thread(step: str, in_thread: Callable[[Callable[[], Any]], Any]) -> None:
    def never_ends(workflow: Any) -> None:
        with suppress(Exception):  # as much as a body can swallow
            while True:
                time.monotonic()

    error = in_thread(lambda: failure_of(never_ends, step))

    assert error["message"] == "It did not end within its timeout of 0:00:00.500000."


class Timers:
    """Run out when a test says so, however long it takes to come to that."""

    def __init__(self) -> None:
        self._going: list[Callable[[], None]] = []

    def __call__(self, seconds: float, does: Callable[..., None], *given: object) -> SimpleNamespace:
        run_out = partial(does, *given)
        return SimpleNamespace(
            start=lambda: self._going.append(run_out),
            cancel=lambda: self._going.remove(run_out) if run_out in self._going else None,
        )

    def run_out(self) -> None:
        """Let the only one that is going run out now, in a thread of its own as ever."""
        (run_out,) = self._going
        threading.Thread(target=run_out).start()


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    """Have timeouts that run out when a test says so."""
    timers = Timers()
    monkeypatch.setattr(interrupt, "_timer", timers)
    return timers


BEGIN = {  # a body in a transaction of its own, and one in none
    "fill": lambda: Box.start(content="hat"),
    "whisper": lambda: Whisper.start(text="hush"),
}


def within(step: str, does: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return a body that calls this step of another timeline, whose body does this the first time."""
    plan[step] = lambda workflow: does(workflow) if ran[step] == 1 else None
    return lambda workflow: BEGIN[step]() if ran[step] == 0 else None


def interrupted() -> list[tuple[str, bool]]:
    found = Event.objects.filter(type="AttemptInterrupted").order_by("step")
    return [(event.step, event.data["stopped"]) for event in found]


@pytest.mark.parametrize("inner", BEGIN)
@pytest.mark.parametrize("in_a_thread", [False, True])
def test_a_timeout_ends_the_body_that_it_is_of_however_deep_that_waits(
    in_a_thread: bool, inner: str, in_thread: Callable[[Callable[[], Any]], Any], timers: Timers
) -> None:
    def never_ends(workflow: Any) -> None:
        timers.run_out()
        while True:
            time.monotonic()

    def fails() -> dict[str, Any]:
        return failure_of(within(inner, never_ends), "outside")

    error = in_thread(fails) if in_a_thread else fails()

    assert error["message"] == "It did not end within its timeout of 0:00:00.500000."
    assert not Event.objects.filter(type="AttemptFailed", step=inner).exists()
    assert interrupted() == ([("whisper", True)] if inner == "whisper" else [])
    assert Box.timelines.count() == 0


async def waits(workflow: Any) -> None:
    await asyncio.Event().wait()


async def waits_on(workflow: Any) -> None:
    """It is cancelled, and goes on."""
    with suppress(asyncio.CancelledError):
        await waits(workflow)
    await waits(workflow)


@pytest.mark.parametrize("body", [waits, waits_on])
@pytest.mark.parametrize("in_a_thread", [False, True])
def test_a_timeout_ends_an_async_body_before_its_attempt_ends(
    in_a_thread: bool, body: Any, in_thread: Callable[[Callable[[], Any]], Any], timers: Timers
) -> None:
    ended: list[bool] = []

    async def noting(workflow: Any) -> None:
        timers.run_out()
        try:
            await body(workflow)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    def fails() -> Any:
        return failure_of(noting, "later"), [*ended]

    error, ended_by_then = in_thread(fails) if in_a_thread else fails()

    assert (error["type"], error["message"]) == ("TimeoutError", "It did not end within its timeout of 0:00:00.500000.")
    assert ended_by_then == [True]


@pytest.mark.usefixtures("timers")
def test_an_async_body_ends_with_an_alarm_that_ends_who_waits_for_it() -> None:
    ended: list[bool] = []

    async def waits_and_notes(workflow: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            await waits(workflow)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    def ring(number: int, frame: Any) -> None:
        raise ValueError("The job takes too long.")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        error = failure_of(waits_and_notes, "later")
    finally:
        signal.signal(signal.SIGALRM, before)

    assert (error["message"], ended) == ("The job takes too long.", [True])


@pytest.mark.usefixtures("timers")
def test_an_alarm_of_somebody_else_still_rings() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    try:
        plan["outside"] = lambda workflow: signal.raise_signal(signal.SIGALRM)
        slow = Slow.start()
        drain()
    finally:
        signal.signal(signal.SIGALRM, before)

    assert (heard, Slow.get(slow.pk).outside.status) == ([signal.SIGALRM], "completed")


# A worker that ends


def work_on(slow: Slow, step: str) -> None:
    run = Run.objects.get(timeline=slow.pk, step=step)
    answer(slow.pk.hex, step, "", run.fence, HERE, "rq:default")


@pytest.fixture
def ends() -> Any:
    yield lambda workflow: (signal.raise_signal(signal.SIGTERM), signal.pause())
    stopping.clear()


@pytest.fixture
def on_sigterm() -> Any:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("on_sigterm")
@pytest.mark.parametrize("step", ["inside_long", "outside_long"])
def test_a_worker_that_ends_gives_back_what_does_not_end_within_its_grace(step: str, ends: Any, settings: Any) -> None:
    settings.TIMELINES = {**settings.TIMELINES, "GRACE": 0.05}
    plan[step] = lambda workflow: (Entry.objects.create(text=step), ends(workflow))
    slow = Slow.start()
    work_on(slow, step)

    run = Run.objects.get(timeline=slow.pk, step=step)
    assert (run.status, run.attempt, Lease.objects.count()) == ("retrying", 0, 0)
    event = Event.objects.get(timeline=slow.pk, type="AttemptInterrupted")
    assert (event.data["stopped"], event.attempt) == (True, 1)
    assert f"“{step.replace('_', ' ')}” was given back by what executed it, and is due again, at " in str(
        slow.timeline.explain()
    )
    assert Entry.objects.filter(text=step).exists() is (step == "outside_long")

    stopping.clear()
    plan.clear()
    drain()
    assert Slow.get(slow.pk).timeline.state["runs"][step]["status"] == "completed"


@pytest.mark.usefixtures("on_sigterm")
@pytest.mark.parametrize("inner", BEGIN)
def test_a_worker_that_ends_gives_back_its_attempt_and_what_that_waits_for(
    inner: str, ends: Any, settings: Any
) -> None:
    settings.TIMELINES = {**settings.TIMELINES, "GRACE": 0.05}
    plan["outside_long"] = within(inner, ends)
    slow = Slow.start()

    work_on(slow, "outside_long")

    run = Run.objects.get(timeline=slow.pk, step="outside_long")
    assert (run.status, run.attempt, Lease.objects.count()) == ("retrying", 0, 0)
    assert interrupted() == [("outside_long", True), *([("whisper", True)] if inner == "whisper" else [])]
    assert Box.timelines.count() == 0


@pytest.mark.usefixtures("timers")
@pytest.mark.parametrize("body", [waits, waits_on])
def test_a_worker_thread_that_ends_gives_an_async_body_back_once_that_has_ended(
    body: Any, in_thread: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping_module, "MOMENT", 30)  # for the body to end, however slow the machine is
    found: list[str] = []
    stops = threading.Thread(target=stop, args=[0])

    async def waits_and_looks(workflow: Any) -> None:
        stops.start()
        try:
            await body(workflow)
        finally:  # it awaits nothing: it would be cancelled again
            found.append(meanwhile(lambda: Run.objects.get(timeline=slow.pk, step="later").status))

    plan["later"] = waits_and_looks
    slow = Slow.start()
    in_thread(lambda: work_on(slow, "later"))
    stops.join(30)
    stopping.clear()

    run = Run.objects.get(timeline=slow.pk, step="later")
    assert (found, run.status, run.attempt, Lease.objects.count()) == (["running"], "retrying", 0, 0)


@pytest.fixture
def two_that_block() -> Iterator[list[Slow]]:
    """Give two timelines, each with a body that a thread executes and that nothing ends."""
    may_end, threads = threading.Event(), list[threading.Thread]()
    plan["outside_long"] = lambda workflow: may_end.wait(60)

    def work(slow: Slow) -> None:
        work_on(slow, "outside_long")
        connections.close_all()

    slows = [Slow.start(name=name) for name in ("first", "second")]
    for slow in slows:
        threads.append(threading.Thread(target=work, args=[slow]))
        threads[-1].start()
        eventually(lambda: len(stopping_module._held) == len(threads))
    yield slows
    may_end.set()
    for thread in threads:
        thread.join(30)


def stop_soon() -> None:
    ends = threading.Thread(target=stop, args=[0])
    ends.start()
    ends.join(90)
    assert not ends.is_alive()


@pytest.mark.usefixtures("row_locks")
def test_a_worker_that_ends_waits_for_no_timeline_that_somebody_holds(
    two_that_block: list[Slow], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_that_block
    monkeypatch.setattr(stopping_module, "LAST", 0.5)

    with transaction.atomic(using=HERE):
        Timeline.objects.select_for_update().get(pk=first.pk)
        stop_soon()
        eventually(lambda: Run.objects.filter(timeline=second.pk, step="outside_long", status="retrying").exists())
        left = {run.timeline_id: run.status for run in Run.objects.filter(step="outside_long")}

    assert left == {first.pk: "running", second.pk: "retrying"}
    eventually(lambda: Run.objects.filter(step="outside_long", status="retrying").count() == 2)  # the row is free


def test_what_cannot_be_given_back_keeps_nothing_else_from_it(
    two_that_block: list[Slow], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = two_that_block
    load = stopping_module.load

    def fail(id: Any, *args: Any, **options: Any) -> Any:
        if id == first.pk:
            raise OperationalError("The database is away.")
        return load(id, *args, **options)

    monkeypatch.setattr(stopping_module, "load", fail)
    stop_soon()

    left = {run.timeline_id: run.status for run in Run.objects.filter(step="outside_long")}
    assert left == {first.pk: "running", second.pk: "retrying"}
    assert "outside_long could not be given back" in caplog.text


@pytest.mark.usefixtures("on_sigterm", "timers")
def test_a_worker_that_ends_lets_a_body_end_within_its_grace_and_takes_nothing_more(ends: Any) -> None:
    plan["outside"] = lambda workflow: signal.raise_signal(signal.SIGTERM)
    slow = Slow.start()
    work_on(slow, "outside")

    slow = Slow.get(slow.pk)
    assert (slow.outside.status, slow.after_outside.status) == ("completed", "due")
    assert (ran["outside"], ran["after_outside"]) == (1, 0)
