"""Clauses 1 and 2: the events are append-only and gapless, and the state is their fold. See ``timelines_hold`` too."""

import pytest
from django.db import IntegrityError, transaction

from django_timelines.actors import Actor, ActorType, acting
from django_timelines.models import Event
from django_timelines.testing import drain
from django_timelines.workflows import Event as RecordedEvent
from tests.shop.here import HERE
from tests.shop.workflows import Order, Trip, plan


class Moved(RecordedEvent):
    """A fact whose words are ours, too."""

    changes: dict[str, int]
    of: str


pytestmark = pytest.mark.django_db(databases="__all__")


def types(order: Order) -> list[str]:
    return [f"{event.type} {event.step}".strip() for event in order.timeline.events.all()]


def test_a_timeline_tells_all_that_happened_in_order() -> None:
    order = Order.start(customer="Ada")
    drain()
    order = Order.get(order.pk)
    order.pay(amount=5)
    drain()

    assert types(Order.get(order.pk)) == [
        "TimelineStarted",
        "StepCalled place",
        "AttemptStarted place",
        "StepCompleted place",
        "StepDue pack",
        "AttemptStarted pack",
        "StepCompleted pack",
        "StepDue announce",
        "AttemptStarted announce",
        "StepCompleted announce",
        "StepDue pay",
        "StepCalled pay",
        "AttemptStarted pay",
        "StepCompleted pay",
        "StepDue send",
        "AttemptStarted send",
        "StepCompleted send",
        "TimelineCompleted",
    ]


def test_a_sequence_can_stand_once_on_a_timeline() -> None:
    order = Order.start(customer="Ada")
    event = Event.objects.filter(timeline=order.pk).values("type", "data", "at", "actor_type").first()
    assert event is not None

    with pytest.raises(IntegrityError), transaction.atomic(using=HERE):
        Event.objects.create(timeline_id=order.pk, sequence=1, **event)


def test_an_event_names_its_actor_its_placement_and_its_cause() -> None:
    ada = Actor(ActorType.USER, "7", "ada@example.org")
    with acting(ada, trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        order = Order.start(customer="Ada")

    called, completed = order.timeline.events.get(sequence=2), order.timeline.events.get(sequence=4)

    assert (called.actor_type, called.actor_id, called.actor_label) == ("user", "7", "ada@example.org")
    assert (completed.placement, completed.attempt, completed.version) == ("inline", 1, 1)
    assert (order.timeline.events.get(sequence=1).cause, completed.cause) == (None, 1)
    assert called.trace == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert order.timeline.correlation == order.pk


def test_a_completion_carries_exactly_the_changes() -> None:
    order = Order.start(customer="Ada", amount=3)
    drain()
    order.pay(amount=5)

    completed = Order.get(order.pk).timeline.events.get(type="StepCompleted", step="pay")

    assert completed.data == {"changes": {"notes": ["paid 5"]}}


def test_a_timeline_can_be_read_as_of_an_earlier_event() -> None:
    order = Order.start(customer="Ada", amount=3)
    drain()

    then = Order.get(order.pk, at=2)

    assert (then.place.status, then.amount) == ("due", 0)
    assert Order.get(order.pk).place.status == "completed"


def test_no_recorded_event_changes_the_state_whatever_its_words_are() -> None:
    plan["book_hotel"] = lambda trip: trip.record(Moved(changes={"nights": 9}, of="book_flight"))
    trip = Trip.start("Ada")
    drain()
    moved = Trip.get(trip.pk)

    moved.timeline.rewind(to="book_flight", reason="another airline")

    assert (moved.nights, Trip.get(trip.pk).nights) == (1, 1)
    assert moved.book_hotel.status == "completed"
