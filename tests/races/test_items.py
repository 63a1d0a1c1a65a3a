"""Rule 3: items that end at the same moment are each counted, and what they make room for begins once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from django_timelines.models import Event, Run
from django_timelines.testing import assert_holds, drain
from django_timelines.testing.due import carry_out
from django_timelines.workflows import Workflow, step
from tests.races.at_once import Started, at_once, meanwhile, somebody_waits, until
from tests.shop.here import HERE
from tests.shop.workflows import Bar, Desk, Panel, plan, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def due(workflow: Any) -> list[Run]:
    return list(Run.objects.using(HERE).filter(timeline=workflow.pk, status="due").order_by("id"))


def carry_out_at_once(*runs: Run) -> None:
    answers = at_once(*(lambda run=run: carry_out(run, HERE, alone=True) for run in runs))  # type: ignore[misc]
    assert answers == [None] * len(runs)


def test_all_that_end_at_once_are_counted_and_what_comes_after_begins_once() -> None:
    bar = Bar.start(drinks=["latte", "mocha", "tea", "water"])
    carry_out_at_once(*due(bar))
    drain()

    assert Bar.get(bar.pk).timeline.state["runs"]["make"]["each"] == {"count": 4, "completed": 4}
    assert (Bar.get(bar.pk).timeline.status, ran["serve"]) == ("completed", 1)
    assert_holds(Bar.get(bar.pk))


def test_two_that_end_at_once_make_room_for_two() -> None:
    panel = Panel.start(members=[str(number) for number in range(8)])
    carry_out_at_once(*due(panel)[:2])

    assert [run.item for run in due(panel)] == ["2", "3", "4"]
    assert_holds(Panel.get(panel.pk))


def test_an_item_is_called_while_its_list_goes_on(row_locks: None) -> None:
    desk = Desk.start(guests=["Ada", "Bob", "Cy"])
    plan["greet"] = lambda desk: meanwhile(lambda: Desk.get(desk.pk).greet["Cy"](words="Later"))

    desk.greet["Ada"](words="Welcome")
    Desk.get(desk.pk).greet["Bob"](words="Hello")
    drain()

    called = Event.objects.using(HERE).filter(timeline=desk.pk, type="StepCalled", step="greet")
    assert list(called.order_by("sequence").values_list("item", flat=True)) == ["Cy", "Ada", "Bob"]
    assert Desk.get(desk.pk).said == ["Welcome, Ada", "Hello, Bob", "Later, Cy"]
    assert_holds(Desk.get(desk.pk))


class Counter(Workflow):
    """Guests in any order."""

    guests: list[str]

    @step
    def open(self, guests: list[str]) -> None:
        self.guests = guests

    @step(after=open, each="guests")
    def serve(self, guest: str, what: str) -> None: ...


def call(counter: Counter) -> Any:
    return Counter.get(counter.pk).serve["Ada"](what="tea")


def pause(counter: Counter) -> Any:
    with transaction.atomic(using=HERE):
        return Counter.get(counter.pk).timeline.pause(reason="lunch")


@pytest.mark.parametrize(("deed", "answer"), [(call, "completed"), (pause, None)])
def test_a_transaction_that_has_read_an_item_meets_no_deadlock_when_it_calls(
    deed: Callable[[Counter], Any], answer: str | None, row_locks: None
) -> None:
    counter = Counter.start(guests=["Ada", "Bob"])

    with transaction.atomic(using=HERE):
        seen = Counter.get(counter.pk).serve["Ada"].status
        other = Started(lambda: deed(counter))
        until(lambda: other.ended or somebody_waits())  # it waits only where reading locks
        waits = not other.ended
        called = Counter.get(counter.pk).serve["Bob"](what="cocoa")

    assert (seen, called) == ("waiting", "due" if deed is pause and not waits else "completed")
    assert other.answer() == answer
    assert_holds(Counter.get(counter.pk))
