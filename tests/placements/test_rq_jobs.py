"""``rq:<queue>``: a job answers its bell, and for a moment those that wait behind it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import django_rq
import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django_rq.settings import QUEUES
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import SimpleWorker, Worker
from rq.job import Job
from rq.suspension import resume, suspend

from django_timelines import conf, placements
from django_timelines.actors import SYSTEM
from django_timelines.engine import answer
from django_timelines.engine import stopping as stopping_engine
from django_timelines.engine.answer import run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Runner
from django_timelines.models import Lease, Run
from django_timelines.placements import Bell, stopping
from django_timelines.placements import rq as placement
from django_timelines.state import RunName
from django_timelines.testing import recorded_errors
from django_timelines.testing.patching import wrapped
from django_timelines.workflows import Workflow, step
from tests.hardening.broken import break_connection
from tests.races.at_once import meanwhile
from tests.shop.here import HERE
from tests.shop.workflows import Order, plan, ran
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.redis]


@pytest.fixture(autouse=True)
def at_the_queue(place: Callable[..., None]) -> None:
    place(background="rq:default")


@pytest.fixture
def queue() -> Iterator[Any]:
    found = django_rq.get_queue("default")
    found.empty()
    yield found
    found.failed_job_registry.cleanup(timestamp=float("inf"))
    found.empty()


def orders(many: int) -> list[Order]:
    return [Order.start(customer=f"Ada {number}") for number in range(many)]


def work(queue: Any, jobs: int | None = None) -> None:
    worker = SimpleWorker([queue], connection=queue.connection, serializer=queue.serializer)
    worker.work(burst=True, logging_level="CRITICAL", max_jobs=jobs)


def test_one_job_answers_the_bells_that_wait_behind_its_own(queue: Any) -> None:
    begun = orders(3)
    jobs = queue.job_ids
    assert len(jobs) == 3

    work(queue, jobs=1)

    assert [Order.get(order.pk).pay.status for order in begun] == ["waiting"] * 3
    assert ran["pack"] == 3
    assert queue.job_ids == []
    assert not any(Job.exists(job, queue.connection) for job in jobs)


def test_jobs_that_are_json_are_answered_in_one_as_well(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUEUES["default"], "SERIALIZER", "rq.serializers.JSONSerializer")
    begun = orders(2)

    work(django_rq.get_queue("default"), jobs=1)

    assert [Order.get(order.pk).pay.status for order in begun] == ["waiting"] * 2


def test_a_job_of_somebody_else_keeps_its_place(queue: Any) -> None:
    orders(1)
    theirs = queue.enqueue_call(print, job_id=f"timelines-{uuid.uuid4().hex}-7")
    orders(1)

    work(queue, jobs=1)
    assert ran["pack"] == 1
    assert queue.job_ids[0] == theirs.id
    assert len(queue.job_ids) == 2

    work(queue)
    assert ran["pack"] == 2
    assert theirs.is_finished


def test_what_raises_fails_the_job_says_at_which_bell_and_takes_none_with_it(queue: Any) -> None:
    first, broken, _last = orders(3)
    job = queue.job_ids[0]

    def breaks(timeline: uuid.UUID, *asked: Any) -> Any:
        if timeline == broken.pk:
            raise OSError("no space is left")
        return claim(timeline, *asked)

    with wrapped(answer, "claim", lambda _claim: breaks):
        work(queue, jobs=1)

    assert Order.get(first.pk).pay.status == "waiting"
    assert len(queue.job_ids) == 1
    failed = Job.fetch(job, queue.connection)
    assert failed.is_failed
    assert "no space is left" in str(failed.latest_result().exc_string)  # type: ignore[union-attr]
    assert f"'timeline': '{broken.pk.hex}'" in str(failed.latest_result().exc_string)  # type: ignore[union-attr]


def test_a_rejection_that_cannot_be_told_fails_the_attempt_and_no_job(queue: Any, place: Callable[..., None]) -> None:
    def reject(order: Order) -> None:
        raise ValidationError("%(a)s %(b)d", params={"a": 1})

    plan["pay"] = reject
    [order] = orders(1)
    work(queue)
    place(pay="rq:default")
    order.pay(amount=5)
    [job] = queue.job_ids

    work(queue)

    assert not Job.exists(job, queue.connection)
    assert Order.get(order.pk).pay.status == "blocked"
    assert order.timeline.events.get(type="AttemptFailed").data["error"]["message"] == "(its message cannot be shown)"


def test_a_bell_whose_job_is_gone_is_passed_over(queue: Any) -> None:
    begun = orders(3)
    queue.connection.delete(Job.key_for(queue.job_ids[1]))

    work(queue)

    assert [Order.get(order.pk).pack.status for order in begun] == ["completed", "due", "completed"]


def test_a_worker_that_ends_takes_no_further_bell(queue: Any) -> None:
    orders(2)
    other = queue.job_ids[1]
    plan["pack"] = lambda order: stopping.set()

    work(queue, jobs=1)

    assert ran["pack"] == 1
    assert queue.job_ids[0] == other


def test_a_job_that_has_worked_for_long_takes_no_further_bell(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    orders(2)
    other = queue.job_ids[1]
    monkeypatch.setattr(conf, "QUICK", 0.0)

    work(queue, jobs=1)

    assert ran["pack"] == 1
    assert queue.job_ids[0] == other


def test_nor_does_one_that_rq_would_end_soon(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "SMALL", 1e-9)
    orders(2)
    work(queue, jobs=1)
    assert len(queue.job_ids) == 0  # these have no bound

    monkeypatch.setitem(QUEUES["default"], "DEFAULT_TIMEOUT", 300)
    orders(2)
    work(queue, jobs=1)
    assert len(queue.job_ids) == 1


@pytest.mark.parametrize("order", [["mail", "default"], ["default", "mail"]])
def test_a_job_in_another_queue_of_the_worker_comes_next_as_the_worker_says(queue: Any, order: list[str]) -> None:
    orders(2)
    other = django_rq.get_queue("mail")
    other.empty()
    plan["pack"] = lambda order: other.enqueue_call(print)

    SimpleWorker(order, connection=queue.connection).work(burst=True, logging_level="CRITICAL", max_jobs=1)

    assert (ran["pack"], queue.count) == (1, 1)
    other.empty()


def test_while_the_workers_are_suspended_no_further_bell_is_taken(queue: Any) -> None:
    orders(2)
    plan["pack"] = lambda order: suspend(queue.connection)

    try:
        work(queue, jobs=1)
    finally:
        resume(queue.connection)

    assert (ran["pack"], queue.count) == (1, 1)


def test_nor_once_the_worker_is_told_to_end_by_whatever_signal(queue: Any) -> None:
    orders(2)
    plan["pack"] = lambda order: signal.raise_signal(signal.SIGINT)

    work(queue, jobs=1)

    assert (ran["pack"], queue.count) == (1, 2)  # nor what comes next on the same timeline


@pytest.fixture
def ends_twice() -> Iterator[Callable[[signal.Signals], Callable[[Any], None]]]:
    """Return a body in which somebody asks for the worker's end until it ends: RQ hears the second time only after a second."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: signal.Signals) -> None:
        while True:
            signal.raise_signal(number)
            time.sleep(0.05)

    yield lambda number: lambda order: ask(number)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_told_to_end_twice_gives_its_attempt_back_at_once(
    number: signal.Signals, queue: Any, settings: Any, ends_twice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping_engine, "LAST", 60)
    settings.TIMELINES = {**settings.TIMELINES, "GRACE": 60}
    [order] = orders(1)
    plan["pack"] = ends_twice(number)

    work(queue, jobs=1)

    run = Run.objects.get(timeline=order.pk)
    assert (run.status, run.attempt, Lease.objects.count(), stopping.is_set()) == ("retrying", 0, 0, True)


def test_a_body_that_exits_has_failed_although_its_worker_is_told_to_end(queue: Any) -> None:
    [order] = orders(1)
    plan["pack"] = lambda order: (signal.raise_signal(signal.SIGTERM), sys.exit(1))

    with recorded_errors():
        work(queue, jobs=1)

    run = Run.objects.get(timeline=order.pk)
    assert (run.status, run.attempt) == ("retrying", 1)


def test_a_job_whose_redis_is_away_goes_on_looking_whether_its_worker_is_told_to_end(
    queue: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(placement, "LOOK", 0.01)
    caplog.set_level(logging.INFO, "django_timelines")
    away = Redis(port=1, retry=Retry(NoBackoff(), 0))
    job, answered = Job.create(len, connection=away), threading.Event()
    looks = threading.Thread(target=placement._end_with_its_worker, args=[job, answered])

    looks.start()
    eventually(lambda: caplog.text.count("Cannot see whether the worker") >= 2)
    answered.set()
    looks.join(30)

    assert not looks.is_alive()
    assert not stopping.is_set()


def test_a_worker_that_redis_has_forgotten_takes_one_bell_at_a_time(queue: Any) -> None:
    orders(2)
    plan["pack"] = lambda order: queue.connection.delete(*Worker.all_keys(queue=queue))

    work(queue, jobs=1)

    assert (ran["pack"], queue.count) == (1, 1)


def test_a_bell_that_cannot_be_read_is_left_to_rq_and_fails_no_other(queue: Any) -> None:
    begun = orders(3)
    first, second, third = queue.job_ids
    queue.connection.hset(Job.key_for(second), "data", b"no job at all")

    work(queue, jobs=1)
    assert Order.get(begun[0].pk).pay.status == "waiting"
    assert queue.job_ids == [second, third]

    work(queue)
    assert [Job.exists(job, queue.connection) for job in (first, second, third)] == [False, True, False]
    assert Order.get(begun[2].pk).pay.status == "waiting"


@pytest.mark.parametrize(("idle", "is_let_go"), [(0, True), (60, False)])
def test_a_worker_that_was_idle_lets_its_connection_go_before_it_answers(
    idle: float, is_let_go: bool, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(queue)  # nothing, as yet
    orders(1)
    work(queue)
    before = connections[HERE].connection
    monkeypatch.setattr(placement, "IDLE", idle)
    orders(1)

    work(queue)

    assert (ran["pack"], connections[HERE].connection is not before) == (2, is_let_go)


def test_a_connection_that_was_cut_while_a_worker_was_idle_fails_no_job(
    queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "IDLE", 0)
    [order] = orders(1)
    break_connection(HERE)

    work(queue, jobs=1)

    assert Order.get(order.pk).pay.status == "waiting"


class Prefixed(Job):
    """A job class of the site's own."""

    redis_job_namespace_prefix = "site:job:"


def test_a_site_may_have_a_job_class_of_its_own(queue: Any, settings: Any) -> None:
    settings.RQ = {"JOB_CLASS": f"{__name__}.Prefixed"}
    begun = orders(3)
    run = Run.objects.get(timeline=begun[0].pk)
    placements.get("rq:default").ring(Bell(run.timeline_id.hex, run.step, "", run.fence, HERE, "rq:default"))
    assert queue.count == 3  # it is there already
    worker = SimpleWorker([queue.name], connection=queue.connection, job_class=Prefixed)

    worker.work(burst=True, logging_level="CRITICAL", max_jobs=1)

    assert [Order.get(order.pk).pay.status for order in begun] == ["waiting"] * 3


class Printer(Workflow):
    """One prints at a time."""

    @step
    def begin(self, page: int) -> None: ...

    @step(after=begin, limit=1)
    def print(self) -> None: ...


def test_a_bell_that_is_rung_again_while_its_job_answers_others_is_answered(
    queue: Any, monkeypatch: pytest.MonkeyPatch, row_locks: None
) -> None:
    holder, other = Printer.start(1), Runner(SYSTEM, "rq:default", HERE)  # another worker has the slot
    held = claim(holder.pk, RunName("print"), Run.objects.get(timeline=holder.pk).fence, other)
    queue.empty()
    late = Printer.start(2)
    orders(1)

    def end_the_other(_workflow: Any) -> None:
        meanwhile(lambda: run_from(held, other))  # which calls up who waits
        monkeypatch.setattr(placement, "_take_next", lambda _job: None)  # as after a body that takes long

    plan["pack"] = end_the_other
    work(queue, jobs=1)
    assert ran["pack"] == 1
    assert Printer.get(late.pk).print.status == "due"
    work(queue)

    assert Printer.get(late.pk).print.status == "completed"
    assert not queue.connection.keys(f"rq:job:timelines-{late.pk.hex}*")
