"""Clauses 7 and 8: what a person does when a timeline does not go on by itself. Events with an actor; none edits history."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from django_timelines.actors import SYSTEM
from django_timelines.engine.claim import claim
from django_timelines.engine.clock import tick
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.engine.runner import Runner
from django_timelines.exceptions import Refused, Rejected, Unknown
from django_timelines.models import Event, Lease, Run
from django_timelines.state import RunName, step_status
from django_timelines.testing import drain, recorded_errors, travel
from django_timelines.workflows import PermanentFailure
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Complaint, Fork, Letter, Order, Trip, given_back, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")


def raising(error: Exception) -> Callable[[Any], None]:
    def body(workflow: Any) -> None:
        raise error

    return body


def at_home() -> Trip:
    """Return a trip on which all is booked and travelled."""
    trip = Trip.start("Ada")
    trip.choose("vegan")
    drain()
    return Trip.get(trip.pk)


def types(trip: Any, since: int) -> list[str]:
    rows = Event.objects.filter(timeline=trip.pk, sequence__gt=since).order_by("sequence")
    return [f"{type} {step}".strip() for type, step in rows.values_list("type", "step")]


# Amend


def test_amend_corrects_a_field_with_reason_and_actor(django_user_model: type[User]) -> None:
    trip = at_home()
    ada = django_user_model.objects.create_user("ada")

    trip.timeline.amend(reason="mistyped", nights=3, actor=ada)

    event = trip.timeline.events.get(type="Amended")
    assert (event.data, event.actor_label) == ({"reason": "mistyped", "changes": {"nights": 3}}, "ada")
    assert Trip.get(trip.pk).nights == 3
    assert Trip.get(trip.pk, at=event.sequence - 1).nights == 1


def test_fields_that_are_called_as_the_arguments_of_a_verb_are_set_by_a_mapping() -> None:
    complaint = Complaint.start()
    drain()

    complaint.timeline.amend({"reason": "too late", "fields": 1}, reason="misheard")
    complaint = Complaint.get(complaint.pk)
    complaint.settle.skip({"actor": "the boss"}, reason="by telephone", fields=2)

    complaint = Complaint.get(complaint.pk)
    assert (complaint.reason, complaint.actor, complaint.fields) == ("too late", "the boss", 2)
    said = complaint.timeline.events.filter(type__in=["Amended", "StepSkipped"])
    assert [event.data["reason"] for event in said] == ["misheard", "by telephone"]


def test_amend_refuses_what_does_not_fit_and_writes_nothing() -> None:
    trip = at_home()
    head = trip.timeline.head

    for fields in ({"nights": "many"}, {"days": 3}, {}):
        with pytest.raises(Rejected):
            trip.timeline.amend(reason="mistyped", **fields)
    with pytest.raises(Rejected, match="why"):
        trip.timeline.amend(reason=" ", nights=3)

    assert Trip.get(trip.pk).timeline.head == head


@pytest.mark.filterwarnings("ignore:A payload of")
def test_fields_that_would_be_too_large_together_are_rejected_whoever_sets_them(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            a: str = ""
            b: str = ""
            @step
            def begin(self): ...
            @step(after=begin, manual=True)
            def sign(self): ...
            @step(after=begin, manual=True)
            def close(self): ...
    """).start()
    drain()
    parcel.timeline.amend(reason="it is long", a="a" * 700_000)

    for verb in (parcel.timeline.amend, parcel.sign.skip):
        with pytest.raises(Rejected, match="This is 1,400,015 bytes long"):
            verb(reason="so is that", b="b" * 700_000)

    assert parcel.sign.skip(reason="it is enough") == "completed"
    assert type(parcel).get(parcel.pk).b == ""


def test_a_timeline_that_has_ended_cannot_be_amended_paused_or_rewound() -> None:
    letter = Letter.start(to="Bob")
    drain()
    timeline = Letter.get(letter.pk).timeline

    for verb in (
        lambda: timeline.amend(reason="late", nothing=1),
        lambda: timeline.pause(reason="late"),
        lambda: timeline.resume(),
        lambda: timeline.rewind(to="post", reason="late"),
    ):
        with pytest.raises(Refused):
            verb()
    assert [event.type for event in timeline.events.all()][-1] == "TimelineCompleted"


@pytest.mark.usefixtures("transactional_db")
def test_a_body_that_changes_an_amended_field_runs_again_on_it(elsewhere: Any) -> None:
    trip = Trip.start("Ada")
    amended: list[bool] = []

    def amend(workflow: Any) -> None:
        workflow.nights += 1
        if not amended:
            amended.append(True)
            elsewhere(lambda: Trip.get(trip.pk).timeline.amend(reason="mistyped", nights=7))

    plan["book_hotel"] = amend
    drain()

    assert Trip.get(trip.pk).nights == 8
    assert ran["book_hotel"] == 2
    assert Entry.objects.filter(text="book_hotel").count() == 1


OWN = {
    "cancel": lambda trip: trip.timeline.cancel(reason="ill"),
    "rewind": lambda trip: trip.timeline.rewind(to="plan_it", reason="another week"),
    "amend": lambda trip: trip.timeline.amend(reason="mistyped", nights=7),
    "amend what it does not change": lambda trip: trip.timeline.amend(reason="mistyped", menu="vegan"),
    "pause": lambda trip: trip.timeline.pause(reason="a bad day"),
    "resume": lambda trip: trip.timeline.resume(),
    "revoke links": lambda trip: trip.timeline.revoke_links(reason="lost"),
    "skip": lambda trip: Trip.get(trip.pk).choose.skip(reason="no hunger"),
    "retry": lambda trip: Trip.get(trip.pk).book_hotel.retry(force=True),
    "assign": lambda trip: Trip.get(trip.pk).choose.assign(None),
}


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("verb", OWN.values(), ids=OWN)
def test_an_exactly_once_body_that_acts_on_its_own_timeline_is_told_what_to_write_instead(verb: Any) -> None:
    def act(workflow: Any) -> None:
        assert ran["book_hotel"] < 30, "it runs again and again, in one attempt"
        verb(workflow)
        workflow.nights += 1

    plan["book_hotel"] = act
    trip = Trip.start("Ada")
    with recorded_errors():
        drain()

    failed = trip.timeline.events.get(type="AttemptFailed", step="book_hotel")
    assert "To cancel, write self.cancel(reason=…)" in failed.data["error"]["message"]
    assert (Trip.get(trip.pk).book_hotel.status, ran["book_hotel"]) == ("retrying", 1)


@pytest.mark.usefixtures("transactional_db")
def test_an_outside_effect_may_act_on_its_own_timeline() -> None:
    def act(workflow: Any) -> None:
        with transaction.atomic(using=HERE):
            workflow.timeline.amend(reason="mistyped", nights=7)

    plan["book_flight"] = act
    trip = Trip.start("Ada")
    drain()

    assert (Trip.get(trip.pk).book_flight.status, Trip.get(trip.pk).nights) == ("completed", 7)


# Rewind


def test_rewind_does_a_step_and_all_that_comes_after_it_again() -> None:
    trip = at_home()
    assert (ran["book_flight"], ran["book_hotel"], ran["travel"]) == (1, 1, 1)

    trip.timeline.rewind(to="book_hotel", reason="the wrong week")
    assert Trip.get(trip.pk).book_hotel.status == "due"
    assert Trip.get(trip.pk).come_home.status == "upcoming"
    drain()

    assert (ran["book_flight"], ran["book_hotel"], ran["travel"]) == (1, 2, 2)
    assert Trip.get(trip.pk).hotel == "hotel 2, 1 nights"
    assert Trip.get(trip.pk).come_home.status == "waiting"
    assert Trip.get(trip.pk).come_home() == "completed"
    assert Trip.get(trip.pk).timeline.status == "completed"


def test_rewind_takes_fields_back_and_leaves_what_others_changed() -> None:
    trip = at_home()
    trip.timeline.amend(reason="mistyped", nights=5)

    trip.timeline.rewind(to="book_flight", reason="another airline")

    trip = Trip.get(trip.pk)
    assert (trip.guest, trip.menu, trip.nights) == ("Ada", "vegan", 5)
    with pytest.raises(PermanentFailure):
        trip.flight  # noqa: B018 (it is unset again)
    drain()
    assert Trip.get(trip.pk).hotel == "hotel 2, 5 nights"
    assert [entry.text for entry in Entry.objects.filter(text="book_hotel")] == [
        "book_hotel",
        "book_hotel",
    ]  # rows stay


def test_a_second_rewind_goes_back_to_the_second_round() -> None:
    trip = at_home()
    for _round in range(2):
        trip.timeline.rewind(to="book_hotel", reason="again")
        drain()
        trip = Trip.get(trip.pk)

    assert trip.hotel == "hotel 3, 1 nights"
    assert trip.timeline.state["rounds"] == {"book_hotel": 3, "travel": 3, "come_home": 3}


def test_a_rewind_goes_back_to_nothing_that_an_earlier_one_took_back() -> None:
    plan["book_hotel"] = lambda trip: setattr(trip, "menu", "the hotel's")
    trip = Trip.start("Ada")
    drain()
    Trip.get(trip.pk).choose("vegan")
    plan.clear()
    Trip.get(trip.pk).timeline.rewind(to="book_hotel", reason="another hotel")

    Trip.get(trip.pk).timeline.rewind(to="choose", reason="no longer vegan")

    assert Trip.get(trip.pk).menu == ""


def test_what_rewind_would_do_is_shown_and_nothing_is_written() -> None:
    trip = at_home()
    head = trip.timeline.head

    plan = trip.timeline.preview_rewind(to="book_flight", undo=True)

    assert plan.again == ("book_flight", "book_hotel", "travel", "come_home")
    assert plan.undo == ("book_hotel@1", "book_flight@1")
    assert (plan.fields, plan.unset, plan.withdrawn) == ({}, ("flight", "hotel"), ("come_home",))
    assert Trip.get(trip.pk).timeline.head == head


def test_rewind_with_undo_undoes_first_the_last_completed_first() -> None:
    trip = at_home()
    head = trip.timeline.head

    trip.timeline.rewind(to="book_flight", reason="another week", undo=True)
    drain()

    assert given_back == [("hotel 1, 1 nights", "give_back_hotel"), ("flight 1", "give_back_flight")]
    assert types(trip, head) == [
        "RoundBegun",
        "StepDue give_back_hotel",
        "AttemptStarted give_back_hotel",
        "StepUndone give_back_hotel",
        "StepDue give_back_flight",
        "AttemptStarted give_back_flight",
        "StepUndone give_back_flight",
        "StepDue book_flight",
        "AttemptStarted book_flight",
        "StepCompleted book_flight",
        "StepDue book_hotel",
        "AttemptStarted book_hotel",
        "StepCompleted book_hotel",
        "StepDue travel",
        "AttemptStarted travel",
        "StepCompleted travel",
        "StepDue come_home",
    ]
    assert Trip.get(trip.pk).flight == "flight 2"


def test_each_round_has_an_idempotency_key_of_its_own() -> None:
    keys: list[str] = []
    plan["book_flight"] = lambda workflow: keys.append(workflow.idempotency_key)
    trip = at_home()
    trip.timeline.rewind(to="book_flight", reason="again")
    drain()

    assert keys == [f"{trip.pk.hex}-book_flight", f"{trip.pk.hex}-book_flight@2"]


def test_rewind_withdraws_a_blocked_step() -> None:
    plan["book_hotel"] = raising(PermanentFailure("full"))
    trip = at_home()
    assert trip.timeline.status == "blocked"

    del plan["book_hotel"]
    trip.timeline.rewind(to="book_flight", reason="another town")
    drain()

    assert Trip.get(trip.pk).book_hotel.status == "completed"
    assert Run.objects.filter(timeline=trip.pk).count() == 1  # come_home, which waits


def test_rewind_makes_a_step_with_parameters_wait_for_its_call() -> None:
    trip = at_home()
    trip.timeline.rewind(to="choose", reason="changed her mind")

    trip = Trip.get(trip.pk)
    assert (trip.choose.status, trip.menu, trip.travel.status) == ("waiting", "", "upcoming")
    trip.choose("fish")
    drain()
    assert (Trip.get(trip.pk).menu, ran["travel"], ran["book_hotel"]) == ("fish", 2, 1)


def test_rewind_to_what_was_never_begun_or_undoes_is_refused() -> None:
    trip = Trip.start("Ada")

    for step in ("come_home", "give_back_hotel", "nowhere"):
        with pytest.raises(Refused):
            trip.timeline.rewind(to=step, reason="why not")
    fork = Fork.start()
    drain()
    with pytest.raises(Refused):
        Fork.get(fork.pk).timeline.rewind(to="sorry", reason="not taken")


# Cancel with compensation


def test_cancel_undoes_what_completed_the_last_first() -> None:
    trip = at_home()

    trip.timeline.cancel(reason="ill", compensate=True)
    assert trip.timeline.status == "cancelling"
    drain()

    assert [booking for booking, _key in given_back] == ["hotel 1, 1 nights", "flight 1"]
    assert Trip.get(trip.pk).timeline.status == "cancelled"
    assert Trip.get(trip.pk).give_back_hotel.status == "completed"
    assert not Run.objects.filter(timeline=trip.pk).exists()


def test_cancel_undoes_every_round_with_the_fields_of_that_round_and_a_key_of_its_own() -> None:
    trip = at_home()
    trip.timeline.rewind(to="book_hotel", reason="another one")
    drain()

    Trip.get(trip.pk).timeline.cancel(reason="ill", compensate=True)
    drain()

    assert given_back == [
        ("hotel 2, 1 nights", "give_back_hotel@2"),
        ("hotel 1, 1 nights", "give_back_hotel"),
        ("flight 1", "give_back_flight"),
    ]
    assert Trip.get(trip.pk).timeline.status == "cancelled"


def test_what_was_undone_by_a_rewind_is_not_undone_again() -> None:
    trip = at_home()
    trip.timeline.rewind(to="book_hotel", reason="another one", undo=True)
    drain()
    Trip.get(trip.pk).timeline.cancel(reason="ill", compensate=True)
    drain()

    assert [booking for booking, _key in given_back] == ["hotel 1, 1 nights", "hotel 2, 1 nights", "flight 1"]


def test_a_skipped_step_is_not_undone() -> None:
    plan["book_hotel"] = raising(PermanentFailure("full"))
    trip = at_home()
    trip.book_hotel.skip(reason="she sleeps at her aunt's", hotel="her aunt's")
    drain()

    Trip.get(trip.pk).timeline.cancel(reason="ill", compensate=True)
    drain()

    assert [booking for booking, _key in given_back] == ["flight 1"]


@pytest.mark.parametrize(
    ("first", "flights"),
    [
        (None, ["flight 1"]),
        (lambda trip: trip.book_flight.skip(reason="it is the right one", flight="flight one"), ["flight one"]),
        (lambda trip: trip.timeline.rewind(to="book_flight", reason="again", undo=True), ["flight 1", "flight 2"]),
        (lambda trip: trip.timeline.rewind(to="book_flight", reason="again"), ["flight 2", "flight 1"]),
    ],
)
def test_what_was_done_and_blocked_for_a_field_that_others_changed_is_undone(
    first: Callable[[Any], None] | None, flights: list[str]
) -> None:
    plan["book_flight"] = lambda trip: trip.timeline.amend(reason="by telephone", flight="another")
    trip = Trip.start("Ada")
    drain()
    trip = Trip.get(trip.pk)
    assert (trip.book_flight.status, trip.flight) == ("blocked", "another")
    del plan["book_flight"]
    if first:
        first(trip)
        drain()

    Trip.get(trip.pk).timeline.cancel(reason="ill", compensate=True)
    drain()

    assert [booking for booking, _key in given_back if "flight" in booking] == flights
    assert Trip.get(trip.pk).timeline.status == "cancelled"


def test_so_is_what_a_cancelled_timeline_carries_to_its_end() -> None:
    def act(trip: Any) -> None:
        trip.timeline.amend(reason="by telephone", flight="another")
        trip.timeline.cancel(reason="ill", compensate=True)

    plan["book_flight"] = act
    trip = Trip.start("Ada")
    drain()

    assert [booking for booking, _key in given_back] == ["flight 1"]
    assert Trip.get(trip.pk).timeline.status == "cancelled"


def test_an_undo_that_fails_blocks_there_and_goes_on_after_a_retry_or_a_skip() -> None:
    plan["give_back_hotel"] = raising(PermanentFailure("too late"))
    trip = at_home()
    trip.timeline.cancel(reason="ill", compensate=True)
    drain()

    trip = Trip.get(trip.pk)
    assert (trip.timeline.status, trip.give_back_hotel.status) == ("blocked", "blocked")
    assert "too late" in str(trip.timeline.explain())
    assert trip.give_back_flight.status == "upcoming"

    trip.give_back_hotel.retry()
    drain()
    trip = Trip.get(trip.pk)
    assert trip.give_back_hotel.status == "blocked"

    trip.give_back_hotel.skip(reason="paid by us")
    drain()
    assert Trip.get(trip.pk).timeline.status == "cancelled"
    assert ran["give_back_flight"] == 1


def test_a_body_may_cancel_with_compensation() -> None:
    plan["travel"] = lambda workflow: workflow.cancel(reason="storm", compensate=True)
    trip = at_home()

    assert [booking for booking, _key in given_back] == ["hotel 1, 1 nights", "flight 1"]
    assert (trip.timeline.status, trip.travel.status) == ("cancelled", "completed")


def test_nobody_calls_an_undo() -> None:
    trip = at_home()

    with pytest.raises(Refused):
        trip.give_back_hotel()

    assert given_back == []


@pytest.mark.parametrize("verb", ["rewind", "cancel"])
def test_a_blocked_undo_that_is_called_sees_the_fields_as_they_were_when_its_step_completed(verb: str) -> None:
    plan["give_back_hotel"] = raising(PermanentFailure("too late"))
    trip = at_home()
    if verb == "rewind":
        trip.timeline.rewind(to="book_hotel", reason="another hotel", undo=True)
    else:
        trip.timeline.cancel(reason="ill", compensate=True)
    drain()
    given_back.clear()
    plan.clear()

    assert Trip.get(trip.pk).give_back_hotel() == "completed"

    assert [booking for booking, _key in given_back] == ["hotel 1, 1 nights"]


def test_cancel_while_a_rewind_undoes_carries_the_undo_that_was_begun_to_its_end() -> None:
    trip = at_home()
    trip.timeline.rewind(to="book_flight", reason="another week", undo=True)

    trip.timeline.cancel(reason="ill")
    drain()

    assert [booking for booking, _key in given_back] == ["hotel 1, 1 nights"]
    assert Trip.get(trip.pk).timeline.status == "cancelled"


SECOND = pytest.mark.parametrize(
    ("first", "second", "reason", "said"),
    [
        ("cancel", "cancel", "cancelling", "The timeline is being cancelled already."),
        ("cancel", "rewind", "cancelling", "The timeline is being cancelled: nothing is done again."),
        (
            "rewind",
            "rewind",
            "rewinding",
            "The timeline is being rewound already: what is undone comes to its end first.",
        ),
    ],
)


@SECOND
def test_a_second_one_while_the_first_is_under_way_is_refused_and_writes_nothing(
    first: str, second: str, reason: str, said: str
) -> None:
    do = {
        "cancel": lambda trip: trip.timeline.cancel(reason="ill", compensate=True),
        "rewind": lambda trip: trip.timeline.rewind(to="book_flight", reason="another week", undo=True),
    }
    trip = at_home()
    do[first](trip)
    head = Trip.get(trip.pk).timeline.head

    with pytest.raises(Refused) as refused:
        do[second](Trip.get(trip.pk))

    assert (refused.value.reason, str(refused.value)) == (reason, said)
    assert types(trip, head) == []
    drain()
    assert given_back == [("hotel 1, 1 nights", "give_back_hotel"), ("flight 1", "give_back_flight")]


def test_a_second_cancel_while_an_outside_effect_comes_to_its_end_is_refused() -> None:
    reasons: list[str] = []

    def cancel_twice(_order: Order) -> None:
        Order.get(order.pk).timeline.cancel(reason="in the middle")
        with pytest.raises(Refused) as refused:
            Order.get(order.pk).timeline.cancel(reason="in the middle")
        reasons.append(refused.value.reason)

    order = Order.start(customer="Ada")
    plan["announce"] = cancel_twice
    drain()

    assert reasons == ["cancelling"]
    assert Event.objects.filter(timeline=order.pk, type="CancelRequested").count() == 1


# Pause


def test_a_paused_timeline_begins_nothing_and_goes_on_when_it_is_resumed() -> None:
    trip = Trip.start("Ada")
    trip.timeline.pause(reason="the airline is down")

    assert drain() == 0
    assert (Trip.get(trip.pk).timeline.status, ran["book_flight"]) == ("paused", 0)
    assert "paused" in str(Trip.get(trip.pk).timeline.explain())

    Trip.get(trip.pk).timeline.resume()
    drain()
    assert ran["book_flight"] == 1


def test_the_clock_rings_for_nothing_on_a_paused_timeline() -> None:
    trip = Trip.start("Ada")
    trip.timeline.pause(reason="the airline is down")

    travel(timedelta(hours=1))
    assert tick(HERE) == 0

    Trip.get(trip.pk).timeline.resume()
    assert Run.objects.get(timeline=trip.pk, step="book_flight").ring is not None


def test_a_call_on_a_paused_timeline_is_taken_and_runs_when_it_is_resumed() -> None:
    trip = Trip.start("Ada")
    trip.timeline.pause(reason="the kitchen burns")

    assert trip.choose("vegan") == "due"
    assert trip.choose("vegan") == "due"  # a second click
    assert drain() == 0
    trip.timeline.resume()
    drain()

    assert Trip.get(trip.pk).menu == "vegan"
    assert Event.objects.filter(timeline=trip.pk, type="StepCalled", step="choose").count() == 1


def test_what_is_executing_ends_although_its_timeline_is_paused_meanwhile() -> None:
    trip = Trip.start("Ada")
    plan["book_flight"] = lambda workflow: Trip.get(trip.pk).timeline.pause(reason="now")
    drain()

    trip = Trip.get(trip.pk)
    assert (trip.book_flight.status, trip.flight, trip.book_hotel.status) == ("completed", "flight 1", "due")
    assert ran["book_hotel"] == 0


def test_a_deadline_that_passes_during_a_pause_is_settled_after_it() -> None:
    from tests.shop.workflows import Visit

    visit = Visit.start("Bob")
    visit.timeline.pause(reason="we are closed")
    travel(timedelta(days=4))
    drain()
    tick(HERE)
    assert Visit.get(visit.pk).arrive.status == "waiting"
    said = visit.timeline.explain()
    assert "The time to call “arrive” ran out at" in str(said)
    assert "waits until" not in str(said)

    visit.timeline.resume()
    drain()
    assert Visit.get(visit.pk).arrive.status == "overdue"


def test_pausing_twice_is_one_event() -> None:
    trip = Trip.start("Ada")
    trip.timeline.pause(reason="one")
    trip.timeline.pause(reason="two")
    trip.timeline.resume()
    trip.timeline.resume()

    types = Event.objects.filter(timeline=trip.pk).order_by("sequence").values_list("type", flat=True)
    assert list(types)[-2:] == ["Paused", "Resumed"]


def test_pausing_everything_holds_starts_calls_claims_and_the_clock() -> None:
    trip = Trip.start("Ada")
    assert pause_all("the bad day") is True
    assert pause_all("the bad day") is False

    late = Trip.start("Bob")
    assert (late.plan_it.status, trip.choose("vegan")) == ("due", "due")
    travel(timedelta(hours=1))
    assert (drain(), tick(HERE)) == (0, 0)
    assert ran == {"plan_it": 1}
    assert "everything is paused: the bad day" in str(Trip.get(trip.pk).timeline.explain())

    assert resume_all() is True
    drain()
    assert (Trip.get(trip.pk).travel.status, Trip.get(late.pk).book_hotel.status) == ("completed", "completed")


def test_pausing_or_resuming_a_workflow_that_there_is_not_is_refused() -> None:
    with pytest.raises(Unknown, match=r"no workflow 'shop\.Tripp'"):
        pause_all("no planes", "shop.Tripp")
    with pytest.raises(Unknown, match=r"no workflow 'shop\.Tripp'"):
        resume_all("shop.Tripp")
    with pytest.raises(Unknown, match=r"no workflow '\\udcff'"):
        resume_all("\udcff")

    assert resume_all("shop.Trip") is False


def test_a_verb_without_a_reason_says_so() -> None:
    trip = Trip.start("Ada")

    for nothing in ("", " ", None, "\x00", " \x00\n"):
        with pytest.raises(Rejected, match="Say why"):
            trip.timeline.cancel(reason=nothing)  # type: ignore[arg-type]


def test_pausing_one_workflow_leaves_the_others() -> None:
    trip = Trip.start("Ada")
    pause_all("no planes", "shop.Trip")
    order = Order.start(customer="Bob")
    drain()

    assert (ran["book_flight"], Order.get(order.pk).pay.status) == (0, "waiting")
    resume_all("shop.Trip")
    drain()
    assert Trip.get(trip.pk).book_flight.status == "completed"


@pytest.mark.parametrize("paused", ["", "shop.Parcel"])
def test_what_is_paused_is_neither_overdue_nor_rescued_whether_a_clock_looks_or_a_test_drains(
    deploy: Any, paused: str
) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, manual=True, within=timedelta(hours=1))
            def sign(self): ...

            @step(after=post)
            def carry(self): ...
    """)
    begun = parcel.start()
    drain()
    parcel.get(begun.pk).timeline.rewind(to="carry", reason="once more")
    fence = Run.objects.get(step="carry").fence
    assert claim(begun.pk, RunName("carry"), fence, Runner(SYSTEM, "embedded", HERE))  # by who goes away then
    pause_all("the bad day", paused)
    before = Event.objects.count()

    with travel(timedelta(hours=2)):
        tick(HERE)
        drain()
        assert Event.objects.count() == before

        resume_all(paused)
        drain()
    assert (parcel.get(begun.pk).sign.status, parcel.get(begun.pk).carry.status) == ("overdue", "completed")


# Forced retry


def test_a_running_attempt_is_retried_only_by_force() -> None:
    letter_pk: list[Any] = []

    def interrupt(workflow: Any) -> None:
        if ran["book_flight"] == 1:
            with pytest.raises(Refused, match="force"):
                Trip.get(letter_pk[0]).book_flight.retry()
            Trip.get(letter_pk[0]).book_flight.retry(force=True, reason="it hangs")

    trip = Trip.start("Ada")
    letter_pk.append(trip.pk)
    plan["book_flight"] = interrupt
    drain()

    trip = Trip.get(trip.pk)
    assert (trip.flight, ran["book_flight"], trip.timeline.status) == ("flight 2", 2, "waiting")
    late = trip.timeline.events.get(type="AttemptInterrupted")
    assert late.data == {"superseded": True, "outcome": "completed", "changes_kept_back": {"flight": "flight 1"}}
    assert late.attempt == 1
    assert not Lease.objects.exists()


def test_what_was_done_or_overtaken_and_is_tried_again_by_a_person_is_not_said_to_have_failed() -> None:
    trip, said = Trip.start("Ada"), []

    def move_on(workflow: Any) -> None:
        if ran["book_flight"] == 1:
            Trip.get(trip.pk).book_flight.retry(force=True)
            said.append(Trip.get(trip.pk).timeline.explain())
        else:
            Trip.get(trip.pk).timeline.amend(reason="by telephone", flight="flight 7")

    plan["book_flight"] = move_on
    drain()
    assert Trip.get(trip.pk).book_flight.status == "blocked"
    Trip.get(trip.pk).book_flight.retry()
    said.append(Trip.get(trip.pk).timeline.explain())

    for why in said:
        reason = next(one for one in why.reasons if one.step == "book_flight")
        assert reason.sentence == "“book flight” is tried again, as a person asked: it is due at embedded."
        assert reason.public == "“book flight” is tried again now."


@pytest.mark.usefixtures("transactional_db")
def test_an_exactly_once_body_that_is_superseded_rolls_back(elsewhere: Any) -> None:
    trip = Trip.start("Ada")

    def supersede(workflow: Any) -> None:
        if ran["book_hotel"] == 1:
            elsewhere(lambda: Trip.get(trip.pk).book_hotel.retry(force=True))

    plan["book_hotel"] = supersede
    drain()

    assert Entry.objects.filter(text="book_hotel").count() == 1
    assert ran["book_hotel"] == 2
    assert Trip.get(trip.pk).hotel == "hotel 2, 1 nights"
    assert not trip.timeline.events.filter(type="AttemptInterrupted").exists()


def test_rewind_over_a_running_outside_effect_records_its_result_and_never_applies_it() -> None:
    trip = Trip.start("Ada")

    def rewind(workflow: Any) -> None:
        if ran["book_flight"] == 1:
            Trip.get(trip.pk).timeline.rewind(to="book_flight", reason="stop that")

    plan["book_flight"] = rewind
    drain()

    trip = Trip.get(trip.pk)
    assert (trip.flight, ran["book_flight"]) == ("flight 2", 2)
    late = trip.timeline.events.get(type="AttemptInterrupted")
    assert late.data["changes_kept_back"] == {"flight": "flight 1"}
    assert Trip.get(trip.pk, at=late.sequence).book_flight.status == "due"  # as the new round left it


def test_a_late_failure_of_a_superseded_attempt_is_recorded_too() -> None:
    trip = Trip.start("Ada")

    def fail(workflow: Any) -> None:
        if ran["book_flight"] == 1:
            Trip.get(trip.pk).book_flight.retry(force=True)
            raise OSError("too late")

    plan["book_flight"] = fail
    with recorded_errors():
        drain()

    late = Trip.get(trip.pk).timeline.events.get(type="AttemptInterrupted")
    assert (late.data["outcome"], late.data["error"]["message"]) == ("failed", "too late")
    assert step_status(Trip.get(trip.pk).timeline.state, "book_flight") == "completed"


@pytest.mark.usefixtures("transactional_db")
def test_a_late_result_is_recorded_also_after_the_end(deploy: Any, elsewhere: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            paid: int = 0

            @step
            def send(self, amount: int): ...

            @step(after=send, delivery=AT_MOST_ONCE)
            def charge(self, amount: int):
                ran["charge"] += 1
                self.paid = ran["charge"]
                plan["charge"](self)
    """)
    begun = parcel.start(amount=1)

    def hang(workflow: Any) -> None:
        if workflow.paid == 1:
            elsewhere(lambda: [parcel.get(begun.pk).charge.retry(force=True, reason="it hangs"), drain()])
            assert parcel.get(begun.pk).timeline.status == "completed"
            said.append(str(parcel.get(begun.pk).timeline.explain()))

    plan["charge"], said = hang, []
    begun.charge(amount=1)

    ended = parcel.get(begun.pk)
    late = ended.timeline.events.last()
    assert (late.type, late.attempt) == ("AttemptInterrupted", 1)
    assert late.data == {"superseded": True, "outcome": "completed", "changes_kept_back": {"paid": 1}}
    assert (ended.paid, ended.timeline.status, ended.charge.status) == (2, "completed", "completed")
    assert [str(ended.timeline.explain())] == said
