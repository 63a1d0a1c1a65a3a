"""What the bodies of drawn workflows do: each leaves a row and changes a field, and ends as the test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections

from django_timelines.workflows import AT_LEAST_ONCE, PermanentFailure, Retry, Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry

TWICE = Retry(2, wait=timedelta(seconds=20), factor=1, jitter=False)


@dataclass
class Fate:
    """How the bodies that run now end, what the functions say that are asked, and what happens in the middle of a body."""

    ending: str = "completes"
    asked: str = "answers"
    meanwhile: Callable[[], Any] | None = None


fate = Fate()


@contextmanager
def fated(
    ending: str = "completes", asked: str = "answers", meanwhile: Callable[[], Any] | None = None
) -> Iterator[None]:
    """Let what runs in this block go like this. What ``meanwhile`` raises is raised at its end.

    While a body's transaction is open on SQLite nobody else can write: there nothing happens meanwhile.
    """
    wrong: list[BaseException] = []

    def happens() -> None:
        fate.ending, fate.asked = "completes", "answers"
        try:
            if meanwhile and (connections[HERE].vendor != "sqlite" or not connections[HERE].in_atomic_block):
                meanwhile()
        except BaseException as error:
            wrong.append(error)
        fate.ending, fate.asked = ending, asked

    fate.ending, fate.asked, fate.meanwhile = ending, asked, happens
    try:
        yield
    finally:
        fate.ending, fate.asked, fate.meanwhile = "completes", "answers", None
    if wrong:
        raise wrong[0]


def act(job: Workflow, name: str, amount: int = 1) -> None:
    """Leave a row, change the field, and end."""
    Entry.objects.create(text=f"{job.pk.hex} {name}")
    if amount < 0:
        raise ValidationError("An amount is at least nought.")
    _end(job)
    job.total += amount  # type: ignore[attr-defined]


def walk(job: Workflow, name: str) -> None:
    """Do so in a loop that commits its batches."""
    for number in job.iterate(["1", "2", "3"], batch=2):
        if number == "3":
            _end(job)
        job.total += 1  # type: ignore[attr-defined]


def _end(job: Workflow) -> None:
    _let_happen()
    if fate.ending == "fails":
        raise OSError("The line is dead.")
    if fate.ending == "fails for good":
        raise PermanentFailure("There is no such number.")
    if fate.ending.startswith("cancels"):
        job.cancel(reason="no more", compensate=fate.ending.endswith("undoes"))


def _let_happen() -> None:
    happens, fate.meanwhile = fate.meanwhile, None
    if happens:
        happens()


def answers() -> bool:
    """Answer as a guard."""
    return asked(timedelta(0)) is not None


def asked(span: timedelta) -> timedelta | None:
    """Answer for how long, or that there is no such time."""
    _let_happen()
    if fate.asked == "raises":
        raise OSError("Nobody answers.")
    return span if fate.asked == "answers" else None


class Leg(Workflow):
    """A child: an effect outside, and a person's word."""

    total: int = 0

    @step
    def begin(self) -> None:
        act(self, "begin")

    @step(after=begin, delivery=AT_LEAST_ONCE, retry=TWICE)
    def work(self) -> None:
        act(self, "work")

    @work.undo
    def unwork(self) -> None:
        act(self, "unwork")

    @step(after=work, manual=True, within=timedelta(seconds=50))
    def confirm(self) -> None:
        act(self, "confirm")


class Errand(Workflow):
    """A child that goes on by itself, and of which nothing is undone."""

    total: int = 0

    @step
    def begin(self) -> None: ...

    @step(after=begin)
    def run(self) -> None:
        act(self, "run")
