"""What is under way while everything dies. Whether a body dawdles or fails is drawn from the seed, the run and the attempt."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Retry, Workflow, any_of, step

from . import outside
from .models import Effect

QUICKLY = Retry(6, wait=timedelta(seconds=0.2), cap=timedelta(seconds=1))
ONLY_OUTSIDE = Retry(6, wait=timedelta(seconds=0.2), cap=timedelta(seconds=1), on=OSError)


def drawn(workflow: Any, what: str) -> float:
    """Draw a number from 0 to 1 for this attempt: the same for the same seed."""
    text = f"{settings.SEED} {workflow.idempotency_key} {workflow._frame.attempt} {what}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) / 2**32


def row(workflow: Any) -> None:
    """Write a row in the body's transaction, and stay in it for a while now and then: longer than a lease, even."""
    Effect.objects.create(timeline=workflow.pk, step=workflow._frame.name[0])
    dawdle(workflow)
    fail(workflow, 0.03)


def line(workflow: Any) -> None:
    """Have an effect outside, and fail before or after it now and then."""
    if drawn(workflow, "before") < 0.05:
        raise OSError("The line was busy.")
    outside.happen(settings.OUTSIDE, workflow.idempotency_key, workflow._frame.attempt)
    dawdle(workflow)


def dawdle(workflow: Any) -> None:
    """Take no time, mostly."""
    number = drawn(workflow, "dawdle")
    time.sleep(settings.TIMELINES["LEASE"] * 1.3 if number < 0.001 else 0.2 if number < 0.02 else number / 100)


def fail(workflow: Any, often: float) -> None:
    """Fail with what is worth another try."""
    if drawn(workflow, "after") < often:
        raise OSError("The line went dead.")


class Chain(Workflow):
    """Every delivery, one after the other, and a person's word in the middle."""

    name: str
    counted: int = 0

    @step(retry=QUICKLY)
    def begin(self, name: str) -> None:
        self.name = name
        row(self)

    @step(after=begin, retry=QUICKLY)
    def count(self) -> None:
        self.counted += 1
        row(self)

    @step(after=count, delivery=AT_LEAST_ONCE, retry=ONLY_OUTSIDE)
    def announce(self) -> None:
        line(self)
        fail(self, 0.1)

    @step(after=announce, retry=QUICKLY)
    def approve(self, by: str) -> None:
        if by == "nobody":
            raise ValidationError("Somebody must say yes.")
        row(self)

    @step(after=approve, delivery=AT_MOST_ONCE)
    def send(self) -> None:
        line(self)

    @step(after=send, retry=ONLY_OUTSIDE)
    def finish(self) -> None:
        self.counted += 1
        row(self)


class Fork(Workflow):
    """Two branches that change one field, and their join."""

    shared: int = 0

    @step
    def begin(self, name: str) -> None:
        row(self)

    @step(after=begin, retry=QUICKLY)
    def left(self) -> None:
        self.shared += 1
        row(self)

    @step(after=begin, retry=QUICKLY)
    def right(self) -> None:
        self.shared += 1
        row(self)

    @step(after=begin, delivery=AT_LEAST_ONCE, retry=Retry(2, wait=timedelta(seconds=0.1)))
    def outer(self) -> None:
        line(self)
        fail(self, 0.3)

    @step(after=outer.failed, retry=QUICKLY)
    def sorry(self) -> None:
        row(self)

    @step(after=any_of(outer, sorry), retry=QUICKLY)
    def either(self) -> None:
        row(self)

    @step(after=[left, right, either], retry=QUICKLY)
    def join(self) -> None:
        row(self)


class Visit(Workflow):
    """A guest is expected for some seconds: early, in time, too late or never."""

    @step(retry=QUICKLY)
    def invite(self, name: str) -> None:
        row(self)

    @step(after=invite, retry=QUICKLY)
    def lay(self) -> None:
        row(self)

    @step(after=lay, manual=True, within=timedelta(seconds=5), early="keep", retry=QUICKLY)
    def arrive(self) -> None:
        row(self)

    @step(after=arrive.overdue, retry=QUICKLY)
    def forget(self) -> None:
        row(self)

    @step(after=arrive, retry=QUICKLY)
    def welcome(self) -> None:
        row(self)


class Claim(Workflow):
    """Effects outside begin in the request; a decision that is taken by a worker, which may say no to it."""

    @step(delivery=AT_LEAST_ONCE, retry=ONLY_OUTSIDE)
    def lodge(self, name: str) -> None:
        line(self)

    @step(after=lodge, retry=QUICKLY)
    def decide(self, by: str) -> None:
        if by == "nobody":
            raise ValidationError("Somebody must decide.")
        row(self)

    @step(after=decide, delivery=AT_MOST_ONCE)
    def pay(self) -> None:
        line(self)


class Appointment(Workflow):
    """What is due at a time: a second try, and a deadline."""

    @step
    def make(self, name: str) -> None:
        pass

    @step(after=make, retry=Retry(2, wait=timedelta(seconds=5), jitter=False, on=OSError))
    def remind(self) -> None:
        if self._frame.attempt == 1:
            raise OSError("Nobody answers yet.")

    @step(after=make, manual=True, within=timedelta(seconds=5))
    def come(self) -> None:
        pass

    @step(after=come.overdue)
    def forget(self) -> None:
        pass


class Errand(Workflow):
    """Its worker is killed in the first body of each kind."""

    name: str

    @step
    def ask(self, name: str) -> None:
        self.name = name

    @step(after=ask)
    def carry(self) -> None:
        wait_to_be_killed(self)


class OuterErrand(Workflow):
    """The same, with an effect outside."""

    name: str

    @step
    def ask(self, name: str) -> None:
        self.name = name

    @step(after=ask, delivery=AT_LEAST_ONCE)
    def carry(self) -> None:
        wait_to_be_killed(self)


def wait_to_be_killed(workflow: Any) -> None:
    """Say in the first attempt which process to kill, and stay."""
    if workflow._frame.attempt == 1:
        outside.happen(settings.OUTSIDE, workflow.name, os.getpid())
        time.sleep(600)


WORKFLOWS = {workflow.__name__: workflow for workflow in (Chain, Fork, Visit, Claim)}
