"""Workflows for the admin to look at. What a body does is decided by its timeline's own input."""

from __future__ import annotations

from datetime import date, timedelta

from django.contrib.auth.models import User

from django_timelines.workflows import AT_LEAST_ONCE, Event, PermanentFailure, Retry, Workflow, step


class Weighed(Event):
    """The parcel was put on the scales."""

    grams: int


class Parcel(Workflow):
    """A parcel is packed, weighed and handed over."""

    name: str
    customer: User
    promised: date
    label: str
    weight: int = 0

    trouble: str = ""
    """What goes wrong with the weighing: nothing, a failure, or one that is tried again."""

    @step
    def pack(self, name: str, trouble: str = "") -> None:
        """Somebody packs it."""
        self.name, self.trouble = name, trouble
        self.promised = date(2027, 1, 31)

    @step(after=pack, retry=Retry(2, wait=timedelta(hours=1), jitter=False, on=OSError))
    def weigh(self) -> None:
        """The scales say what it weighs."""
        if self.trouble.startswith("again"):
            raise OSError(self.trouble)
        if self.trouble:
            raise PermanentFailure(self.trouble)
        self.weight = 500
        self.record(Weighed(grams=500))

    @step(after=weigh)
    def stick(self) -> None:
        """A label is printed and stuck on."""
        self.label = f"{self.name}, {self.weight} g"

    @step(after=stick, manual=True, within=timedelta(days=3))
    def hand_over(self) -> None:
        """A courier takes it."""

    @step(after=hand_over, delivery=AT_LEAST_ONCE)
    def thank(self) -> None:
        """The sender is thanked."""


class Gift(Workflow):
    """Something for somebody, who must sign for it."""

    receiver: User
    card: str

    @step
    def choose(self, receiver: User, card: str = "") -> None:
        """A giver chooses."""
        self.receiver, self.card = receiver, card

    @step(after=choose)
    def sign(self, word: str) -> None:
        """The receiver signs."""
        if word != "please":
            raise PermanentFailure("They did not say please.")


class Forgotten(Workflow):
    """A class that the tests take out of the code."""

    note: str

    @step
    def begin(self, note: str) -> None:
        self.note = note

    @step(after=begin, manual=True)
    def finish(self) -> None:
        """Somebody finishes it."""
