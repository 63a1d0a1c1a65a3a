"""Clauses 7, 8 and 9: one failure policy, a person's verbs, cancel, and waits that hold nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from django_timelines import moments, registry
from django_timelines.actors import Actor, ActorType
from django_timelines.engine.clock import tick
from django_timelines.exceptions import Refused, Rejected
from django_timelines.models import Event, Lease, Run
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.workflows import PermanentFailure, Retry, RetryAfter
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.stories import ready_to_pay
from tests.shop.workflows import Fork, Order, Visit, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")
BY_CHANCE = Retry.delay.__defaults__  # before a fixture lets chance decide nothing


def raising(error: Exception) -> Any:
    def body(workflow: Any) -> None:
        raise error

    return body


def test_a_failed_attempt_is_tried_again_at_its_due_time() -> None:
    plan["announce"] = raising(OSError("no route"))
    order = ready_to_pay()
    assert (order.announce.status, ran["announce"]) == ("retrying", 1)

    for attempts, seconds in ((2, 11), (3, 21)):
        travel(timedelta(seconds=seconds))
        drain()
        assert ran["announce"] == attempts

    order = Order.get(order.pk)
    assert (order.announce.status, order.timeline.status) == ("blocked", "blocked")
    assert "no route" in str(order.timeline.explain())


def test_an_error_outside_of_on_fails_at_once() -> None:
    plan["announce"] = raising(KeyError("stamp"))

    with recorded_errors():
        order = ready_to_pay()

    assert (order.announce.status, ran["announce"]) == ("blocked", 1)


def test_a_permanent_failure_fails_at_once() -> None:
    plan["pack"] = raising(PermanentFailure("We do not sell this."))

    order = ready_to_pay()

    assert (order.pack.status, ran["pack"]) == ("blocked", 1)


def test_retry_after_says_when() -> None:
    plan["pack"] = raising(RetryAfter(timedelta(hours=2)))
    order = ready_to_pay()
    with travel(timedelta(minutes=119)):
        drain()
    assert ran["pack"] == 1

    del plan["pack"]
    with travel(timedelta(minutes=121)):
        drain()

    assert Order.get(order.pk).pack.status == "completed"


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time stand still, but for those who travel."""
    now = moments.now()
    monkeypatch.setattr(moments, "now", lambda: now + moments.offset)


@pytest.fixture
def waits(stopped: None, deploy: Any) -> Callable[[str], list[float]]:
    """Return the seconds for which each retry waits under such a policy, to the microsecond."""

    def fail(policy: str, error: str = "OSError") -> list[float]:
        parcel = deploy(f"""
            class Parcel(Workflow):
                @step
                def post(self): ...

                @step(after=post, retry={policy})
                def carry(self):
                    raise {error}
        """).start()
        found: list[float] = []
        with recorded_errors():
            drain()
            while run := Run.objects.filter(timeline=parcel.pk, status="retrying").first():
                found.append((run.due - moments.now()).total_seconds())
                travel(timedelta(seconds=found[-1]))
                drain()
        return found

    return fail


@pytest.fixture
def by_chance(longest_waits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chance decide how long a retry waits, as it does outside of the tests."""
    monkeypatch.setattr(Retry.delay, "__defaults__", BY_CHANCE)


def test_the_waits_double_and_are_no_longer_than_five_minutes(waits: Callable[[str], list[float]]) -> None:
    assert waits("Retry(10)") == [2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_no_wait_is_longer_than_its_cap(waits: Callable[[str], list[float]]) -> None:
    policy = "Retry(6, wait=timedelta(seconds=3), factor=10, cap=timedelta(seconds=40))"

    assert waits(policy) == [3, 30, 40, 40, 40]


@pytest.mark.parametrize("drawn", [0.25, 0.75])
def test_a_wait_is_as_much_of_the_longest_as_is_drawn(
    drawn: float, waits: Callable[[str], list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retry.delay, "__defaults__", (lambda: drawn,))

    assert waits("Retry(9, cap=timedelta(seconds=100))") == [
        drawn * longest for longest in (2, 4, 8, 16, 32, 64, 100, 100)
    ]


def test_chance_draws_each_wait_anew_from_nought_to_the_longest(
    waits: Callable[[str], list[float]], by_chance: None
) -> None:
    found = waits("Retry(21, factor=1)")

    assert len({*found}) > 15  # of twenty, to the microsecond
    assert all(0 <= seconds <= 2 for seconds in found)


def test_without_jitter_a_retry_waits_the_whole_of_it(waits: Callable[[str], list[float]], by_chance: None) -> None:
    assert waits("Retry(4, jitter=False)") == [2, 4, 8]


def test_retry_after_is_neither_drawn_nor_capped(waits: Callable[[str, str], list[float]], by_chance: None) -> None:
    assert waits("Retry(3, cap=timedelta(seconds=1))", "RetryAfter(timedelta(hours=2))") == [7200, 7200]
    assert waits("Retry(2)", "RetryAfter(1.5)") == [1.5]


def test_an_unexpected_error_is_recorded_and_then_raised_in_tests() -> None:
    plan["place"] = raising(ZeroDivisionError("the till"))

    with pytest.raises(ZeroDivisionError):
        Order.start(customer="Ada")

    assert Event.objects.get(type="AttemptFailed").data["error"]["type"] == "ZeroDivisionError"


def test_a_validation_error_of_a_step_that_runs_by_itself_is_a_failure() -> None:
    plan["pack"] = raising(ValidationError("Too heavy."))

    order = ready_to_pay()

    assert (order.pack.status, ran["pack"]) == ("blocked", 1)


def test_a_person_retries_a_blocked_step_and_gives_a_reason() -> None:
    plan["pack"] = raising(PermanentFailure("Out of boxes."))
    order = ready_to_pay()
    del plan["pack"]

    order.pack.retry(reason="boxes came", actor=Actor(ActorType.USER, "7", "ada"))
    drain()

    assert Order.get(order.pk).pay.status == "waiting"
    due = Event.objects.filter(type="StepDue", step="pack").last()
    assert due is not None
    assert (due.actor_label, due.data["reason"]) == ("ada", "boxes came")


def test_a_person_skips_a_step_and_sets_its_fields() -> None:
    plan["pack"] = raising(PermanentFailure("Out of boxes."))
    order = ready_to_pay()

    assert order.pack.skip(reason="wrapped by hand", amount=7) == "completed"
    drain()

    order = Order.get(order.pk)
    assert (order.pack.status, order.pay.status, order.amount) == ("skipped", "waiting", 7)


def test_skip_needs_a_reason_and_known_fields() -> None:
    order = ready_to_pay()

    with pytest.raises(Rejected, match="Say why"):
        order.pay.skip(reason=" ")
    with pytest.raises(Rejected, match="no such field"):
        order.pay.skip(reason="paid in cash", colour="red")


def test_a_completed_step_cannot_be_retried_or_skipped() -> None:
    order = ready_to_pay()

    with pytest.raises(Refused) as refused:
        order.pack.retry()
    with pytest.raises(Refused):
        order.pack.skip(reason="no")

    assert refused.value.reason == "not_applicable"


def test_a_blocked_step_takes_a_new_call_with_other_input() -> None:
    plan["pay"] = raising(PermanentFailure("The card is not known."))
    order = ready_to_pay()
    assert order.pay(amount=1) == "blocked"
    del plan["pay"]

    assert order.pay(amount=2) == "completed"

    assert Order.get(order.pk).notes == ["paid 2"]


def test_an_outcome_that_the_class_goes_on_from_is_final() -> None:
    plan["left"] = raising(PermanentFailure("blocked road"))
    fork = Fork.start()
    drain()

    fork = Fork.get(fork.pk)

    assert (fork.left.status, fork.sorry.status) == ("failed", "completed")
    assert (fork.finish.status, fork.timeline.status) == ("completed", "completed")
    assert fork.join.status == "not taken"  # nobody had begun it when finish went on without it


def test_cancel_stops_at_once_what_nobody_has_begun() -> None:
    order = ready_to_pay()

    order.timeline.cancel(reason="changed my mind")

    order = Order.get(order.pk)
    assert (order.timeline.status, order.pay.status, order.send.status) == ("cancelled", "cancelled", "cancelled")
    assert Run.objects.count() == 0
    with pytest.raises(Refused):
        order.pay(amount=1)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_cancel_rolls_an_exactly_once_body_back(elsewhere: Any) -> None:
    order, waited = Order.start(customer="Ada"), True

    def cancel(_order: Order) -> None:
        nonlocal waited
        elsewhere(lambda: Order.get(order.pk).timeline.cancel(reason="in the middle"))
        waited = False

    plan["pack"] = cancel
    drain()

    order = Order.get(order.pk)
    assert not waited  # for the end of the body
    assert (order.pack.status, order.timeline.status) == ("cancelled", "cancelled")
    assert list(Entry.objects.values_list("text", flat=True)) == ["place"]


def test_cancel_carries_an_outside_effect_to_its_known_end() -> None:
    order = Order.start(customer="Ada")
    plan["announce"] = lambda workflow: Order.get(order.pk).timeline.cancel(reason="in the middle")

    drain()

    order = Order.get(order.pk)
    assert (order.announce.status, order.timeline.status, order.pay.status) == ("completed", "cancelled", "cancelled")


def test_cancel_carries_an_outside_effect_to_its_end_though_its_time_runs_out(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, delivery=AT_LEAST_ONCE, within=timedelta(seconds=20), retry=Retry(5, wait=timedelta(seconds=15)))
            def carry(self):
                ran["carry"] += 1
                if ran["carry"] < 4:
                    raise OSError("The road is closed.")
    """).start()
    with recorded_errors():
        drain()
    parcel.timeline.cancel(reason="not wanted any more")
    parcel = type(parcel).get(parcel.pk)
    assert (parcel.carry.status, parcel.timeline.status) == ("retrying", "cancelling")

    with recorded_errors():
        for minutes in (1, 3, 9, 27):
            with travel(timedelta(minutes=minutes)):
                tick(HERE)
                drain()

    parcel = type(parcel).get(parcel.pk)
    assert (parcel.carry.status, parcel.timeline.status, ran["carry"]) == ("completed", "cancelled", 4)
    assert not Event.objects.filter(timeline=parcel.pk, type="StepOverdue").exists()


@pytest.mark.parametrize("delivery", ["AT_LEAST_ONCE", "AT_MOST_ONCE"])
@pytest.mark.parametrize("option", ["when", "within"])
@pytest.mark.parametrize("comes", ["later", "meanwhile"])
def test_cancel_stops_an_outside_step_of_which_only_the_functions_failed(
    deploy: Any, delivery: str, option: str, comes: str
) -> None:
    parcel = deploy(f"""
        def asked(parcel):
            ran["asked"] += 1
            if ran["asked"] == 1:
                plan["asked"](parcel)
                raise OSError("Nobody answers.")
            return timedelta(hours=1)

        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, delivery={delivery}, {option}=asked)
            def carry(self):
                ran["carry"] += 1
    """).start()

    def cancel() -> None:
        type(parcel).get(parcel.pk).timeline.cancel(reason="not wanted any more")

    plan["asked"] = lambda _parcel: cancel() if comes == "meanwhile" else None
    with recorded_errors():
        drain()
    if comes == "later" and type(parcel).get(parcel.pk).carry.status == "blocked":
        type(parcel).get(parcel.pk).carry.retry()
    if comes == "later":
        cancel()
    with travel(timedelta(minutes=10)):
        drain()

    parcel = type(parcel).get(parcel.pk)
    assert (parcel.carry.status, parcel.timeline.status, ran["carry"]) == ("cancelled", "cancelled", 0)


def test_cancel_carries_an_outside_effect_to_its_end_though_a_later_attempt_did_not_come_to_it(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, delivery=AT_LEAST_ONCE, limit=Limit(1, per=lambda parcel: plan["who"](parcel)))
            def carry(self):
                ran["carry"] += 1
                plan["who"] = raising
                raise OSError("The road is closed.")

        def raising(parcel):
            raise OSError("Nobody answers.")
    """)
    plan["who"] = lambda _parcel: "Ada"
    parcel = parcel.start()
    with recorded_errors():
        drain()
        with travel(timedelta(minutes=10)):
            drain()
    parcel.timeline.cancel(reason="not wanted any more")
    assert (type(parcel).get(parcel.pk).carry.status, ran["carry"]) == ("retrying", 1)

    plan["who"] = lambda _parcel: "Ada"
    with recorded_errors(), travel(timedelta(hours=1)):
        drain()

    assert ran["carry"] == 2


def test_a_step_can_cancel_its_timeline_with_its_completion() -> None:
    plan["pack"] = lambda workflow: workflow.cancel(reason="sold out")

    order = ready_to_pay()

    assert (order.pack.status, order.timeline.status, ran["announce"]) == ("completed", "cancelled", 0)


def test_a_persons_three_days_are_one_row() -> None:
    visit = Visit.start(guest="Ada")

    assert Run.objects.count() == 1
    assert Lease.objects.count() == 0
    with travel(timedelta(days=3, seconds=1)):
        drain()

    visit = Visit.get(visit.pk)
    assert (visit.arrive.status, visit.forget.status, visit.welcome.status) == ("overdue", "completed", "not reached")
    assert Entry.objects.filter(text="forget").count() == 1


def test_what_waits_for_its_next_attempt_is_one_row_and_holds_no_lease() -> None:
    plan["announce"] = raising(OSError("no route"))

    order = ready_to_pay()

    assert order.announce.status == "retrying"
    assert (Run.objects.count(), Lease.objects.count()) == (1, 0)


def test_a_guard_is_asked_until_it_has_answered_and_then_no_more() -> None:
    asked = []
    plan["welcome"] = raising(RetryAfter(0))
    visit = Visit.start(guest="Ada")
    visit.arrive()
    ran["open"] = 1
    guard = Visit.welcome.when
    Visit.welcome.when = lambda visit: asked.append(1) or guard(visit)  # type: ignore[misc, func-returns-value]
    try:
        drain()
    finally:
        Visit.welcome.when = guard

    assert (len(asked), ran["welcome"]) == (1, 5)


def test_what_a_body_cannot_leave_behind_is_a_failure_and_no_rejection() -> None:
    plan["pay"] = lambda workflow: workflow.notes.append("a\x00b")
    order = ready_to_pay()

    with recorded_errors():
        assert order.pay(amount=1) == "blocked"

    assert order.timeline.events.filter(type="StepRejected").count() == 0


def test_a_timeline_whose_class_is_gone_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = ready_to_pay().timeline
    monkeypatch.delitem(registry._declarations, "shop.Order")

    assert timeline.explain().reason == "unknown_workflow"
    timeline.cancel(reason="nobody sells this any more")

    assert timeline.status == "cancelled"


def test_a_step_whose_code_is_gone_blocks_with_an_explanation(
    monkeypatch: pytest.MonkeyPatch, after_the_rollout: Callable[[], None]
) -> None:
    order = Order.start(customer="Ada")
    left = {name: step for name, step in Order._declaration.steps.items() if name != "pack"}
    monkeypatch.setitem(registry._declarations, "shop.Order", replace(Order._declaration, steps=left))

    after_the_rollout()

    assert "no step shop.Order.pack any more" in str(Order.get(order.pk).timeline.explain())
