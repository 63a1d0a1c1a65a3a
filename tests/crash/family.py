"""Timelines that belong together: a meal, its table, its bill and a dish for each item; what each must know of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from django_timelines.exceptions import PermanentFailure
from django_timelines.models import Timeline
from django_timelines.state import ENDED
from django_timelines.workflows import AT_LEAST_ONCE, Retry, Workflow, step, subworkflow
from tests.shop.family import not_known
from tests.shop.models import Entry

from . import outside, worker
from .scenario import KEY, Scenario, type_act
from .workflows import body, effect

SOON = Retry(4, wait=timedelta(seconds=10), jitter=False)
WRITES = {"order", "serve", "lay", "present", "take", "cook", "throw_away"}
"""The exactly-once steps and undos, each of which leaves a row."""


def write(workflow: Workflow, name: str) -> None:
    """Leave a row of this timeline's."""
    Entry.objects.create(text=f"{name} {workflow.pk.hex}")
    body(name)


class Dish(Workflow):
    """A child for each item."""

    name: str

    @step
    def take(self, name: str) -> None:
        self.name = name
        write(self, "take")

    @step(after=take, retry=SOON)
    def cook(self) -> None:
        write(self, "cook")

    @cook.undo
    def throw_away(self) -> None:
        write(self, "throw_away")


class Bill(Workflow):
    """A child whose failure its parent goes on from, and which waits for a person."""

    amount: int
    receipt: str

    @step
    def present(self, amount: int) -> None:
        self.amount = amount
        write(self, "present")

    @step(after=present, delivery=AT_LEAST_ONCE, retry=SOON)
    def collect(self) -> None:
        effect(self, "collect")

    @collect.undo
    def give_back(self) -> None:
        effect(self, "give_back")

    @step(after=collect, manual=True)
    def sign(self) -> None:
        body("sign")
        self.receipt = f"paid {self.amount}"


class Table(Workflow):
    """A child of which nothing is undone."""

    @step
    def lay(self) -> None:
        write(self, "lay")


class Meal(Workflow):
    """Paid and cooked at the same time."""

    dishes: list[str]
    receipt: str = ""

    @step
    def order(self, dishes: list[str]) -> None:
        self.dishes = dishes
        write(self, "order")

    table = subworkflow(Table, after=order)
    bill = subworkflow(Bill, after=order, given=lambda meal: {"amount": 5}, results={"receipt": "receipt"})
    cooking = subworkflow(Dish, after=order, each="dishes", given=lambda meal, dish: {"name": dish})

    @step(after=[bill, cooking], manual=True)
    def serve(self) -> None:
        write(self, "serve")

    @step(after=bill.failed)
    def apologise(self) -> None:
        self.cancel(reason="not paid", compensate=True)


def meal() -> Meal:
    return Meal.get(key=KEY)


# What people do.


def order() -> None:
    Meal.using(key=KEY).start(dishes=["soup", "cake"])


def sign() -> None:
    meal().bill.child.sign.using(key="signature")()


def serve() -> None:
    meal().serve.using(key="served")()
    worker.settle()


def skip() -> None:
    if meal().bill.status == "waiting":
        meal().bill.skip(reason="on the house")


def cancel(*, compensate: bool) -> type_act:
    def ask() -> None:
        if meal().timeline.status not in (*ENDED, "cancelling"):
            meal().timeline.cancel(reason="closed", compensate=compensate)

    return ask


def rewind() -> None:
    if "rounds" not in meal().timeline.state:
        meal().timeline.rewind(to="bill", reason="wrong price", undo=True)


def all_have_ended() -> None:
    left = Timeline.objects.exclude(status__in=ENDED)
    assert not left.exists(), f"{[str(one.explain()) for one in left]}"


def sign_and_settle() -> None:
    sign()
    worker.settle()


def break_the_pen() -> None:
    raise PermanentFailure("The pen broke.")


_settle, _ended = worker.settle, all_have_ended
_COOKED = (order, _settle)
_PAID = (*_COOKED, sign, _settle)
_cancel, _undo = cancel(compensate=False), cancel(compensate=True)

SCENARIOS = {
    "family": Scenario(_settle, (order,), (sign, _settle, serve, _ended), placed=("away", "mixed", "rq")),
    "family from a request": Scenario(order, after=(_settle, sign, _settle, serve, _ended)),
    "child's end": Scenario(sign_and_settle, _COOKED, (serve, _ended), placed=("away", "here", "rq")),
    "child that fails": Scenario(sign_and_settle, _COOKED, (_ended,), {"sign": break_the_pen}, placed=("away", "here")),
    "skip a child": Scenario(skip, _COOKED, (_settle, serve, _ended), placed=("away", "here")),
    "cancel a family": Scenario(_cancel, _COOKED, (_settle, _ended), placed=("away", "here", "rq")),
    "cancel a family that begins": Scenario(_cancel, (order,), (_settle, _ended), placed=("away",)),
    "cancel and undo a family": Scenario(_undo, _PAID, (_settle, _ended), placed=("away", "here")),
    "undo a family": Scenario(_settle, (*_PAID, _undo), (_ended,), placed=("away", "rq")),
    "a new round of a child": Scenario(rewind, _PAID, (_settle, sign, _settle, serve, _ended), placed=("away", "here")),
}


def holds(_scenario: Scenario) -> Iterator[str]:
    """Say where rows and effects are not what the events say, and who does not know of whom."""
    for one in Timeline.objects.all():
        yield from _of_effects(one)
    yield from not_known(Timeline.objects.all())


def _of_effects(one: Timeline) -> Iterator[str]:
    steps = one.events.filter(type__in=("StepCompleted", "StepUndone")).values_list("step", flat=True)
    completed = Counter(steps)
    rows = Counter(text.split()[0] for text in Entry.objects.values_list("text", flat=True) if one.pk.hex in text)
    if rows != Counter({step: times for step, times in completed.items() if step in WRITES}):
        yield f"Completed of {one.workflow} are {dict(completed)}; that left the rows {dict(rows)}."
    begun = set(one.events.filter(type="AttemptStarted").values_list("step", flat=True))
    for name in ("collect", "give_back"):
        keys = {key for done, key in outside.noted("effect") if done == name and one.pk.hex in key}
        if keys and name not in begun:
            yield f"{name} had its effect before its start was committed."
        if len(keys) > 1 or len(keys) < completed[name]:
            yield f"{name} was completed {completed[name]} times with the effects {keys}."
