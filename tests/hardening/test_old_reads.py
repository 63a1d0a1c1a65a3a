"""A transaction that reads what was there when it began, as MariaDB's own default has it, still meets who was first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction

from django_timelines.models import Event, Timeline
from django_timelines.testing import drain
from django_timelines.workflows import Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Order

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


class Waybill(Workflow):
    """It may be signed before it is checked."""

    signed: str = ""

    @step
    def open(self, by: str) -> None: ...

    @step(after=open)
    def check(self, by: str) -> None: ...

    @step(after=check, early="keep")
    def sign(self, name: str) -> None:
        self.signed = name


@pytest.fixture(autouse=True)
def repeatable_read() -> Iterator[None]:
    """Let transactions read what was there when they began."""
    connection = connections[HERE]
    if connection.vendor != "mysql":
        pytest.skip("elsewhere such a transaction is not told who was first: its write fails")
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    yield
    connection.close()


def test_a_call_in_an_old_transaction_gets_the_firsts_outcome(elsewhere: Callable[[Callable[[], Any]], None]) -> None:
    order = Order.start(customer="Ada")
    drain()

    with transaction.atomic(using=HERE):
        seen = Order.get(order.pk)
        elsewhere(lambda: Order.get(order.pk).pay(amount=5))
        outcome = seen.pay(amount=5)

    assert (outcome, Entry.objects.filter(text="pay").count()) == ("completed", 1)


def test_a_start_in_an_old_transaction_is_the_timeline_that_the_first_began(
    elsewhere: Callable[[Callable[[], Any]], None],
) -> None:
    with transaction.atomic(using=HERE):
        assert Timeline.objects.count() == 0
        elsewhere(lambda: Order.using(key="form").start(customer="Ada"))
        order = Order.using(key="form").start(customer="Ada")

    assert (Timeline.objects.get().pk, Entry.objects.count()) == (order.pk, 1)


@contextmanager
def corrected_since(elsewhere: Callable[[Callable[[], Any]], None], **fields: Any) -> Iterator[Timeline]:
    """Give a timeline in a transaction that has read it, and then somebody else has corrected it."""
    order = Order.start(customer="Ada")
    drain()
    with transaction.atomic(using=HERE):
        timeline = Order.get(order.pk).timeline
        elsewhere(lambda: Order.get(order.pk).timeline.amend(reason="mistyped", **fields))
        yield timeline


def test_an_erasure_in_an_old_transaction_takes_what_others_said_since(
    elsewhere: Callable[[Callable[[], Any]], None],
) -> None:
    with corrected_since(elsewhere, customer="Zaphod") as timeline:
        timeline.cancel(reason="no more")
        timeline.erase(reason="asked for it")

    assert "Zaphod" not in str([*Event.objects.values(), *Timeline.objects.values()])


def test_a_rewind_in_an_old_transaction_leaves_what_others_corrected_since(
    elsewhere: Callable[[Callable[[], Any]], None],
) -> None:
    with corrected_since(elsewhere, amount=9) as timeline:
        timeline.rewind(to="pack", reason="the box is broken")

    assert Order.get(timeline.pk).amount == 9


def test_a_step_that_runs_in_an_old_transaction_takes_the_call_that_was_kept_since(
    elsewhere: Callable[[Callable[[], Any]], None], place: Callable[..., None]
) -> None:
    place(Waybill._declaration.label, sign="inline")
    waybill = Waybill.start(by="Ada")

    with transaction.atomic(using=HERE):
        seen = Waybill.get(waybill.pk)
        elsewhere(lambda: Waybill.get(waybill.pk).sign(name="Bob"))
        seen.check(by="Ada")

    assert (seen.sign.status, seen.signed) == ("completed", "Bob")
