"""What is under way while everything dies. Whether a body dawdles or fails is drawn from the seed, the run and the attempt."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from django_timelines.state import run_key
from django_timelines.workflows import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    PermanentFailure,
    Retry,
    Workflow,
    any_of,
    schedule,
    step,
    subworkflow,
)

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
    Effect.objects.create(timeline=workflow.pk, step=run_key(*workflow._frame.name))
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


class Payment(Workflow):
    """A child whose failure its parent goes on from. It is given back where the order is cancelled."""

    @step(retry=QUICKLY)
    def request(self) -> None:
        row(self)

    @step(after=request, delivery=AT_LEAST_ONCE, retry=ONLY_OUTSIDE)
    def charge(self) -> None:
        line(self)
        if self.pk.bytes[-1] < 24:  # one in ten
            raise PermanentFailure("The card was declined.")
        fail(self, 0.05)

    @charge.undo
    def refund(self) -> None:
        line(self)


class Build(Workflow):
    """A child with items."""

    drinks: list[str]

    @step(retry=QUICKLY)
    def line_up(self, drinks: list[str]) -> None:
        self.drinks = drinks
        row(self)

    @step(after=line_up, each="drinks", delivery=AT_LEAST_ONCE, retry=ONLY_OUTSIDE)
    def make(self, drink: str) -> None:
        line(self)
        fail(self, 0.05)

    @step(after=make, each="drinks", retry=QUICKLY)
    def serve(self, drink: str) -> None:
        row(self)

    @serve.undo
    def pour_away(self, drink: str) -> None:
        row(self)


class Label(Workflow):
    """A child of which nothing is undone."""

    @step(retry=QUICKLY)
    def design(self) -> None:
        row(self)

    @step(after=design, retry=QUICKLY)
    def stick(self) -> None:
        row(self)


class Order(Workflow):
    """A parent: paid, made and labelled at the same time, and a person fetches it."""

    drinks: list[str]

    @step(retry=QUICKLY)
    def place(self, name: str) -> None:
        self.drinks = ["latte", "mocha", "latte"][: int(name[1:]) % 4]
        row(self)

    payment = subworkflow(Payment, after=place, retry=QUICKLY)
    build = subworkflow(Build, after=place, given=lambda order: {"drinks": order.drinks}, retry=QUICKLY)
    label = subworkflow(Label, after=place, retry=QUICKLY)

    @step(after=[payment, build, label], manual=True, retry=QUICKLY)
    def fetch(self) -> None:
        row(self)

    @step(after=payment.failed, retry=QUICKLY)
    def apologise(self) -> None:
        self.cancel(reason="not paid", compensate=True)
        row(self)


@schedule("* * * * *", tz="UTC", name="each", missed="all", overlap="allow")
@schedule("* * * * *", tz="UTC", name="one by one", missed="all", overlap="queue")
class Round(Workflow):
    """It begins by itself."""

    @step(retry=QUICKLY)
    def set_out(self) -> None:
        row(self)

    @step(after=set_out, retry=QUICKLY)
    def come_back(self) -> None:
        row(self)


EVERY = timedelta(seconds=4)
for _name, _declared in Round._declaration.schedules.items():  # a minute is too long for a run of a few
    Round._declaration.schedules[_name] = replace(_declared, cron=f"*/{EVERY.seconds} * * * * *")


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


EVERYTHING = (Chain, Fork, Visit, Claim, Order, Payment, Build, Label, Round)
WORKFLOWS = {workflow.__name__: workflow for workflow in EVERYTHING}
