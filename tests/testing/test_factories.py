"""Factories of timelines, with factory_boy."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from factory import Sequence

from django_timelines.exceptions import TimelinesError
from django_timelines.models import Timeline
from django_timelines.testing import assert_holds, fail_step
from django_timelines.testing.factories import WorkflowFactory
from tests.shop.factories import OrderFactory, VisitFactory
from tests.shop.workflows import Fork, Jury, Member, Order, ran

from .workflows import Announcement, Chore

pytestmark = pytest.mark.usefixtures("committed")


class ForkFactory(WorkflowFactory[Fork]):
    class Meta:
        model = Fork


def test_declarations_are_the_input_of_start() -> None:
    first, second, third = OrderFactory(customer="Bob"), BareFactory(), BareFactory()

    assert (first.customer, first.amount, first.pack.status) == ("Bob", 1, "due")
    assert int(third.customer.removeprefix("Customer ")) == int(second.customer.removeprefix("Customer ")) + 1
    assert ran == {"place": 3}


def test_upto_goes_on_until_the_step_is_reached() -> None:
    assert OrderFactory(upto="pack").pack.status == "due"
    assert OrderFactory(upto=Order.pay).pay.status == "waiting"
    assert OrderFactory(upto="place").place.status == "completed"
    assert ran == {"place": 3, "pack": 1, "announce": 1}


class BareFactory(WorkflowFactory[Order]):
    class Meta:
        model = Order

    customer = Sequence(lambda n: f"Customer {n}")


def test_what_waits_on_the_way_is_called() -> None:
    order = OrderFactory(upto="send", pay__amount=7)
    visit = VisitFactory(upto="welcome")

    assert (order.send.status, order.notes) == ("due", ["paid 7"])
    assert (visit.arrive.status, visit.welcome.status) == ("completed", "due")
    assert_holds()


class JuryFactory(WorkflowFactory[Jury]):
    class Meta:
        model = Jury

    members = (Member(name="Ada", seat=1), Member(name="Bob", seat=2))


def test_what_waits_on_the_way_for_each_item_is_called_for_each() -> None:
    jury = JuryFactory(upto="announce", vote={"points": 3})

    assert (jury.announce.status, jury.points) == ("due", 6)
    assert [jury.vote[name].status for name in ("Ada", "Bob")] == ["completed", "completed"]
    assert_holds(jury)


def test_a_call_on_the_way_needs_its_input() -> None:
    with pytest.raises(ValidationError) as refused:
        BareFactory(upto="send")

    assert refused.value.message_dict == {"amount": ["This is missing."]}


def test_others_are_left_alone() -> None:
    other = OrderFactory()

    OrderFactory(upto="pay")

    assert Order.get(other.pk).pack.status == "due"


class AnnouncementFactory(WorkflowFactory[Announcement]):
    class Meta:
        model = Announcement

    people = ("Ada", "Bob")


class ChoreFactory(WorkflowFactory[Chore]):
    class Meta:
        model = Chore

    days = 2


def test_a_step_whose_time_a_function_tells_is_reached_once_that_is_told() -> None:
    chore = ChoreFactory(upto="go")

    assert chore.go.status == "waiting"
    assert chore.go() == "completed"
    assert ChoreFactory(upto="thank").thank.status == "due"
    assert_holds()


def test_what_the_timeline_begins_on_the_way_goes_on_too() -> None:
    announcement = AnnouncementFactory(upto="print_it")

    assert (announcement.telegrams.status, announcement.print_it.status) == ("completed", "due")
    assert_holds()


def test_a_child_that_stands_still_is_explained() -> None:
    why = r"does not come to 'print_it' by itself\. “telegrams\[Ada\]” waits for .*Telegram .*The wire is cut"

    with pytest.raises(TimelinesError, match=why), fail_step("send", ValueError("The wire is cut.")):
        AnnouncementFactory(upto="print_it")


def test_a_way_that_is_not_taken_is_said() -> None:
    with pytest.raises(TimelinesError, match=r"does not come to 'forget': it is not taken\."):
        VisitFactory(upto="forget")
    with pytest.raises(TimelinesError, match=r"does not come to 'sorry': it is not taken\."):
        ForkFactory(upto="sorry")


def test_a_timeline_that_stands_still_is_explained() -> None:
    why = r"does not come to 'pay' by itself\. .*The printer is on fire"

    with pytest.raises(TimelinesError, match=why), fail_step("announce", OSError("The printer is on fire.")):
        OrderFactory(upto="pay")


def test_key_and_actor_are_options_of_the_start() -> None:
    ada = User.objects.create_user("ada")

    order = OrderFactory(key="order-17", actor=ada)

    assert (order.timeline.key, order.timeline.started_by) == ("order-17", str(ada.pk))
    assert OrderFactory(key="order-17", customer=order.customer).pk == order.pk


def test_a_batch_is_many() -> None:
    orders = OrderFactory.create_batch(3, upto="pack")

    assert [order.pack.status for order in orders] == ["due", "due", "due"]
    assert Timeline.objects.count() == 3


def test_a_timeline_is_not_built_without_being_stored() -> None:
    with pytest.raises(TypeError, match=r"A timeline is stored from its first event on: OrderFactory\.create"):
        OrderFactory.build()
