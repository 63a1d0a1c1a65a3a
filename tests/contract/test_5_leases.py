"""Clause 5: leases and fences, and calls made twice at once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections

from django_timelines import store
from django_timelines.actors import Actor, ActorType
from django_timelines.engine import clock, execute, leases
from django_timelines.engine.answer import run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Runner
from django_timelines.exceptions import Refused
from django_timelines.models import Lease, Run
from django_timelines.placements import Bell
from django_timelines.placements.embedded import EmbeddedWorker
from django_timelines.testing import drain, travel
from django_timelines.workflows import AT_LEAST_ONCE, Retry, Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Order, plan, ran
from tests.waiting import eventually

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
    assert ledger.timeline.events.get(type="AttemptInterrupted").data["error"] == WENT_AWAY


WENT_AWAY = {"type": "", "message": "The process that executed it went away.", "traceback": ""}


def test_an_attempt_whose_process_went_away_says_so_and_is_due_again(place: Any) -> None:
    place(pack="rq:default")
    order = Order.start(customer="Ada")
    claim_pack(order, "dead")

    with travel(timedelta(seconds=61)):
        clock.tick(HERE)

    data = order.timeline.events.get(type="AttemptInterrupted").data
    assert (data["reason"], data["error"]) == ("interrupted", WENT_AWAY)
    said = (
        "“pack” was interrupted in attempt 1: the process that executed it went away; it is due again, at rq:default."
    )
    why = order.timeline.explain()
    assert said in str(why)
    assert "“pack” is tried again now." in why.public


def test_an_interruption_is_over_once_the_step_is_tried_again() -> None:
    order = Order.start(customer="Ada")
    claim_pack(order, "dead")
    with travel(timedelta(seconds=61)):
        clock.tick(HERE)
        claim_pack(order, "alive")

    assert not {"reason", "error"} & {*Order.get(order.pk).timeline.state["runs"]["pack"]}


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


class EnoughError(BaseException):
    """Ends the loop of heartbeats."""


class Beating(leases.Keeper):
    """Keeps leases until a test has had enough."""

    def __init__(self) -> None:
        super().__init__()
        self.over, self.ended = threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None

    def sleep(self, seconds: float) -> None:
        """Let its heartbeats follow one another quickly, however long a lease is; those of others take their time."""
        if threading.current_thread() is not self.thread:
            time.sleep(seconds)
        elif self.over.wait(0.05):
            raise EnoughError

    def _beat(self, *of: Any) -> None:
        self.thread = threading.current_thread()
        with suppress(EnoughError):
            super()._beat(*of)
        self.ended.set()


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beating]:
    """Keep leases by heartbeats that do not wait a third of a lease; they end with the test."""
    keeper = Beating()
    monkeypatch.setattr(leases, "time", SimpleNamespace(sleep=keeper.sleep, monotonic=time.monotonic))
    monkeypatch.setattr(execute, "keeper", keeper)
    yield keeper
    keeper.over.set()
    assert keeper.ended.wait(30)


def expiry(order: Order) -> datetime:
    """Return until when the lease of this order's attempt is stored to be its worker's."""
    return Lease.objects.get(run__timeline=order.pk).expires


def lengthened(order: Order, beyond: datetime) -> datetime:
    """Wait until the stored lease ends later than that; return when."""
    return eventually(lambda: (at := expiry(order)) > beyond and at)  # type: ignore[no-any-return]


def test_a_body_that_blocks_for_longer_than_its_lease_keeps_it_by_itself(
    beating: Beating, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    plan["announce"] = lambda workflow: begun.set() or may_end.wait(50)  # type: ignore[func-returns-value]
    order = Order.start(customer="Ada")
    worker, run = EmbeddedWorker(), Run.objects.get(step="pack")
    worker.bells.put(Bell(order.pk.hex, "pack", "", run.fence, HERE, "embedded"))
    worker.bells.put(None)
    thread = worker._thread("timelines-worker-1", worker._work)
    assert begun.wait(30)
    claimed = expiry(order)

    try:
        for seconds in (40, 80):
            travel(timedelta(seconds=seconds))
            lengthened(order, claimed + timedelta(seconds=seconds - 20))
        clock.tick(HERE)  # 20 seconds after the end of the lease that the claim wrote
    finally:
        may_end.set()
        thread.join(30)

    types = [event.type for event in Order.get(order.pk).timeline.events.filter(step="announce")]
    assert (types, ran["announce"]) == (["StepDue", "AttemptStarted", "StepCompleted"], 1)
    assert (beating._held, Lease.objects.count()) == ({}, 0)


def test_a_heartbeat_ends_with_its_attempt_and_with_its_limit(beating: Beating) -> None:
    orders = {name: Order.start(customer=name) for name in ("ended", "hanging", "alive")}
    holders: dict[str, str] = {}
    for name, order in orders.items():
        held = claim(order.pk, ("pack", ""), Run.objects.get(timeline=order.pk, step="pack").fence, runner(name))
        assert held is not None
        holders[name] = Lease.objects.get(run__timeline=order.pk).holder
    before = {name: expiry(order) for name, order in orders.items()}

    with beating.keep(HERE, holders["ended"]):
        lengthened(orders["ended"], before["ended"])
    with beating.keep(HERE, holders["hanging"], limit=timedelta(microseconds=1)), beating.keep(HERE, holders["alive"]):
        beat = lengthened(orders["alive"], before["alive"])
        was = expiry(orders["ended"])
        lengthened(orders["alive"], beat)

    assert (expiry(orders["ended"]), expiry(orders["hanging"])) == (was, before["hanging"])


def test_heartbeats_go_on_once_a_setting_that_was_wrong_is_right_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    here = threading.current_thread()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is not here:  # the heartbeats of tests before this one go on
            time.sleep(seconds)
            return
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
