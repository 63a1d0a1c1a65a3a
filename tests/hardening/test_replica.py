"""A router that sends what is read to a replica, as Django's documentation shows one. The replica is not even there."""

from typing import Any

import pytest

from django_timelines.testing import drain
from tests.shop.here import HERE
from tests.shop.workflows import Order

pytestmark = pytest.mark.django_db(databases="__all__")


class Replica:
    """Reads of timelines go elsewhere than writes."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model._meta.label == "django_timelines.Timeline" else None


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
