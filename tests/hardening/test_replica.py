"""A router that sends what is read to a replica, as Django's documentation shows one. The replica is not even there."""

from datetime import timedelta
from typing import Any

import pytest

from django_timelines import moments
from django_timelines.engine import clock
from django_timelines.models import Event, Item, Projection, Run, Schedule, Timeline
from django_timelines.testing import drain, travel
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Order

pytestmark = pytest.mark.django_db(databases="__all__")


class Replica:
    """Our rows are read elsewhere than they are written."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "django_timelines" else None


@pytest.fixture
def order(settings: Any) -> Order:
    settings.DATABASE_ROUTERS = ["tests.hardening.test_replica.Replica", *settings.DATABASE_ROUTERS]
    return Order.using(key="42").start(customer="Ada")


def test_a_timeline_is_found_where_it_was_begun(order: Order) -> None:
    found = [Order.get(order.pk), Order.get(key="42"), Order.timelines.get().subject]

    assert [one.pk for one in found] == [order.pk] * 3


def test_calls_and_verbs_are_written_where_timelines_are_written(order: Order) -> None:
    drain()

    Order.timelines.get().subject.pay(amount=1)
    Order.get(order.pk).send.skip(reason="fetched")

    assert Order.timelines.get().status == "completed"


@pytest.mark.usefixtures("order")
def test_using_says_where_to_read_all_the_same() -> None:
    assert (Order.timelines.db, Order.timelines.using("replica").db) == (HERE, "replica")


class ReadsElsewhere:
    """So are the project's."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model is Entry else None


def test_a_row_that_a_field_refers_to_is_read_where_it_is_written(deploy: Any, settings: Any) -> None:
    entry = Entry.objects.using(HERE).create(text="a row")
    workflow = deploy("""
        from tests.shop.models import Entry

        class Parcel(Workflow):
            entry: Entry
            said: str = ""

            @step
            def take(self, entry: Entry):
                self.entry = entry

            @step(after=take)
            def read(self):
                self.said = self.entry.text
    """)
    settings.DATABASE_ROUTERS = ["tests.hardening.test_replica.ReadsElsewhere", *settings.DATABASE_ROUTERS]

    parcel = workflow.start(entry=entry.pk)
    drain()

    assert workflow.get(parcel.pk).said == "a row"


def test_a_verb_reads_again_what_it_has_written(order: Order) -> None:
    order.timeline.pause(reason="holidays")
    order.timeline.resume()

    assert (order.timeline.using, order.timeline.status) == (HERE, "running")


@pytest.mark.usefixtures("order")
def test_a_clock_keeps_schedules_where_they_are_written(deploy: Any) -> None:
    workflow = deploy("""
        @schedule("0 * * * *", tz="UTC", missed="all", overlap="allow")
        class Parcel(Workflow):
            @step
            def post(self): ...
    """)
    with moments.standing_still():  # or an hour may begin between the two looks
        clock.tick(HERE)

        travel(timedelta(hours=3))
        clock.tick(HERE)

    assert workflow.timelines.count() == 3


@pytest.mark.usefixtures("order")
def test_the_admin_moves_on_what_it_shows_where_that_is_written() -> None:
    shown = (Timeline, Event, Run, Item, Schedule, Projection)

    assert {model.objects.all().db for model in shown} == {HERE}  # type: ignore[attr-defined]
