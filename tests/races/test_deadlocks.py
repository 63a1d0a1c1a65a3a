"""Clause 6: a transaction of ours writes one timeline, so ours never lock each other up. Those of callers may."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, BrokenBarrierError, Event
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction

from django_timelines.engine.answer import answer
from tests.races.at_once import Started, at_once, somebody_waits, until
from tests.races.workers import bell_of
from tests.races.workflows import Till
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def pay_both(first: Till, second: Till, amount: int, meet: Barrier) -> str:
    """Write two timelines in one transaction, the second after somebody else has written it."""
    with transaction.atomic(using=HERE):
        Till.get(first.pk).pay.using(key=f"first {amount}")(amount=amount)
        try:
            meet.wait(2 if connections[HERE].vendor == "sqlite" else 60)
        except BrokenBarrierError:
            assert connections[HERE].vendor == "sqlite", "nobody may wait yet"  # there the other has not begun
        Till.get(second.pk).mail.using(key=f"second {amount}")(amount=amount)
    return "committed"


def test_a_deadlock_of_callers_is_an_error_for_one_of_them_and_nothing_of_its_is_written() -> None:
    one, other, meet = Till.start(owner="Ada"), Till.start(owner="Grace"), Barrier(2)

    answers = at_once(lambda: pay_both(one, other, 1, meet), lambda: pay_both(other, one, 2, meet))

    losers = [answer for answer in answers if isinstance(answer, DatabaseError)]
    assert sorted(map(str, answers)) == sorted(["committed"] * (2 - len(losers)) + [str(error) for error in losers])
    paid = {1: Till.get(one.pk), 2: Till.get(other.pk)}
    for amount, answer_ in enumerate(answers, start=1):
        mailed = paid[3 - amount]
        written = answer_ == "committed"
        assert paid[amount].total == (amount if written else 0)
        assert (paid[amount].pay.status, mailed.mail.status) == (("completed",) * 2 if written else ("waiting",) * 2)
    if connections[HERE].vendor != "sqlite":
        assert len(losers) == 1
    assert Entry.objects.filter(text="pay").count() == Entry.objects.filter(text="mail").count() == 2 - len(losers)


def test_what_works_on_two_timelines_in_either_order_without_a_transaction_meets_no_deadlock() -> None:
    one, other = Till.start(owner="Ada"), Till.start(owner="Grace")

    def pay(first: Till, second: Till) -> list[str]:
        return [str(Till.get(first.pk).pay(amount=1)), str(Till.get(second.pk).pay(amount=1))]

    answers = at_once(*[lambda: pay(one, other), lambda: pay(other, one)] * 10)

    assert answers == [["completed", "completed"]] * 20
    assert Entry.objects.filter(text="pay").count() == 2


def test_bodies_that_lock_each_other_up_run_again_and_use_no_attempt(row_locks: None) -> None:
    one, other, meet = Till.start(owner="Ada"), Till.start(owner="Grace"), Barrier(2)
    rows = [Entry.objects.create(text=text) for text in ("first", "second")]

    met: set[Any] = set()

    def in_either_order(workflow: Till) -> None:
        first, second = rows if workflow.pk == one.pk else rows[::-1]
        Entry.objects.filter(pk=first.pk).update(text="mine")
        if workflow.pk not in met:
            met.add(workflow.pk)
            meet.wait(60)
        Entry.objects.filter(pk=second.pk).update(text="mine")

    plan["count"] = in_either_order
    bells = [bell_of(till, "count") for till in (one, other)]
    ran["count"] = 0
    answers = at_once(*[lambda bell=bell: answer(**bell) for bell in bells])

    assert answers == [None, None]
    assert ran["count"] >= 3  # who begins again may have its first row back before the other has taken it
    for till in (one, other):
        assert list(till.timeline.events.filter(step="count").values_list("type", "attempt")) == [
            ("StepDue", None),
            ("AttemptStarted", 1),
            ("StepCompleted", 1),
        ]


@pytest.fixture
def locked_by_another() -> Iterator[Any]:
    """Let somebody lock two rows, the second once the body asks for it to; return a function that locks them the other way round.

    Whoever wrote less is the victim of the deadlock: the body.
    """
    rows = [Entry.objects.create(text=text).pk for text in ("a", "b")]
    has_b, may_have_a = Event(), Event()

    def other() -> None:
        with transaction.atomic(using=HERE):
            Entry.objects.bulk_create([Entry(text="heavy") for _ in range(200)])
            Entry.objects.select_for_update().get(pk=rows[1])
            has_b.set()
            assert may_have_a.wait(50)
            Entry.objects.select_for_update().get(pk=rows[0])

    def lock_both(workflow: Any) -> None:
        Entry.objects.create(text="mine")
        Entry.objects.select_for_update().get(pk=rows[0])
        first = not may_have_a.is_set()
        if first:
            assert has_b.wait(50)
            may_have_a.set()
            until(somebody_waits)
        try:
            Entry.objects.select_for_update().get(pk=rows[1])
        except DatabaseError:
            assert first  # and the body goes on, as if it could do without

    started = Started(other)
    yield lock_both
    may_have_a.set()
    started.answer()


def test_a_body_that_goes_on_after_a_deadlock_runs_again_if_what_it_wrote_is_gone(
    locked_by_another: Any, place: Any
) -> None:
    if connections[HERE].vendor != "mysql":
        pytest.skip("PostgreSQL takes no statement after it, and SQLite has one writer")
    till = Till.start(owner="Ada")
    plan["pay"] = locked_by_another

    till.pay(amount=1)

    assert (Till.get(till.pk).pay.status, Entry.objects.filter(text="mine").count()) == ("completed", 1)
