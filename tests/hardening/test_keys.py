"""A key has one effect; no key is no key; one that no database can hold is refused where it enters."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from django_timelines.exceptions import Refused, Rejected, Unknown
from django_timelines.models import Timeline
from django_timelines.testing import drain
from tests.shop.stories import ready_to_pay
from tests.shop.workflows import Order, ran

from .workflows import Diary, Door

pytestmark = pytest.mark.django_db(databases="__all__")


def at_once(times: int, do: Callable[[], Any]) -> list[Any]:
    """Do it in so many threads that all begin together."""
    line = threading.Barrier(times)

    def one() -> Any:
        try:
            line.wait(timeout=60)
            return do()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as pool:
        return [begun.result(timeout=60) for begun in [pool.submit(one) for _ in range(times)]]


def test_two_starts_without_a_key_are_two_timelines_even_if_none_was_written() -> None:
    one = Order.using(key=None).start(customer="Ada")  # type: ignore[arg-type]
    two = Order.using(key=None).start(customer="Ada")  # type: ignore[arg-type]

    assert one.pk != two.pk


def test_a_call_with_the_key_none_remembers_no_key() -> None:
    order = ready_to_pay()

    order.pay.using(key=None)(amount=1)  # type: ignore[arg-type]

    assert "keys" not in Timeline.objects.get().state


@pytest.mark.parametrize("key", ["\ud800", "a\x00b", "k" * 201])
def test_a_key_that_no_database_holds_is_rejected(key: str) -> None:
    order = ready_to_pay()

    with pytest.raises(Rejected):
        Order.using(key=key).start(customer="Ada")
    with pytest.raises(Rejected):
        order.pay.using(key=key)(amount=1)

    assert (Timeline.objects.count(), ran["pay"]) == (1, 0)
    with pytest.raises(Unknown):
        Order.get(key=key)


def test_a_form_sent_again_after_its_rejection_is_the_next_call(place: Any) -> None:
    place(place="embedded")
    order = Order.using(key="form").start(customer="nobody")
    drain()
    assert Order.get(order.pk).place.status == "waiting"

    again = Order.using(key="form").start(customer="Ada")
    drain()

    assert again.pk == order.pk
    assert (Order.get(order.pk).place.status, Order.get(order.pk).customer) == ("completed", "Ada")


def test_a_rejected_form_is_not_begun_twice_under_its_key(place: Any) -> None:
    place(place="embedded")

    for _ in range(3):
        Order.using(key="form").start(customer="nobody")
        drain()

    assert Timeline.objects.count() == 1


def test_a_second_early_call_is_told_that_one_is_kept() -> None:
    door = Door.start()
    drain()
    door = Door.get(door.pk)
    assert door.unlock(code="hunter2") == "kept"

    with pytest.raises(Refused, match="kept already") as refused:
        door.unlock.using(key="another")(code="hunter3")

    assert refused.value.reason == "taken"


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("key", ["first", "second", "third"])
def test_starts_at_once_with_one_key_are_one_timeline_though_they_take_no_input(key: str) -> None:
    begun = at_once(4, lambda: Diary.using(key=key).start().pk)

    assert len(set(begun)) == 1
    assert Timeline.objects.count() == 1
