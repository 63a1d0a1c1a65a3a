"""Clause 6: what timelines tell one another crosses on the way, and is taken once, many at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_timelines.actors import SYSTEM
from django_timelines.engine.clock import tick
from django_timelines.engine.family import hear
from django_timelines.engine.runner import Runner
from django_timelines.exceptions import Refused
from django_timelines.models import Event, Notice
from django_timelines.testing import assert_holds, drain, recorded_errors, travel
from tests.races.at_once import at_once, meanwhile
from tests.shop.here import HERE
from tests.shop.stories import eaten
from tests.shop.workflows import Bill, Dish, Supper, plan

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def settle() -> None:
    with recorded_errors():
        drain()


def test_a_childs_end_against_its_parents_cancel_in_either_order() -> None:
    for _ in range(10):
        supper = eaten()
        bill = Bill.get(supper.bill.child.pk)
        answers = at_once(lambda: bill.tip(amount=1), lambda: supper.timeline.cancel(reason="closed"))  # noqa: B023 (at once)
        settle()

        assert all(answer in (None, "completed") or isinstance(answer, Refused) for answer in answers)
        family = {one.workflow: one.status for one in supper.timeline.family}
        assert family["shop.Supper"] == "cancelled"
        assert family["shop.Bill"] in ("completed", "cancelled")
        assert Notice.objects.using(HERE).count() == 0
        assert_holds(Supper.get(supper.pk))
        assert_holds(Bill.get(bill.pk))


def test_the_parents_cancel_in_the_middle_of_the_childs_last_body(row_locks: None) -> None:
    supper = eaten()
    plan["tip"] = lambda bill: meanwhile(lambda: Supper.get(supper.pk).timeline.cancel(reason="closed"))

    with pytest.raises(Refused):
        Bill.get(supper.bill.child.pk).tip(amount=1)
    settle()

    assert {one.status for one in supper.timeline.family} == {"cancelled"}
    assert_holds(Supper.get(supper.pk))


def test_two_that_take_a_notice_which_means_nothing() -> None:
    supper = eaten("soup")
    dish = Dish.start(name="stranger")
    drain()
    done = Event.objects.using(HERE).filter(timeline=supper.pk, step="cooking", type="StepCompleted").count()
    row = {"source": dish.pk, "sequence": 1, "kind": Notice.ENDED}
    Notice.objects.using(HERE).create(timeline=supper.pk, **row)

    at_once(*[lambda: hear(supper.pk, Runner(SYSTEM, "", HERE))] * 2)

    assert Notice.objects.using(HERE).count() == 0
    assert Event.objects.using(HERE).filter(timeline=supper.pk, type="StepCompleted", step="cooking").count() == done


def test_many_children_that_end_at_once_are_each_heard_once() -> None:
    names = [f"dish {number}" for number in range(12)]
    supper = Supper.start(guest="Ada", dishes=names)
    with recorded_errors(), travel(timedelta(seconds=10)):
        for _ in range(50):
            at_once(*[drain_one] * 4, lambda: tick(HERE, SYSTEM))
            if Supper.get(supper.pk).cooking.status == "completed":
                break
        drain()

    heard = Event.objects.using(HERE).filter(timeline=supper.pk, step="cooking", type="StepCompleted")
    assert sorted(heard.values_list("item", flat=True)) == sorted(names)
    assert Notice.objects.using(HERE).count() == 0
    assert_holds(Supper.get(supper.pk))


def drain_one() -> None:
    """Take what is due, as one of several workers."""
    from django_timelines.testing.due import carry_out, next_due

    run = next_due(HERE)
    if run is not None:
        carry_out(run, HERE)
