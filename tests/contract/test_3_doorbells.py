"""Clause 3: the database is the truth, Redis is a doorbell."""

import json
import zlib
from collections.abc import Callable
from datetime import timedelta

import django_rq
import pytest
from django.db import transaction
from django_rq.settings import QUEUES
from rq import SimpleWorker

from django_timelines import moments
from django_timelines.actors import SYSTEM
from django_timelines.engine import clock
from django_timelines.engine.answer import answer
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Runner
from django_timelines.models import Run
from django_timelines.testing import travel
from tests.shop.here import HERE
from tests.shop.workflows import Order, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def queues() -> list[django_rq.queues.DjangoRQ]:
    found = [django_rq.get_queue(name) for name in ("default", "mail")]
    for queue in found:
        queue.empty()
    return found


def work(queues: list[django_rq.queues.DjangoRQ]) -> None:
    SimpleWorker(queues, connection=queues[0].connection).work(burst=True, logging_level="WARNING")


@pytest.mark.redis
def test_one_wake_up_goes_on_with_the_next_due_steps_placed_there(place: Callable[..., None], queues: list) -> None:
    place(background="rq:default")
    order = Order.start(customer="Ada")

    assert len(queues[0].job_ids) == 1
    work(queues)

    assert Order.get(order.pk).pay.status == "waiting"
    assert (ran["pack"], ran["announce"]) == (1, 1)
    assert queues[0].job_ids == []


@pytest.mark.redis
def test_a_queue_whose_jobs_are_json_rings_as_well(
    place: Callable[..., None], queues: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUEUES["default"], "SERIALIZER", "rq.serializers.JSONSerializer")
    place(background="rq:default")
    order = Order.start(customer="Ada")

    queue = django_rq.get_queue("default")
    job = queue.connection.hget(f"rq:job:{queue.job_ids[0]}", "data")
    assert json.loads(zlib.decompress(job))[0] == "django_timelines.placements.rq.answer"
    SimpleWorker([queue], connection=queue.connection, serializer=queue.serializer).work(burst=True)

    assert Order.get(order.pk).pay.status == "waiting"


@pytest.mark.redis
def test_a_bell_leaves_with_the_commit_and_not_with_a_rollback(place: Callable[..., None], queues: list) -> None:
    place(background="rq:default")

    with transaction.atomic(using=HERE):
        Order.start(customer="Ada")
        assert queues[0].job_ids == []
    assert len(queues[0].job_ids) == 1

    with transaction.atomic(using=HERE):
        Order.start(customer="Grace")
        transaction.set_rollback(True, using=HERE)
    assert len(queues[0].job_ids) == 1


@pytest.mark.redis
def test_the_clock_rings_again_for_what_a_flushed_redis_forgot(place: Callable[..., None], queues: list) -> None:
    place(background="rq:default")
    order = Order.start(customer="Ada")
    queues[0].connection.flushdb()

    with travel(timedelta(seconds=6)):
        clock.tick(HERE)
    work(queues)

    assert Order.get(order.pk).pay.status == "waiting"


def next_look() -> None:
    """Let the clock look at the only run when it is to."""
    run = Run.objects.get()
    assert run.ring is not None
    moments.offset += run.ring - moments.now()
    clock.tick(HERE)


@pytest.mark.redis
def test_a_bell_that_is_rung_again_is_in_the_queue_once(place: Callable[..., None], queues: list) -> None:
    place(background="rq:default")
    order = Order.start(customer="Ada")
    for _ in range(8):
        next_look()

    assert len(queues[0].job_ids) == 1
    work(queues)
    assert Order.get(order.pk).pay.status == "waiting"


@pytest.mark.redis
def test_a_bell_is_rung_again_whose_job_is_there_and_in_no_queue(place: Callable[..., None], queues: list) -> None:
    place(background="rq:default")
    order = Order.start(customer="Ada")
    queues[0].connection.delete(queues[0].key)
    next_look()

    work(queues)

    assert Order.get(order.pk).pay.status == "waiting"


@pytest.mark.redis
def test_the_clock_rings_ever_more_rarely(place: Callable[..., None], queues: list) -> None:
    place(background="rq:default")
    Order.start(customer="Ada")
    waits = []
    for _ in range(8):
        run = Run.objects.get()
        assert run.ring is not None
        moments.offset += run.ring - moments.now()
        at = moments.now()
        clock.tick(HERE)
        after = Run.objects.get().ring
        assert after is not None
        waits.append(round((after - at).total_seconds()))

    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.redis
def test_a_lost_redis_fails_no_call(place: Callable[..., None], settings) -> None:  # type: ignore[no-untyped-def]
    place(background="rq:nowhere")

    order = Order.start(customer="Ada")

    assert order.pack.status == "due"


def test_a_step_moves_to_its_new_placement_while_it_is_due(place: Callable[..., None]) -> None:
    place(pack="embedded")
    Order.start(customer="Ada")
    assert Run.objects.get().placement == "embedded"

    place(pack="rq:mail")
    with travel(timedelta(seconds=6)):
        clock.tick(HERE)

    assert Run.objects.get().placement == "rq:mail"


def test_a_bell_for_an_unknown_or_old_attempt_is_dropped() -> None:
    order = Order.start(customer="Ada")
    run = Run.objects.get()
    answer(order.pk.hex, "pack", "", run.fence, HERE, "embedded")

    answer(order.pk.hex, "pack", "", run.fence, HERE, "embedded")
    answer(order.pk.hex, "no_such_step", "", 3, HERE, "embedded")
    answer("0" * 32, "pack", "", 3, HERE, "embedded")
    answer("no id", "pack", "", 3, HERE, "embedded")
    answer(order.pk.hex, "pack", "", run.fence, "a database that was taken away", "embedded")

    assert ran["pack"] == 1


def test_a_bell_for_an_overtaken_attempt_is_dropped_though_the_run_is_due_again() -> None:
    order = Order.start(customer="Ada")
    old = Run.objects.get(step="pack").fence
    claim(order.pk, ("pack", ""), old, Runner(SYSTEM, "embedded", HERE))
    with travel(timedelta(seconds=61)):
        clock.tick(HERE)
        assert Run.objects.get(step="pack").status == "retrying"

        answer(order.pk.hex, "pack", "", old, HERE, "embedded")

    assert ran["pack"] == 0


@pytest.fixture
def sees_nobody(place: Callable[..., None], queues: list) -> Callable[[Order], bool]:
    place(background="rq:default")
    queues[0].connection.flushdb()
    return lambda order: "No worker has been seen at rq:default" in str(order.timeline.explain())


def started(order: Order) -> Order:
    """Return the order as it is after ten seconds in which nobody packed it."""
    moments.offset += timedelta(seconds=11)
    return order


@pytest.mark.redis
def test_explain_says_that_no_worker_has_been_seen_while_one_is_needed(sees_nobody: Callable[[Order], bool]) -> None:
    order = Order.start(customer="Ada")
    assert not sees_nobody(order)

    moments.offset += timedelta(seconds=11)
    assert sees_nobody(order)
    order.timeline.amend(reason="misheard", amount=7)  # it moves otherwise
    assert sees_nobody(Order.get(order.pk))


@pytest.mark.redis
def test_explain_sees_a_worker_until_its_heartbeat_ends(sees_nobody: Callable[[Order], bool], queues: list) -> None:
    order = started(Order.start(customer="Ada"))
    worker = SimpleWorker(queues[:1], connection=queues[0].connection)

    worker.register_birth()
    assert not sees_nobody(order)

    queues[0].connection.delete(worker.key)  # as when it was killed and its key ran out
    assert sees_nobody(order)


@pytest.mark.redis
def test_explain_misses_no_worker_that_redis_forgot_in_a_flush(
    sees_nobody: Callable[[Order], bool], queues: list
) -> None:
    order = started(Order.start(customer="Ada"))
    SimpleWorker(queues[:1], connection=queues[0].connection).register_birth()
    queues[0].connection.flushdb()
    assert not sees_nobody(order)  # it may be there, and there is nothing that it could have taken

    clock.tick(HERE)
    assert sees_nobody(order)  # now a job waits, and nobody takes it
