"""A graceful stop, with real workers: what does not end within the grace is given back at once, not after a lease."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.core import mail
from django.db import connections, transaction
from django.http import HttpResponse

from django_timelines import moments, placements
from django_timelines.engine import answer, bells, clock, execute
from django_timelines.engine import stopping as stopping_engine
from django_timelines.engine.stopping import stop
from django_timelines.middleware import ActorMiddleware
from django_timelines.models import Lease, Run, Timeline
from django_timelines.placements import Bell, embedded, stopping
from django_timelines.testing.patching import wrapped
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.waiting import eventually

from .conftest import PLACES, QUEUE, children, type_start, watching
from .workflows import Watch

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.redis]


def run_of(watch: Watch, step: str) -> dict[str, Any]:
    return dict(Timeline.objects.get(pk=watch.pk).state["runs"][step])


@pytest.mark.parametrize("worker", PLACES)
@pytest.mark.parametrize("kind", ["outside", "inside", "awaiting"])
def test_a_worker_that_ends_gives_its_attempt_back_at_once(
    kind: str, worker: str, start: type_start, place: Any
) -> None:
    if kind == "inside" and connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has one writer: while a body's transaction is open nobody else can write")
    process = start(worker)
    watch = watching(kind, worker, place)

    process.send_signal(signal.SIGTERM)
    process.wait(timeout=90)

    run = eventually(lambda: (run := run_of(watch, kind))["status"] == "retrying" and run)
    assert (run["attempt"], Lease.objects.count()) == (0, 0)
    Entry.objects.create(text=f"end {kind}")
    start(worker)
    eventually(lambda: run_of(watch, kind)["status"] == "completed")
    assert Entry.objects.filter(text="written inside").count() == (1 if kind == "inside" else 0)


def test_so_does_a_worker_that_ctrl_c_ends(start: type_start, place: Any) -> None:
    process = start("rq.SimpleWorker")
    watch = watching("outside", "rq.SimpleWorker", place)

    process.send_signal(signal.SIGINT)
    process.wait(timeout=90)

    run = run_of(watch, "outside")
    assert (run["status"], run["attempt"], Lease.objects.count()) == ("retrying", 0, 0)


@pytest.mark.usefixtures("row_locks")
def test_a_worker_that_cannot_give_back_ends_all_the_same(start: type_start, place: Any) -> None:
    process = start("rq.SimpleWorker", last=2)
    watch = watching("outside", "rq.SimpleWorker", place)

    with transaction.atomic(using=HERE):
        Timeline.objects.select_for_update().get(pk=watch.pk)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)
        assert (run_of(watch, "outside")["status"], Lease.objects.count()) == ("running", 1)  # which the clock finds


def test_so_is_the_attempt_of_a_bell_that_waited_behind_the_job_s_own(start: type_start, place: Any) -> None:
    queue, placement = django_rq.get_queue(QUEUE), PLACES["rq.SimpleWorker"]
    placements.get(placement).ring(Bell("0" * 32, "outside", "", 1, HERE, placement))  # of no timeline
    [job] = queue.job_ids
    place("workflows.Watch", background=placement)
    Entry.objects.create(text="do outside")
    watch = Watch.start(kind="outside")
    process = start("rq.SimpleWorker")
    eventually(lambda: Entry.objects.filter(text="outside began").exists())
    assert job in queue.started_job_registry.get_job_ids()

    process.send_signal(signal.SIGTERM)
    process.wait(timeout=90)

    run = run_of(watch, "outside")
    assert (run["status"], run["attempt"], Lease.objects.count()) == ("retrying", 0, 0)


def test_a_worker_that_is_told_to_end_between_two_bells_takes_note() -> None:
    heard: list[int] = []

    def several() -> Iterator[dict[str, Any]]:
        yield Bell("0" * 32, "outside", "", 1, HERE, PLACES["rq.SimpleWorker"]).as_json()  # of no timeline
        signal.raise_signal(signal.SIGTERM)
        heard.append(stopping.is_set())

    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        answer.answer_all(several())
    finally:
        signal.signal(signal.SIGTERM, before)

    assert heard == [signal.SIGTERM, True]


def test_an_attempt_that_begins_as_its_worker_is_told_to_end_is_given_back_too(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place("workflows.Watch", background="rq:default")
    Entry.objects.create(text="do outside")
    watch = Watch.start(kind="outside")
    run = Run.objects.get(timeline=watch.pk, step="outside")
    ends, has_looked = threading.Thread(target=stop, args=[0]), threading.Event()
    prepare, wait = execute.prepare, stopping_engine._wait

    def be_told_to_end(held: Any) -> None:
        ends.start()
        assert has_looked.wait(30)  # for what is executing, and found nothing
        prepare(held)

    def look_again(seconds: float) -> None:
        if seconds:
            has_looked.set()
        wait(seconds)

    monkeypatch.setattr(execute, "prepare", be_told_to_end)
    monkeypatch.setattr(stopping_engine, "_wait", look_again)
    monkeypatch.setattr(stopping_engine, "LAST", 60)
    monkeypatch.setattr(stopping_engine, "MOMENT", 30)  # for the body to begin, however slow the machine is
    try:
        answer.answer(watch.pk.hex, "outside", "", run.fence, HERE, "rq:default")
        ends.join(30)
    finally:
        stopping.clear()

    run = run_of(watch, "outside")
    assert (run["status"], run["attempt"], Lease.objects.count()) == ("retrying", 0, 0)


def test_an_effect_that_may_happen_once_waits_for_a_person_when_its_worker_ends(start: type_start, place: Any) -> None:
    process = start("rq.SimpleWorker")
    watch = watching("once", "rq.SimpleWorker", place)

    process.send_signal(signal.SIGTERM)
    process.wait(timeout=90)

    eventually(lambda: run_of(watch, "once")["status"] == "blocked")
    assert run_of(watch, "once")["reason"] == "interrupted"


@pytest.mark.parametrize("server", ["uvicorn", "runserver"])
def test_a_server_that_is_told_to_end_twice_gives_back_first_and_then_dies_of_the_signal(
    server: str, start: type_start, place: Any
) -> None:
    process = start(server)
    watch = watching("outside", server, place)

    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=90) == -signal.SIGTERM
    assert run_of(watch, "outside")["status"] == "retrying"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Be a process that no test runner is at work in, and whose own handler hears SIGTERM."""
    monkeypatch.delattr(mail, "outbox")
    monkeypatch.setattr(embedded, "worker", embedded.EmbeddedWorker())
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("background", "heeded"), [("embedded", True), ("rq:default", False)])
def test_a_process_heeds_sigterm_only_if_something_is_embedded(
    background: str, heeded: bool, heard: list[int], place: Any
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    place("workflows.Watch", background=background)

    ActorMiddleware(lambda request: HttpResponse())

    assert (signal.getsignal(signal.SIGTERM) is not before) is heeded


def test_a_process_that_has_served_nothing_has_nothing_to_end(heard: list[int], place: Any) -> None:
    place("workflows.Watch", background="embedded")
    ActorMiddleware(lambda request: HttpResponse())
    ActorMiddleware(lambda request: HttpResponse())  # of a second handler

    signal.raise_signal(signal.SIGTERM)

    assert heard == [signal.SIGTERM]
    assert not stopping.is_set()


@pytest.fixture
def killed(start: type_start, place: Any) -> Callable[[str], Watch]:
    """Let a body end the work-horse that executes it, and its lease run out; return the timeline once the clock has seen it."""
    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has one writer: a process that is killed in the middle holds up the others")

    def kill(kind: str) -> Watch:
        place("workflows.Watch", background=PLACES["rq.worker.Worker"])
        for text in (f"do {kind}", f"die {kind}"):
            Entry.objects.create(text=text)
        watch = Watch.start(kind=kind)
        failed = django_rq.get_queue(QUEUE).failed_job_registry
        start("rq.worker.Worker")
        eventually(lambda: any(watch.pk.hex in job for job in failed.get_job_ids()))  # its worker has seen its end
        assert run_of(watch, kind)["status"] == "running"
        Entry.objects.filter(text=f"die {kind}").delete()
        at = moments.now() - timedelta(minutes=1)  # whichever clock is ahead, the machine's or the database's
        Lease.objects.update(expires=at)
        Run.objects.filter(timeline=watch.pk, step=kind).update(ring=at)
        with wrapped(bells, "ring", lambda ring: lambda bell: True):  # the worker goes on once a test has looked
            eventually(lambda: clock.tick(HERE) and run_of(watch, kind)["status"] != "running")
        return watch

    return kill


@pytest.mark.parametrize("kind", ["inside", "outside"])
def test_a_body_that_ends_its_work_horse_is_told_of_and_tried_again(kind: str, killed: Callable[[str], Watch]) -> None:
    watch = killed(kind)

    event = watch.timeline.events.get(type="AttemptInterrupted")
    assert (event.attempt, event.data["error"]["message"]) == (1, "The process that executed it went away.")
    said = f"“{kind}” was interrupted in attempt 1: the process that executed it went away; it is due again"
    assert said in str(watch.timeline.explain())
    Entry.objects.create(text=f"end {kind}")
    Run.objects.filter(timeline=watch.pk, step=kind).update(ring=moments.now() - timedelta(minutes=1))
    assert clock.tick(HERE) == 1
    eventually(lambda: run_of(watch, kind)["status"] == "completed")
    assert watch.timeline.events.get(type="StepCompleted", step=kind).attempt == 2


@pytest.mark.parametrize("kind", ["last", "once"])
def test_a_body_that_ends_its_work_horse_in_its_last_attempt_is_told_of_and_blocks(
    kind: str, killed: Callable[[str], Watch]
) -> None:
    watch = killed(kind)

    assert (run_of(watch, kind)["status"], run_of(watch, kind)["reason"]) == ("blocked", "interrupted")
    interrupted, blocked = watch.timeline.events.filter(type__in=["AttemptInterrupted", "StepBlocked"])
    assert interrupted.data["error"] == blocked.data["error"]
    assert interrupted.data["error"]["message"] == "The process that executed it went away."
    assert f"“{kind}” is blocked: what executed it went away in attempt 1" in str(watch.timeline.explain())


def test_a_work_horse_that_is_told_to_end_gives_its_attempt_back(start: type_start, place: Any) -> None:
    process = start("rq.worker.Worker")
    watch = watching("outside", "rq.worker.Worker", place)

    [horse] = children(process.pid)
    os.kill(horse, signal.SIGTERM)

    events = eventually(lambda: watch.timeline.events.filter(type="AttemptInterrupted"))
    assert events[0].data["stopped"] is True


def test_a_child_of_a_body_that_is_told_to_end_ends_and_leaves_its_parents_attempt_alone(
    start: type_start, place: Any
) -> None:
    start("rq.SimpleWorker")
    place("workflows.Watch", background=PLACES["rq.SimpleWorker"])
    Entry.objects.create(text="do forking")

    watch = Watch.start(kind="forking")

    eventually(lambda: run_of(watch, "forking")["status"] == "completed", stands=lambda: run_of(watch, "forking"))
    assert Entry.objects.filter(text=f"forking ended its child: -{signal.SIGTERM.value}").count() == 1
    assert not watch.timeline.events.filter(type="AttemptInterrupted").exists()
