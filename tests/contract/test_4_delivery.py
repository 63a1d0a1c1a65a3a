"""Clause 4: three kinds of delivery, named on the step, and the caller's own transactions."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from django_timelines.models import Timeline
from django_timelines.testing import drain, recorded_errors, travel
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Letter, Order, plan, ran


def fail(workflow: Any) -> None:
    raise OSError("The printer is on fire.")


def entries() -> list[str]:
    return list(Entry.objects.order_by("id").values_list("text", flat=True))


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_an_exactly_once_body_that_fails_leaves_no_row() -> None:
    plan["pack"] = fail
    Order.start(customer="Ada")

    with recorded_errors():
        drain()

    assert (ran["pack"], entries()) == (1, ["place"])


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_an_at_least_once_body_keeps_its_rows_and_makes_them_again() -> None:
    plan["announce"] = fail
    order = Order.start(customer="Ada")
    drain()
    del plan["announce"]

    order = Order.get(order.pk)
    assert order.announce.status == "retrying"
    order.announce.retry()
    drain()

    assert entries() == ["place", "pack", "announce", "announce"]


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_an_at_most_once_body_that_fails_is_not_tried_again() -> None:
    plan["send"] = fail
    order = Order.start(customer="Ada")
    drain()
    order.pay(amount=1)

    with recorded_errors():
        drain()

    assert (ran["send"], Order.get(order.pk).send.status) == (1, "blocked")


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_second_equal_call_does_not_do_again_what_may_be_done(deploy: Any) -> None:
    workflow = deploy("""
        class Parcel(Workflow):
            paid: str = ""

            @step
            def ride(self): ...

            @step(after=ride, delivery=AT_MOST_ONCE)
            def charge(self, card: str):
                ran["charge"] += 1
                if card != "good":
                    raise OSError("The line went dead.")

            @step(after=ride, delivery=AT_LEAST_ONCE)
            def thank(self, name: str):
                ran["thank"] += 1
                self.paid = name
                if "thank" in plan:
                    plan["thank"](self)
    """)
    fare = workflow.start()
    drain()
    plan["thank"] = lambda body: workflow.get(fare.pk).timeline.amend(reason="a typo", paid="Bea")

    with recorded_errors():
        charged = [workflow.get(fare.pk).charge(card="bad") for _ in range(3)]
        thanked = [workflow.get(fare.pk).thank(name="Ada") for _ in range(3)]

    assert (charged, thanked) == (
        ["blocked"] * 3,
        ["blocked"] * 3,
    )  # thank: known to be done, with two values of a field
    assert (ran["charge"], ran["thank"]) == (1, 1)

    fare = workflow.get(fare.pk)
    assert fare.charge(card="good") == "completed"
    del plan["thank"]
    assert fare.thank.using(key="once more")(name="Ada") == "completed"
    assert (ran["charge"], ran["thank"]) == (2, 2)


@pytest.mark.django_db(databases="__all__")
def test_an_at_most_once_attempt_that_fails_before_its_body_begins_is_tried_again(deploy: Any) -> None:
    workflow = deploy("""
        from tests.shop.models import Entry

        class Parcel(Workflow):
            @step
            def take(self): ...

            @step(after=take, delivery=AT_MOST_ONCE)
            def send(self, entry: Entry):
                ran[entry.text] += 1
    """)
    parcel, entry = workflow.start(), Entry.objects.using(HERE).create(text="letter")
    drain()
    workflow.get(parcel.pk).send(entry=entry)
    key = entry.pk
    entry.delete()

    with recorded_errors():
        drain()
    assert (workflow.get(parcel.pk).send.status, ran["letter"]) == ("retrying", 0)

    Entry.objects.using(HERE).create(pk=key, text="letter")
    with travel(timedelta(minutes=1)):
        drain()
    assert (workflow.get(parcel.pk).send.status, ran["letter"]) == ("completed", 1)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_only_an_exactly_once_body_runs_in_a_transaction() -> None:
    inside: dict[str, bool] = {}
    for name in ("pack", "announce"):
        plan[name] = lambda workflow, name=name: inside.__setitem__(name, connections[HERE].in_atomic_block)
    Order.start(customer="Ada")
    drain()

    assert inside == {"pack": True, "announce": False}


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_the_callers_rollback_takes_the_timeline_with_it() -> None:
    with transaction.atomic(using=HERE):
        Order.start(customer="Ada")
        transaction.set_rollback(True, using=HERE)

    assert (Timeline.objects.count(), entries()) == (0, [])


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_failure_inside_the_callers_transaction_leaves_it_usable() -> None:
    plan["place"] = fail
    with recorded_errors(), transaction.atomic(using=HERE):
        order = Order.start(customer="Ada")
        Entry.objects.create(text="mine")

    assert (order.place.status, entries()) == ("retrying", ["mine"])


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_an_outside_effect_inside_the_callers_transaction_runs_after_its_commit(place: Any) -> None:
    place(pack="inline", announce="inline")
    with transaction.atomic(using=HERE):
        order = Order.start(customer="Ada")
        assert (ran["pack"], ran["announce"]) == (1, 0)
        assert order.announce.status == "due"
        assert order.announce.wait(timeout=30) == "due"

    assert (ran["announce"], Order.get(order.pk).announce.status) == (1, "completed")


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_the_idempotency_key_is_the_same_over_attempts() -> None:
    keys = []

    def note_and_fail(workflow: Any) -> None:
        keys.append(workflow.idempotency_key)
        raise OSError

    plan["announce"] = note_and_fail
    order = Order.start(customer="Ada")
    drain()
    Order.get(order.pk).announce.retry()
    drain()

    assert len(keys) == 2
    assert set(keys) == {f"{order.pk.hex}-announce"}


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_rejected_start_leaves_nothing() -> None:
    from django_timelines.exceptions import Rejected

    with pytest.raises(Rejected, match="nobody"):
        Order.start(customer="nobody")

    assert Timeline.objects.count() == 0


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_an_async_step_is_awaited() -> None:
    from django_timelines.workflows import AT_LEAST_ONCE, Workflow, step

    class Awaited(Workflow):
        answer: str = ""

        @step(delivery=AT_LEAST_ONCE)
        async def ask(self, question: str) -> None:
            await asyncio.sleep(0)
            self.answer = question.upper()

    assert Awaited.start(question="why").answer == "WHY"


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_called_outside_effect_answers_due_and_runs_after_the_callers_commit() -> None:
    with transaction.atomic(using=HERE):
        letter = Letter.start(to="Ada")
        assert (letter.post.status, ran["post"]) == ("due", 0)

    assert (Letter.get(letter.pk).post.status, ran["post"]) == ("completed", 1)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_called_outside_effect_goes_with_the_callers_rollback() -> None:
    with transaction.atomic(using=HERE):
        Letter.start(to="Ada")
        transaction.set_rollback(True, using=HERE)

    assert (Timeline.objects.count(), ran["post"]) == (0, 0)
