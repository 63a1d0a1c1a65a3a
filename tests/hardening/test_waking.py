"""What is due is done in time, whatever holds somebody up: an open transaction, clocks that differ, a Redis that is mute."""

import os
import threading
import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction

from django_timelines import moments, store
from django_timelines.actors import SYSTEM
from django_timelines.engine import bells, clock, leases
from django_timelines.engine.claim import claim
from django_timelines.engine.known import Known
from django_timelines.engine.leases import Keeper
from django_timelines.engine.runner import Held, Runner
from django_timelines.exceptions import LeaseLost
from django_timelines.models import Lease, Run
from django_timelines.placements import Bell
from django_timelines.state import RunName
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.testing.patching import wrapped
from django_timelines.workflows import pause_all, resume_all
from tests.limits.test_limit import claimed, ended, held
from tests.limits.workflows import Import
from tests.races.at_once import LONG, Started, at_once
from tests.shop.here import HERE

from .workflows import Errand, Essay

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

SLOW_CHILD = """
class Slow(Workflow):
    @step
    def order(self, name: str) -> None: ...

    @step(after=order, delivery=AT_LEAST_ONCE, retry=Retry(50, wait=timedelta(hours=6), cap=timedelta(hours=6)))
    def go(self) -> None:
        raise ValueError("no")

class Parcel(Workflow):
    @step
    def begin(self, name: str) -> None: ...

    child = subworkflow(Slow, after=begin, given=lambda parcel: {"name": "x"}, within=timedelta(hours=1))
"""

DELAYED = """
class Parcel(Workflow):
    @step
    def post(self) -> None: ...

    @step(after=post, delay=timedelta(minutes=1))
    def go(self) -> None: ...
"""


@pytest.fixture
def rung(place: Any, monkeypatch: pytest.MonkeyPatch) -> list[Bell]:
    """Place everything at a queue, hear all bells of it and answer none."""
    place(background="rq:default")
    heard: list[Bell] = []
    monkeypatch.setattr(bells, "ring", lambda bell: heard.append(bell) or True)
    return heard


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set this machine's clock ahead of the others', which are right, for a block."""

    class Ahead:
        by = timedelta(0)

    now = moments.now
    monkeypatch.setattr(moments, "now", lambda: now() + Ahead.by)
    return Ahead


def heard(bell: Bell) -> Held | None:
    """Answer a bell as far as the claim."""
    name = RunName(bell.step, bell.item)
    return claim(uuid.UUID(bell.timeline), name, bell.fence, Runner(SYSTEM, bell.placement, HERE))


def cancelled_with_a_slow_child(deploy: Any) -> Any:
    workflow = deploy(SLOW_CHILD)
    parcel = workflow.start(name="a")
    drain()
    workflow.get(parcel.pk).timeline.cancel(reason="no more")
    drain()
    return workflow.get(parcel.pk)


def test_a_timeline_that_a_request_holds_keeps_the_clock_from_no_other(row_locks: None) -> None:
    busy, other = Essay.start(), Essay.start()
    drain()
    holds, over = threading.Event(), threading.Event()

    def request() -> None:
        with transaction.atomic(using=HERE):
            Essay.get(busy.pk).hand_in(text="here")
            holds.set()
            assert over.wait(LONG)

    both_look, came = threading.Barrier(2), threading.local()

    def with_the_other(look: Any) -> Any:
        def look_at(*args: Any) -> Any:  # each has read what is due, and neither has settled anything yet
            if not hasattr(came, "once"):
                came.once = both_look.wait(LONG)
            return look(*args)

        return look_at

    asked = Started(request)
    assert holds.wait(LONG)
    with travel(timedelta(days=2)):
        with wrapped(clock, "_look", with_the_other):
            assert at_once(*[lambda: clock.tick(HERE)] * 2) == [2, 2]
        assert Essay.get(other.pk).hand_in.status == "overdue"
        over.set()
        assert asked.answer() is None
        clock.tick(HERE)

    assert Essay.get(busy.pk).hand_in.status == "completed"


def test_a_child_that_takes_long_while_its_parent_is_cancelled_is_no_work_for_the_clock(deploy: Any) -> None:
    with recorded_errors():
        cancelled_with_a_slow_child(deploy)

    with travel(timedelta(hours=2)):
        assert [clock.tick(HERE), clock.tick(HERE)] == [1, 0]
        assert clock._until_next(HERE, Known()) == clock.LONGEST_SLEEP


def test_what_an_earlier_version_left_to_be_looked_at_for_ever_is_let_go(deploy: Any) -> None:
    with recorded_errors():
        parcel = cancelled_with_a_slow_child(deploy)
    Run.objects.filter(timeline=parcel.pk).update(until=None, ring=moments.now())

    assert [clock.tick(HERE), clock.tick(HERE)] == [1, 0]


@pytest.mark.parametrize(("behind", "taken"), [(0.2, True), (60, False)])
def test_a_worker_whose_clock_is_a_little_behind_begins_when_the_clock_rings(
    deploy: Any, rung: list[Bell], ahead: Any, behind: float, taken: bool
) -> None:
    deploy(DELAYED).start()
    drain()
    with travel(timedelta(seconds=60)):
        clock.tick(HERE)
        ahead.by = -timedelta(seconds=behind)

        assert (heard(rung.pop()) is not None) is taken


def test_a_killed_workers_step_goes_on_though_its_clock_was_ahead(rung: list[Bell], ahead: Any) -> None:
    Errand.start()
    ahead.by = timedelta(minutes=5)
    assert heard(rung.pop()) is not None
    ahead.by = timedelta(0)
    clock.tick(HERE)
    assert Run.objects.get().status == "running"

    with travel(timedelta(seconds=61)):
        clock.tick(HERE)

    assert (Run.objects.get().status, Lease.objects.count()) == ("retrying", 0)


def test_a_heartbeat_that_comes_just_before_the_rescue_keeps_the_attempt(rung: list[Bell]) -> None:
    Errand.start()
    assert heard(rung.pop()) is not None

    def beaten(rescue: Any) -> Any:
        def late(*args: Any) -> bool:
            store.heartbeat(HERE, [Lease.objects.get().holder], 60)
            return bool(rescue(*args))

        return late

    with travel(timedelta(seconds=61)):
        with wrapped(clock, "rescue", beaten):
            clock.tick(HERE)
        assert Run.objects.get().status == "running"


def test_what_is_resumed_goes_on_at_once_however_long_it_had_waited(rung: list[Bell]) -> None:
    Errand.start()
    for _ in range(8):
        travel(timedelta(minutes=3))
        clock.tick(HERE)
    pause_all("the bad day")
    assert heard(rung.pop()) is None
    rung.clear()
    resume_all()

    clock.tick(HERE)

    assert [bell.step for bell in rung] == ["ask"]


def test_a_row_that_somebody_holds_keeps_no_other_from_being_put_back(row_locks: None, rung: list[Bell]) -> None:
    for _ in range(4):
        Errand.start()
    before = dict(Run.objects.values_list("pk", "rings"))
    first = min(before)
    holds, over = threading.Event(), threading.Event()

    def request() -> None:
        with transaction.atomic(using=HERE):
            Run.objects.using(HERE).select_for_update().get(pk=first)
            holds.set()
            assert over.wait(LONG)

    asked: list[Started] = []

    def unheard(bell: Bell) -> bool:
        if not asked:
            asked.append(Started(request))
            assert holds.wait(LONG)
        return False

    with travel(timedelta(seconds=6)), wrapped(bells, "ring", lambda ring: unheard):
        clock.tick(HERE)
    over.set()
    asked[0].answer()

    assert {pk for pk, rings in Run.objects.values_list("pk", "rings") if rings != before[pk]} == {first}


def test_a_placement_that_does_not_answer_is_not_asked_again_for_each_free_slot(
    rung: list[Bell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "time", SimpleNamespace(monotonic=lambda: 0.0))  # all this is within five seconds
    imports = [Import.start(owner=f"owner {number}") for number in range(6)]
    executed = [held(one, "load") for one in imports[:2]]
    assert [claimed(one, "load") for one in imports[2:]] == [None] * 4
    asked = []

    def mute(bell: Bell) -> bool:
        asked.append(bell)
        bells._silence(bell.placement)
        return False

    with moments.standing_still(), wrapped(bells, "ring", lambda ring: mute):
        for one in executed:
            ended(one)
        for _ in range(4):
            clock.tick(HERE)

    assert len(asked) == 1


def test_how_long_it_took_to_learn_that_a_placement_is_mute_does_not_count(rung: list[Bell], ahead: Any) -> None:
    Errand.start()
    known = Known()
    asked = []

    def mute(bell: Bell) -> bool:
        asked.append(bell)
        ahead.by += timedelta(seconds=10)
        return False

    ahead.by = timedelta(seconds=6)
    with wrapped(bells, "ring", lambda ring: mute):
        clock.tick(HERE, known=known)
        clock.tick(HERE, known=known)

    assert len(asked) == 1


def test_a_run_whose_row_is_gone_ends_no_clock(caplog: pytest.LogCaptureFixture) -> None:
    broken, other = Essay.start(), Essay.start()
    drain()

    def without_row(settle: Any) -> Any:
        def lost(run: Run, *args: Any) -> None:
            if run.timeline_id == broken.pk:
                raise LeaseLost("as the store says it of a row that somebody deleted")
            settle(run, *args)

        return lost

    with travel(timedelta(days=2)), wrapped(clock, "settle_overdue", without_row):
        clock.tick(HERE)

    assert Essay.get(other.pk).hand_in.status == "overdue"
    assert "The clock could not look at" in caplog.text


def test_a_heartbeat_that_could_not_begin_begins_with_the_next_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper()

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError), keeper.keep(HERE, "first"):
            pass
    began: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: began.append(thread))

    with keeper.keep(HERE, "second"):
        assert ([*keeper._held], len(began)) == (["second"], 1)


def test_a_process_that_was_forked_keeps_its_own_leases_and_not_its_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    held = [*leases.keeper._held]

    with leases.keeper.keep(HERE, "the parent's"):
        pid = os.fork()
        if pid == 0:
            try:
                with leases.keeper.keep(HERE, "its own"):
                    os._exit(0 if ([*leases.keeper._held], [*leases.keeper._beating]) == (["its own"], [HERE]) else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert [*leases.keeper._held] == [*held, "the parent's"]
