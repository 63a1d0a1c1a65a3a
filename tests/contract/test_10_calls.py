"""Clauses 10, 11 and 12: refusals explain themselves, early calls are kept, double calls count once, no update is lost."""

import pickle
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from django_timelines import store
from django_timelines.actors import SYSTEM
from django_timelines.engine.advance import advance
from django_timelines.engine.advanced import By
from django_timelines.engine.answer import run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Runner, commit
from django_timelines.engine.wait import _nothing_goes_on
from django_timelines.events import NewEvent
from django_timelines.exceptions import ItemsNotLoaded, NotUnique, Refused, Rejected, RetryAfter, Unknown
from django_timelines.models import Run, Timeline
from django_timelines.state import RunName
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.workflows import BoundStep, Workflow, step, subworkflow
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.stories import ready_to_pay
from tests.shop.workflows import Fork, Letter, Order, Supper, Trip, Visit, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_call_that_comes_too_early_is_refused_and_says_what_is_missing() -> None:
    order = Order.start(customer="Ada")
    head = order.timeline.head

    with pytest.raises(Refused, match="announce comes first") as refused:
        order.pay(amount=1)

    assert refused.value.reason == "not_yet"
    assert Order.get(order.pk).timeline.head == head


def test_a_call_on_a_timeline_that_is_being_cancelled_is_refused_and_not_kept(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, delivery=AT_LEAST_ONCE, retry=Retry(3, wait=timedelta(seconds=10)))
            def tell(self):
                raise OSError("no line")

            @step(after=tell)
            def pay(self, amount: int): ...

            @step(after=tell, early="keep")
            def sign(self, name: str): ...
    """).start()
    with recorded_errors():
        drain()
    parcel = type(parcel).get(parcel.pk)
    parcel.timeline.cancel(reason="no more")
    head = parcel.timeline.head

    for call in (lambda: parcel.pay(amount=1), lambda: parcel.sign(name="Ada")):
        with pytest.raises(Refused, match="is being cancelled") as refused:
            call()
        assert refused.value.reason == "cancelling"
    assert type(parcel).get(parcel.pk).timeline.head == head


def test_the_row_and_what_the_object_says_of_its_steps_are_as_of_the_same_event() -> None:
    seen = Order.get(ready_to_pay().pk)
    assert seen.pay.status == "waiting"
    then = Order.get(seen.pk, at=2)
    Order.get(seen.pk).pay(amount=1)

    assert (seen.timeline.head, seen.amount, seen.pay.status) == (Order.get(seen.pk).timeline.head, 1, "completed")
    assert (then.timeline.head, then.pay.status) == (
        seen.timeline.head,
        "upcoming",
    )  # as of event 2, whatever its row says


def test_bad_input_is_a_validation_error_that_names_the_parameter() -> None:
    order = ready_to_pay()

    with pytest.raises(ValidationError) as error:
        order.pay(amount="much")  # type: ignore[arg-type]
    assert list(error.value.message_dict) == ["amount"]
    with pytest.raises(Rejected, match="missing"):
        order.pay()  # type: ignore[call-arg]
    with pytest.raises(Rejected, match="has no colour"):
        order.pay(amount=1, colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize("hostile", ["a\x00b", "a\ud800b", "x" * 5_000_000])
def test_what_the_database_cannot_hold_is_refused_where_it_enters(hostile: str) -> None:
    with pytest.raises(ValidationError):
        Order.start(customer=hostile)

    assert Timeline.objects.count() == 0


def test_a_body_that_says_no_waits_for_the_next_call() -> None:
    order = ready_to_pay()

    with pytest.raises(ValidationError, match="at least nought"):
        order.pay(amount=-1)

    assert Order.get(order.pk).pay.status == "waiting"
    assert order.pay(amount=1) == "completed"


def test_a_rejection_elsewhere_is_an_event_that_wait_raises(place: Any) -> None:
    order = ready_to_pay()
    place(pay="embedded")

    assert order.pay(amount=-1) == "due"
    drain()

    order = Order.get(order.pk)
    assert order.timeline.events.filter(type="StepRejected").count() == 1
    with pytest.raises(Rejected, match="at least nought"):
        order.pay.wait(timeout=0)
    assert order.pay(amount=2) == "due"


def test_the_same_key_has_one_effect_and_the_same_answer() -> None:
    order = ready_to_pay()

    assert order.pay.using(key="evt_1")(amount=5) == "completed"
    assert order.pay.using(key="evt_1")(amount=5) == "completed"
    with pytest.raises(Refused) as refused:
        order.pay.using(key="evt_1")(amount=6)

    assert refused.value.reason == "key_reused"
    assert Entry.objects.filter(text="pay").count() == 1


def test_the_same_input_with_another_key_is_another_call() -> None:
    order = ready_to_pay()
    order.pay.using(key="evt_1")(amount=5)

    with pytest.raises(Refused, match="“pay” was called already, with another key") as refused:
        order.pay.using(key="evt_2")(amount=5)

    assert refused.value.reason == "settled"
    assert order.pay(amount=5) == "completed"


def test_an_actor_is_a_user_or_one_of_ours() -> None:
    with pytest.raises(TypeError, match="actor='bob': give a user, or an Actor"):
        Order.using(actor="bob")  # type: ignore[arg-type]


def test_the_same_key_twice_is_the_same_timeline() -> None:
    first = Order.using(key="order-17").start(customer="Ada")

    second = Order.using(key="order-17").start(customer="Ada")
    with pytest.raises(Refused) as refused:
        Order.using(key="order-17").start(customer="Grace")

    assert second.pk == first.pk == Order.get(key="order-17").pk
    assert refused.value.reason == "key_reused"
    assert (Timeline.objects.count(), Entry.objects.count()) == (1, 1)


def test_keys_tell_upper_from_lower_case() -> None:
    assert Order.using(key="A").start(customer="Ada").pk != Order.using(key="a").start(customer="Ada").pk


def test_an_early_call_is_kept_until_its_step_can_take_it(place: Any) -> None:
    place("shop.Visit", invite="embedded")
    visit = Visit.start(guest="Ada")

    assert visit.arrive() == "kept"
    drain()

    assert Visit.get(visit.pk).arrive.status == "completed"
    assert ran["arrive"] == 1


def test_an_unknown_timeline_is_an_object_that_does_not_exist() -> None:
    for pk in ("00000000-0000-7000-8000-000000000000", "nonsense"):
        with pytest.raises(ObjectDoesNotExist):
            Order.get(pk)


def test_a_timeline_of_another_workflow_is_unknown() -> None:
    with pytest.raises(ObjectDoesNotExist):
        Fork.get(Order.start(customer="Ada").pk)


@pytest.mark.parametrize(
    "error",
    [
        Refused("It is under way.", "taken"),
        Unknown("There is none."),
        Rejected({"amount": ["This is missing."]}),
        NotUnique("There is one.", uuid.UUID(int=7)),
        RetryAfter(60),
        ItemsNotLoaded("the items of make"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_to_another_process_as_it_is(error: Exception) -> None:
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)

    assert (type(other), str(other)) == (type(error), str(error))
    for name in ("reason", "delay", "wanted"):
        assert getattr(other, name, None) == getattr(error, name, None)


def test_explain_is_of_one_moment_however_old_the_object_is() -> None:
    supper = Supper.start("Ada", ["cake"])
    old = Supper.get(supper.pk).timeline
    Supper.get(supper.pk).timeline.pause(reason="a bad day")
    drain()

    assert str(old.explain()) == str(Timeline.objects.get(pk=supper.pk).explain())
    assert "is paused" in str(old.explain())


class Leg(Workflow):
    """A part of a journey."""

    @step
    def go(self) -> None: ...

    @step(after=go, manual=True)
    def rest(self) -> None: ...


class Journey(Workflow):
    """It is over when its leg is."""

    @step
    def depart(self) -> None: ...

    leg = subworkflow(Leg, after=depart)

    @step(after=leg)
    def arrive(self) -> None: ...


def test_who_waits_for_a_step_waits_while_another_timeline_goes_on() -> None:
    journey = Journey.start()
    drain()

    assert not _nothing_goes_on(Journey.get(journey.pk)._snapshot, RunName("arrive"))
    assert _nothing_goes_on(Order.start(customer="Ada")._snapshot, RunName("pay")) is False
    assert _nothing_goes_on(Visit.start(guest="Ada")._snapshot, RunName("welcome")) is True


def test_explain_says_what_it_waits_for_and_that_no_clock_was_seen() -> None:
    visit = Visit.start(guest="Ada")

    explanation = visit.timeline.explain()

    assert [reason.reason for reason in explanation.reasons] == ["waiting", "no_clock"]
    assert "somebody to call “arrive”" in str(explanation)


def test_explain_tells_to_start_what_keeps_time_there(place: Any) -> None:
    visit = Visit.start(guest="Ada")
    drain()
    assert "start the site, or manage.py timelines_clock." in str(visit.timeline.explain())
    order = Order.start(customer="ann")
    assert "No clock has been seen: start the site." in str(order.timeline.explain())  # where alone it can run

    place(background="rq:default")

    assert "No clock has been seen: start manage.py timelines_clock." in str(order.timeline.explain())


def test_explain_says_when_it_ended_whatever_was_appended_since() -> None:
    letter = Letter.start(to="Bob")
    drain()
    said = str(Letter.get(letter.pk).timeline.explain())

    with travel(timedelta(days=3)):
        letter.timeline.revoke_links(reason="the wrong address")
        letter.timeline.erase(reason="asked for it")

    assert str(Letter.get(letter.pk).timeline.explain()) == said
    assert said.startswith("Completed on ")


def test_a_body_does_not_call_its_own_timelines_steps() -> None:
    from django_timelines.exceptions import TimelinesError

    caught = []

    def misbehave(order: Any) -> None:
        try:
            order.pay(amount=1)
        except TimelinesError as error:
            caught.append(str(error))

    plan["pack"] = misbehave
    Order.start(customer="Ada")
    drain()

    assert "after=" in caught[0]


def test_a_guard_that_says_no_is_an_event() -> None:
    visit = Visit.start(guest="Ada")
    visit.arrive()
    drain()

    visit = Visit.get(visit.pk)
    assert (visit.welcome.status, ran["welcome"], visit.timeline.status) == ("not taken", 0, "completed")


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_body_whose_field_was_changed_meanwhile_runs_again_on_fresh_state(elsewhere: Any) -> None:
    fork = Fork.start()

    def add_ten(workflow: Any) -> None:
        if ran["right"] == 1:
            elsewhere(lambda: Fork.get(fork.pk).left.skip(reason="a rival", shared=5))
        workflow.shared += 10

    plan["right"] = add_ten
    execute(fork, "begin")
    execute(fork, "right")

    fork = Fork.get(fork.pk)
    assert (fork.shared, ran["right"]) == (15, 2)
    assert fork.timeline.events.get(type="StepCompleted", step="right").attempt == 1
    assert Entry.objects.filter(text="right").count() == 1


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_body_that_has_its_own_field_changed_each_time_it_runs_needs_a_person() -> None:
    def change(trip: Any) -> None:
        assert ran["book_hotel"] < 30, "it runs again and again, in one attempt"
        Trip.get(trip.pk).choose("vegan")
        trip.menu = "fish"

    plan["book_hotel"] = change
    trip = Trip.start("Ada")
    with recorded_errors():
        drain()

    trip = Trip.get(trip.pk)
    assert (trip.book_hotel.status, trip.menu, ran["book_hotel"]) == ("blocked", "", 10)
    assert "menu was changed each time the body ran, which changes it too" in str(trip.timeline.explain())


def test_an_outside_effect_whose_field_was_changed_meanwhile_needs_a_person() -> None:
    order = Order.start(customer="Ada")

    def change(workflow: Any) -> None:
        assert workflow.amount == 1
        workflow.amount = 3
        overtake(order, amount=9)

    plan["announce"] = change
    drain()

    blocked = Order.get(order.pk).timeline.events.get(type="StepBlocked")
    assert blocked.data["changes_kept_back"] == {"amount": 3}
    assert blocked.data["theirs"] == {"amount": 9}


def overtake(order: Order, **fields: Any) -> None:
    """Append a change of fields that a parallel branch might have made."""
    snapshot = store.load(order.pk, HERE)
    event = NewEvent("StepCompleted", "pack", data={"changes": fields}, attempt=1)
    commit(advance(None, snapshot, [event], By(SYSTEM)))


def execute(fork: Fork, step: str) -> None:
    """Execute just this step, in a placement that nothing else is placed in."""
    runner = Runner(SYSTEM, "elsewhere", HERE)
    run_from(claim(fork.pk, (step, ""), Run.objects.get(step=step).fence, runner), runner)


def test_another_field_changed_meanwhile_is_no_conflict() -> None:
    plan["left"] = lambda workflow: setattr(workflow, "left_value", 1)
    plan["right"] = lambda workflow: setattr(workflow, "right_value", 2)
    fork = Fork.start()
    drain()

    fork = Fork.get(fork.pk)

    assert (fork.left_value, fork.right_value, fork.join.status) == (1, 2, "completed")


def test_a_bound_step_belongs_to_its_timeline() -> None:
    assert isinstance(Order.start(customer="Ada").pay, BoundStep)
