"""Clause 5: leases and fences, and calls made twice at once."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections

from django_timelines import store
from django_timelines.actors import Actor, ActorType
from django_timelines.engine import clock, leases
from django_timelines.engine.claim import claim
from django_timelines.engine.execute import run_from
from django_timelines.engine.runner import Runner
from django_timelines.exceptions import Refused
from django_timelines.models import Lease, Run
from django_timelines.testing import drain, travel
from django_timelines.workflows import AT_LEAST_ONCE, Retry, Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Order, plan, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def runner(name: str) -> Runner:
    return Runner(Actor(ActorType.WORKER, name, name), "embedded", HERE)


def claim_pack(order: Order, name: str) -> Any:
    return claim(order.pk, ("pack", ""), Run.objects.get(step="pack").fence, runner(name))


def test_an_attempt_can_be_claimed_once() -> None:
    order = Order.start(customer="Ada")
    fence = Run.objects.get(step="pack").fence

    first = claim(order.pk, ("pack", ""), fence, runner("one"))
    second = claim(order.pk, ("pack", ""), fence, runner("two"))

    assert first is not None
    assert second is None
    assert Lease.objects.get().holder.startswith("one")


def test_rescue_gives_an_expired_lease_another_go() -> None:
    order = Order.start(customer="Ada")
    claim_pack(order, "dead")

    with travel(timedelta(seconds=61)):
        clock.tick(HERE)
        drain()

    assert (ran["pack"], Order.get(order.pk).pay.status) == (1, "waiting")
    types = [event.type for event in Order.get(order.pk).timeline.events.filter(step="pack")]
    assert types == ["StepDue", "AttemptStarted", "AttemptInterrupted", "AttemptStarted", "StepCompleted"]


def test_rescue_leaves_a_live_lease_alone() -> None:
    order = Order.start(customer="Ada")
    held = claim_pack(order, "alive")

    with travel(timedelta(seconds=61)):
        store.heartbeat(HERE, [Lease.objects.get().holder], 60)
        clock.tick(HERE)
    run_from(held, runner("alive"))

    assert Order.get(order.pk).timeline.events.filter(type="AttemptInterrupted").count() == 0


def test_a_worker_that_lost_its_lease_cannot_complete_and_its_writes_roll_back() -> None:
    order = Order.start(customer="Ada")
    held = claim_pack(order, "slow")
    with travel(timedelta(seconds=61)):
        clock.tick(HERE)

    run_from(held, runner("slow"))

    assert ran["pack"] == 1
    assert list(Entry.objects.values_list("text", flat=True)) == ["place"]
    assert Order.get(order.pk).pack.status == "retrying"


def test_an_interrupted_at_most_once_attempt_needs_a_person() -> None:
    order = Order.start(customer="Ada")
    drain()
    order.pay(amount=1)
    claim(order.pk, ("send", ""), Run.objects.get(step="send").fence, runner("dead"))

    with travel(timedelta(seconds=61)):
        clock.tick(HERE)
        drain()

    assert (ran["send"], Order.get(order.pk).send.status) == (0, "blocked")


class Ledger(Workflow):
    """Its steps are tried once."""

    @step
    def open(self) -> None: ...

    @step(after=open, manual=True, retry=Retry(1))
    def inside(self) -> None: ...

    @step(after=open, manual=True, retry=Retry(1), delivery=AT_LEAST_ONCE)
    def outside(self) -> None: ...


@pytest.mark.parametrize(("name", "may_be_done"), [("inside", False), ("outside", True)])
def test_what_an_interrupted_last_attempt_may_have_done_is_said(name: str, may_be_done: bool, place: Any) -> None:
    place(Ledger._declaration.label, inside="rq:default", outside="rq:default")
    ledger = Ledger.start()
    drain()
    getattr(ledger, name)()
    claim(ledger.pk, (name, ""), Run.objects.get(step=name).fence, runner("dead"))

    with travel(timedelta(seconds=61)):
        clock.tick(HERE)

    assert f"“{name}” is blocked: what executed it went away in attempt 1" in str(ledger.timeline.explain())
    assert ("it may have been done" in str(ledger.timeline.explain())) is may_be_done


def test_a_second_call_with_the_same_input_gets_the_firsts_outcome() -> None:
    order = Order.start(customer="Ada")
    drain()
    stale = Order.get(order.pk)

    assert order.pay(amount=5) == "completed"
    assert stale.pay(amount=5) == "completed"
    with pytest.raises(Refused) as refused:
        stale.pay(amount=6)

    assert refused.value.reason == "settled"
    assert Entry.objects.filter(text="pay").count() == 1


def test_simultaneous_calls_have_one_effect_and_the_same_answer() -> None:
    order = Order.start(customer="Ada")
    drain()

    answers = at_once(6, lambda: str(Order.get(order.pk).pay(amount=5)))

    assert answers == ["completed"] * 6
    assert Entry.objects.filter(text="pay").count() == 1
    assert Order.get(order.pk).timeline.events.filter(type="StepCalled", step="pay").count() == 1


def test_a_lease_ends_with_the_run_and_passes_on_with_the_runner() -> None:
    holders = []
    plan["pack"] = plan["announce"] = lambda workflow: holders.append(Lease.objects.get().holder)
    Order.start(customer="Ada")
    drain()

    assert len(holders) == 2
    assert holders[0] == holders[1]
    assert Lease.objects.count() == 0


def test_a_step_that_goes_on_from_a_call_has_a_lease_of_its_own(place: Any) -> None:
    order = Order.start(customer="Ada")
    drain()
    place(send="inline")
    held = []
    plan["send"] = lambda workflow: held.append(Lease.objects.count())

    order.pay(amount=5)

    assert (held, Order.get(order.pk).send.status, Lease.objects.count()) == ([1], "completed", 0)


def test_two_starts_at_once_with_one_key_are_one_timeline() -> None:
    found = at_once(4, lambda: Order.using(key="form-token").start(customer="Ada").pk)

    assert len(found) == 4
    assert len(set(found)) == 1
    assert Entry.objects.filter(text="place").count() == 1


def at_once(count: int, what: Callable[[], Any]) -> list[Any]:
    """Do something in this many threads at the same moment, each with a connection of its own; return the answers."""
    barrier, answers = threading.Barrier(count), []

    def work() -> None:
        barrier.wait()
        try:
            answers.append(what())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_heartbeats_go_on_once_a_setting_that_was_wrong_is_right_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EnoughError(BaseException):
        """Ends the loop."""

    slept: list[float] = []

    def sleep(seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        slept.append(seconds)
        settings.TIMELINES = {**settings.TIMELINES, "LEASE": 30}
        if len(slept) == 2:
            raise EnoughError

    settings.TIMELINES = {**settings.TIMELINES, "LEASE": -1}
    monkeypatch.setattr(leases, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    with pytest.raises(EnoughError):
        leases.Keeper()._beat(HERE)

    assert slept == [1, 10]
