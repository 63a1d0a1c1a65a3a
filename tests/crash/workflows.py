"""The workflow that is crashed. It has one step of each kind, and says in the outside file what each body did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Event, Retry, Secret, Workflow, step
from tests.shop.models import Entry

from . import outside, points

CODE = "1234"
CUSTOMER = "Ada"
ONCE_AT_MOST = "charge"
HOUR = timedelta(hours=1)
SOON = Retry(4, wait=timedelta(seconds=10), jitter=False)
ROWS = {
    "book": ["booking"],
    "reserve": ["cabin", "table"],
    "pack": ["trunk"],
    "confirm": ["ticket"],
    "forget": ["letter"],
    "sail": ["log"],
    "free": ["refund"],
}
"""The rows that each exactly-once step writes."""

trouble: dict[str, Callable[[], None]] = {}
"""What befalls the body of a step, as the scenario has it."""


class Sailed(Event):
    """The ship left."""

    cabins: list[str]


def body(name: str) -> None:
    """Leave the rows of an exactly-once step."""
    outside.note("tried", name)
    points.reach(f"in the body of {name}")
    for text in ROWS.get(name, []):
        Entry.objects.create(text=text)
    if name in trouble:
        trouble[name]()


def effect(workflow: Any, name: str) -> None:
    """Do something outside that no rollback takes back."""
    body(name)
    outside.note("effect", name, workflow.idempotency_key)
    points.reach(f"after the effect of {name}")


class Voyage(Workflow):
    """From the booking to the open sea."""

    customer: str
    cabins: list[str] = []  # noqa: RUF012 (a default, copied into each timeline)
    charged: int = 0

    @step
    def book(self, customer: str, code: Secret[str]) -> None:
        """The customer books."""
        if code != CODE:
            raise AssertionError("The code did not survive.")
        if customer == "nobody":
            raise ValidationError("Nobody cannot travel.")
        body("book")
        self.customer = customer

    @step(after=book, retry=SOON, timeout=HOUR)
    def reserve(self) -> None:
        body("reserve")
        self.cabins.append("7")

    @reserve.undo
    def free(self) -> None:
        body("free")

    @step(after=reserve, delivery=AT_LEAST_ONCE, retry=SOON, timeout=HOUR)
    def announce(self) -> None:
        effect(self, "announce")

    @announce.undo
    def renounce(self) -> None:
        effect(self, "renounce")

    @step(after=reserve, delivery=AT_MOST_ONCE)
    def charge(self) -> None:
        effect(self, "charge")
        self.charged = 40

    @step(after=[announce, charge])
    def pack(self) -> None:
        body("pack")

    @step(after=pack, manual=True, within=timedelta(days=3), early="keep")
    def confirm(self) -> None:
        """The customer is sure."""
        body("confirm")

    @step(after=confirm.overdue)
    def forget(self) -> None:
        body("forget")

    @step(after=confirm)
    def sail(self) -> None:
        body("sail")
        self.record(Sailed(cabins=self.cabins))
