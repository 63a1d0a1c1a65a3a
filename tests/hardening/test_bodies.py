"""Bodies raise, record and cancel as they like; the timeline holds what a database can hold, and goes on."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone, translation

from django_timelines import moments
from django_timelines.models import Event, Timeline
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import RetryAfter
from tests.shop.workflows import Order, plan, ran

from .workflows import Box, Diary, Door, Fact

pytestmark = pytest.mark.django_db(databases="__all__")


def raising(error: Exception) -> Any:
    def body(workflow: Any) -> None:
        raise error

    return body


def test_a_rejection_may_say_what_no_database_can_hold(place: Any) -> None:
    place(Box._declaration.label, fill="embedded")
    plan["fill"] = raising(ValidationError("bad \x00 byte \ud800"))

    box = Box.start(content="hat")
    drain()

    assert (Box.get(box.pk).fill.status, ran["fill"]) == ("waiting", 1)


def test_a_body_may_cancel_for_a_reason_that_no_database_can_hold() -> None:
    plan["enter"] = lambda door: door.cancel(reason="a\x00b\ud800")
    door = Door.start()
    drain()
    door.knock(times=1)
    door.unlock(code="hunter2")

    drain()

    assert Door.get(door.pk).timeline.status == "cancelled"
    assert Event.objects.get(type="CancelRequested").data["reason"] == "ab?"


def test_a_body_that_changes_language_and_time_zone_changes_them_for_itself() -> None:
    def at_home(order: Order) -> None:
        translation.activate("de")
        timezone.activate("Europe/Berlin")

    plan["pack"] = at_home
    before = translation.get_language(), timezone.get_current_timezone_name()
    Order.start(customer="Ada")

    drain()

    assert ran["pack"] == 1
    assert (translation.get_language(), timezone.get_current_timezone_name()) == before


@pytest.mark.parametrize("seconds", [10**13, 10**11, -(10**13), -5])
def test_an_absurd_wait_that_a_service_asks_for_is_still_a_wait(seconds: int) -> None:
    plan["announce"] = raising(RetryAfter(seconds))
    order = Order.start(customer="Ada")

    with recorded_errors():
        drain()

    assert Order.get(order.pk).announce.status in ("retrying", "blocked")


def test_a_wait_of_more_than_a_year_ends_after_a_year() -> None:
    plan["pack"] = raising(RetryAfter(timedelta(days=5_000)))
    order = Order.start(customer="Ada")

    with recorded_errors():
        drain()

    run = order.timeline.runs.get()
    assert run.status == "retrying"
    assert run.due is not None
    assert run.due - order.timeline.started_at < timedelta(days=367)


@pytest.mark.parametrize(
    ("seconds", "waits"),
    [
        ("10**15", timedelta(days=366)),
        ("float('inf')", timedelta(days=366)),
        ("timedelta.max", timedelta(days=366)),
        ("float('-inf')", timedelta(0)),
        ("float('nan')", timedelta(0)),
        ("-5", timedelta(0)),
        ("1.5", timedelta(seconds=1.5)),
    ],
)
def test_whatever_a_service_asks_for_is_from_nought_to_a_year_and_another_try(
    deploy: Any, seconds: str, waits: timedelta
) -> None:
    workflow = deploy(f"""
        class Parcel(Workflow):
            @step
            def begin(self): ...

            @step(after=begin, delivery=AT_LEAST_ONCE, retry=Retry(2, on=ConnectionError))
            def fetch(self):
                raise RetryAfter({seconds})
    """)
    with moments.standing_still(), recorded_errors():
        parcel = workflow.start()
        drain()

    failed = parcel.timeline.events.filter(type="AttemptFailed").earliest("sequence")
    assert moments.from_text(failed.data["due"]) - failed.at == waits


def test_a_body_may_record_thousands_of_facts() -> None:
    def write(diary: Any) -> None:
        for n in range(17_000):  # more values than one statement takes
            diary.record(Fact(text=str(n)))

    plan["write"] = write

    Diary.start()
    drain()

    assert Timeline.objects.get().status == "completed"
    assert Event.objects.filter(type="Fact").count() == 17_000


def test_a_fact_that_is_too_large_is_the_authors_mistake_and_no_rejection() -> None:
    plan["fill"] = lambda box: box.record(Fact(text="x" * 2_000_000))

    with recorded_errors():
        box = Box.start(content="hat")

    assert box.fill.status == "retrying"
    assert Event.objects.filter(type="StepRejected").count() == 0
    assert Event.objects.get(type="AttemptFailed").data["error"]["type"] == "TypeError"


def test_cancel_lets_an_outside_effect_that_a_person_tries_again_come_to_its_end() -> None:
    plan["announce"] = raising(ValueError("no route"))
    order = Order.start(customer="Ada")
    with recorded_errors():
        drain()
    plan.clear()
    Order.get(order.pk).announce.retry(reason="the route is back")

    Order.get(order.pk).timeline.cancel(reason="changed my mind")
    assert Order.get(order.pk).timeline.status == "cancelling"
    drain()

    order = Order.get(order.pk)
    assert (order.announce.status, order.timeline.status, ran["announce"]) == ("completed", "cancelled", 2)
