"""Clauses 5, 7 and 8: a cancel or a retry against what is being executed, in either order, and clocks that tick together."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from django_timelines.engine import bells, clock
from django_timelines.engine.answer import answer
from django_timelines.engine.claim import claim
from django_timelines.exceptions import LeaseLost, PermanentFailure, Refused
from django_timelines.models import Event, Lease, Run
from django_timelines.store import noting
from django_timelines.testing import drain, travel
from django_timelines.testing.patching import wrapped
from tests.races.at_once import LONG, Started, at_once, meanwhile, somebody_waits, until
from tests.races.workers import bell_of, claimed, worker
from tests.races.workflows import Till, Window
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def cancel(till: Till) -> None:
    Till.get(till.pk).timeline.cancel(reason="no more")


def types(till: Till, step: str) -> list[str]:
    return list(Event.objects.filter(timeline=till.pk, step=step).order_by("sequence").values_list("type", flat=True))


def fail(workflow: Any) -> None:
    raise PermanentFailure("It is broken.")


def test_a_cancel_in_the_middle_of_an_exactly_once_body_takes_its_rows_back(row_locks: None) -> None:
    till = Till.start(owner="Ada")
    plan["count"] = lambda workflow: meanwhile(lambda: cancel(till))

    answer(**bell_of(till, "count"))

    assert (ran["count"], Entry.objects.filter(text="count").count()) == (1, 0)
    assert (Till.get(till.pk).count.status, Till.get(till.pk).total) == ("cancelled", 0)


def test_a_cancel_in_the_middle_of_a_called_body_refuses_the_call(row_locks: None) -> None:
    till = Till.start(owner="Ada")
    plan["pay"] = lambda workflow: meanwhile(lambda: cancel(till))

    with pytest.raises(Refused) as refused:
        till.pay(amount=5)

    assert refused.value.reason == "settled"
    assert (Entry.objects.filter(text="pay").count(), types(till, "pay")) == (0, ["StepDue"])


def test_a_cancel_in_the_middle_of_an_outside_body_lets_it_come_to_its_end() -> None:
    till = Till.start(owner="Ada")
    plan["tell"] = lambda workflow: meanwhile(lambda: cancel(till))

    answer(**bell_of(till, "tell"))

    assert (ran["tell"], Till.get(till.pk).tell.status, Till.get(till.pk).total) == (1, "completed", 100)
    assert Till.get(till.pk).timeline.status == "cancelled"


def test_a_cancel_that_finds_a_completion_before_it_stops_the_rest(row_locks: None) -> None:
    till = Till.start(owner="Ada")

    with transaction.atomic(using=HERE):
        till.pay(amount=5)
        cancelling = Started(lambda: cancel(till))
        until(somebody_waits)
    cancelling.answer()

    now = Till.get(till.pk)
    assert (now.pay.status, now.total, now.count.status) == ("completed", 5, "cancelled")
    assert (Entry.objects.filter(text="pay").count(), now.timeline.status) == (1, "cancelled")


def test_a_completion_that_finds_a_cancel_before_it_is_rolled_back(row_locks: None) -> None:
    till = Till.start(owner="Ada")

    with transaction.atomic(using=HERE):
        cancel(till)
        counting = Started(lambda: answer(**bell_of(till, "count")))
        until(somebody_waits)
    counting.answer()

    assert (Till.get(till.pk).count.status, types(till, "count")) == ("cancelled", ["StepDue"])
    assert Entry.objects.filter(text="count").count() == 0


def test_a_cancel_and_fifty_calls_at_once_agree() -> None:
    till = Till.start(owner="Ada")

    *answers, cancelled = at_once(*[lambda: str(Till.get(till.pk).pay(amount=5))] * 50, lambda: cancel(till))

    assert cancelled is None
    effects = Entry.objects.filter(text="pay").count()
    refusals = {error.reason for error in answers if isinstance(error, Refused)}
    assert set(map(str, answers)) == {"completed"} if effects else refusals == {"settled"}
    assert Till.get(till.pk).pay.status == ("completed" if effects else "cancelled")


@pytest.mark.parametrize("step", ["count", "tell"])
def test_a_retry_by_hand_of_what_is_being_executed_is_refused(step: str, request: pytest.FixtureRequest) -> None:
    if step == "count":
        request.getfixturevalue("row_locks")
    till, refusals = Till.start(owner="Ada"), []

    def retry(workflow: Any) -> None:
        with pytest.raises(Refused) as refused:
            meanwhile(getattr(Till.get(till.pk), step).retry)
        refusals.append(refused.value.reason)

    plan[step] = retry
    answer(**bell_of(till, step))

    assert (refusals, ran[step], types(till, step)) == (
        ["not_applicable"],
        1,
        ["StepDue", "AttemptStarted", "StepCompleted"],
    )


def test_fifty_retries_by_hand_of_a_blocked_step_are_one() -> None:
    till = Till.start(owner="Ada")
    plan["tell"] = fail
    answer(**bell_of(till, "tell"))
    del plan["tell"]

    answers = at_once(*[lambda: str(Till.get(till.pk).tell.retry())] * 50)
    drain()

    assert Counter(answers) == {"due": 50}
    assert (ran["tell"], types(till, "tell").count("StepDue")) == (2, 2)


def test_fifty_claims_of_one_attempt_are_one() -> None:
    till = Till.start(owner="Ada")
    bell = bell_of(till, "tell")

    at_once(*[lambda: answer(**bell)] * 50)

    assert (ran["tell"], types(till, "tell")) == (1, ["StepDue", "AttemptStarted", "StepCompleted"])
    assert Till.get(till.pk).total == 100


def test_two_clocks_at_once_rescue_each_attempt_once() -> None:
    tills = [Till.start(owner="Ada") for _ in range(25)]
    for till in tills:
        assert claimed(till, "tell", "dead") is not None

    with travel(timedelta(seconds=61)):
        at_once(*[lambda: clock.tick(HERE)] * 2)
        clock.tick(HERE)

    assert [types(till, "tell") for till in tills] == [["StepDue", "AttemptStarted", "AttemptInterrupted"]] * 25
    assert Lease.objects.count() == 0


@pytest.fixture
def queue(place: Callable[..., None]) -> Iterator[Any]:
    """Place what runs by itself at a queue, and give that, empty."""
    place(background="rq:default")
    queue = django_rq.get_queue("default")
    queue.empty()
    yield queue
    queue.empty()


@pytest.mark.redis
def test_two_clocks_at_once_ring_each_bell_once(queue: Any) -> None:
    for _ in range(25):
        Till.start(owner="Ada")
    queue.empty()

    with travel(timedelta(seconds=6)):
        at_once(*[lambda: clock.tick(HERE)] * 2)

    assert (len(queue.job_ids), len(set(queue.job_ids))) == (50, 50)  # one for each step that runs by itself
    assert set(Run.objects.filter(status="due").values_list("rings", flat=True)) == {2}


@pytest.mark.redis
def test_a_tick_takes_as_many_statements_for_many_that_are_due_as_for_a_few(queue: Any) -> None:
    took = []
    for more in (3, 60):
        for _ in range(more):
            Till.start(owner="Ada")
        queue.empty()
        with travel(timedelta(seconds=6)), CaptureQueriesContext(connections[HERE]) as asked:
            assert clock.tick(HERE) >= 2 * more
        took.append(len(asked))
        Run.objects.update(ring=None)

    assert took[0] == took[1] <= 12
    assert queue.count == 120


@pytest.mark.redis
def test_a_clock_that_looked_before_another_rang_rings_for_nothing_again(queue: Any) -> None:
    for _ in range(3):
        Till.start(owner="Ada")
    queue.empty()
    looks = []

    def after_another_clock(ring_again: Any) -> Any:
        def ring(*args: Any) -> None:  # it has read what is due, and has not rung yet
            if not looks:
                looks.append(args)
                meanwhile(lambda: clock.tick(HERE))
            ring_again(*args)

        return ring

    with travel(timedelta(seconds=6)), wrapped(clock, "ring_again", after_another_clock):
        assert clock.tick(HERE) == 6

    assert (len(looks), len(queue.job_ids), len(set(queue.job_ids))) == (1, 6, 6)


def test_a_clock_whose_bell_nobody_hears_puts_the_run_back_while_another_looks_at_it(
    row_locks: None, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noting, "PAUSES", [0.1] * 600)  # it gives up no sooner than the test does
    place(background="rq:default")  # an embedded one it would not ring
    till, noted, held = Till.start(owner="Ada"), threading.Event(), threading.Event()
    before = sorted(Run.objects.filter(timeline=till.pk).values_list("pk", "rings", "ring"))

    tries: list[Any] = []

    def unheard(bell: Any) -> bool:
        noted.set()
        return not held.wait(LONG)

    def counted(rang: Any) -> Any:
        return lambda *args: tries.append(args) or rang(*args)

    ring, rang = wrapped(bells, "ring", lambda ring: unheard), wrapped(noting, "rang", counted)
    with travel(timedelta(seconds=6)), ring, rang:
        ticking = Started(lambda: clock.tick(HERE))
        assert noted.wait(LONG)
        with transaction.atomic(using=HERE):
            assert len(Run.objects.select_for_update()) == len(before)  # as another clock does it
            held.set()
            until(lambda: ticking.ended or len(tries) > 1)
        ticking.answer()

    assert sorted(Run.objects.filter(timeline=till.pk).values_list("pk", "rings", "ring")) == before


def test_a_clock_that_looked_before_another_rescued_leaves_what_that_did() -> None:
    tills = [Till.start(owner="Ada") for _ in range(3)]
    for till in tills:
        claimed(till, "tell", "dead")

    class AnotherClock(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.removeHandler(self)
            meanwhile(lambda: clock.tick(HERE))

    log = logging.getLogger("django_timelines")
    log.addHandler(AnotherClock(logging.WARNING))  # the first rescue is logged; then the other clock does all the rest
    with travel(timedelta(seconds=61)):
        clock.tick(HERE)

    assert [types(till, "tell") for till in tills] == [["StepDue", "AttemptStarted", "AttemptInterrupted"]] * 3


def test_one_look_of_the_clock_rescues_all_attempts_of_a_timeline() -> None:
    till = Till.start(owner="Ada")
    for step in ("count", "tell"):
        claimed(till, step, "dead")

    with travel(timedelta(seconds=61)):
        clock.tick(HERE)

    assert (Till.get(till.pk).count.status, Till.get(till.pk).tell.status) == ("retrying", "retrying")


def test_two_deadlines_of_a_timeline_are_settled_together() -> None:
    window = Window.start()
    drain()

    with travel(timedelta(days=2)):
        drain()

    assert (Window.get(window.pk).look_in.status, Window.get(window.pk).look_out.status) == ("overdue", "overdue")


def test_two_clocks_at_once_settle_what_is_overdue_once() -> None:
    from tests.shop.workflows import Visit

    visits = [Visit.start(guest="Ada") for _ in range(25)]

    with travel(timedelta(days=4)):
        at_once(*[lambda: clock.tick(HERE)] * 2)
        clock.tick(HERE)

    overdue = Event.objects.filter(type="StepOverdue").values_list("timeline", flat=True)
    assert sorted(overdue) == sorted(visit.pk for visit in visits)


@pytest.mark.parametrize("step", ["count", "tell"])
def test_what_a_worker_did_that_woke_up_too_late_is_not_applied(step: str, request: pytest.FixtureRequest) -> None:
    if step == "count":
        request.getfixturevalue("row_locks")
    till = Till.start(owner="Ada")

    def another_completes() -> None:
        with travel(timedelta(seconds=61)):
            clock.tick(HERE)
            del plan[step]
            answer(**bell_of(till, step))

    plan[step] = lambda workflow: meanwhile(another_completes)
    answer(**bell_of(till, step))

    assert ran[step] == 2
    events = ["StepDue", "AttemptStarted", "AttemptInterrupted", "AttemptStarted", "StepCompleted"]
    late = {"count": [], "tell": ["AttemptInterrupted"]}[step]  # an effect outside is noted
    assert types(till, step) == events + late
    assert Till.get(till.pk).total == {"count": 10, "tell": 100}[step]
    assert Entry.objects.filter(text=step).count() == {"count": 1, "tell": 2}[step]  # outside nothing can be taken back


def test_of_two_workers_that_hold_one_attempt_the_newer_completes() -> None:
    from django_timelines.engine.body import run_body
    from django_timelines.engine.record import record

    till = Till.start(owner="Ada")
    old = claimed(till, "tell", "slow")
    assert old is not None
    with travel(timedelta(seconds=61)):
        clock.tick(HERE)
        new = claimed(till, "tell", "quick")
    assert new is not None
    ended = [run_body(held.declaration, held.seen, held.name, held.attempt, {}) for held in (old, new)]

    first, second = at_once(
        lambda: record(old, ended[0], worker("slow")), lambda: record(new, ended[1], worker("quick"))
    )

    assert isinstance(first, LeaseLost)
    assert second.after.state["runs"]["tell"]["status"] == "completed"
    assert claim(till.pk, ("tell", ""), old.fence, worker("slow")) is None
