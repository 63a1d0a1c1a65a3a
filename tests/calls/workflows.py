"""Workflows whose steps are for certain people, and one that asks for a value of each type."""

from __future__ import annotations

import datetime
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.db import models

from django_timelines.workflows import AT_LEAST_ONCE, Secret, Workflow, step


class Expense(Workflow):
    """Somebody hands in a bill, the team looks at it, the boss approves it, it is paid."""

    owner: str
    amount: int
    note: str = ""

    @step
    def hand_in(self, owner: str, amount: int):
        if amount > 1000:
            raise ValidationError({"amount": "That is too much."})
        self.owner, self.amount = owner, amount

    @step(after=hand_in, allowed=["group:team", lambda expense, user: user.get_username() == expense.owner])
    def look_at(self, note: str):
        """The team, or whoever handed it in."""
        if note == "rude":
            raise ValidationError("Be kind.")
        self.note = note

    @step(after=look_at, manual=True, allowed="auth.delete_user")
    def approve(self):
        """Who may dismiss somebody."""

    @step(after=approve, delivery=AT_LEAST_ONCE)
    def tell(self):
        send_mail("Paid?", self.confirm.link(), None, ["ada@example.org"])

    @step(after=tell, manual=True)
    def confirm(self):
        """Whoever has the link."""

    @step(after=confirm, manual=True, allowed=["user:grace", "link"])
    def file_away(self):
        """Grace, or whoever has the link."""


class Refund(Workflow):
    """Whose money it is says so, and the money is sent."""

    owner: User
    paid_to: str

    @step
    def claim(self, owner: User):
        self.owner = owner

    @step(after=claim, manual=True, allowed=lambda refund, user: user == refund.owner)
    def confirm(self):
        """Whose money it is."""

    @step(after=claim, manual=True, allowed=["group:team", lambda refund, user: user.get_username() == refund.paid_to])
    def receive(self):
        """The team, or to whom it was paid."""


class Notice(Workflow):
    """Its second step has an effect outside: what it says no to is an event."""

    @step
    def write(self, text: str):
        """Somebody writes."""

    @step(after=write, delivery=AT_LEAST_ONCE)
    def post(self, to: str):
        if to == "nobody":
            raise ValidationError("Nobody does not read.")


class Courier(Workflow):
    """Its second step awaits another timeline."""

    sent: str = ""

    @step
    def begin(self):
        """Somebody sends for it."""

    @step(after=begin, delivery=AT_LEAST_ONCE)
    async def send(self):
        notice = await Notice.using(key=self.idempotency_key).astart(text="Fetch it.")
        await notice.post.acall(to="Ada")
        self.sent = str(notice.pk)


class Guarded(Workflow):
    """Not everybody begins it."""

    @step(allowed="group:team")
    def begin(self, name: str):
        """The team only."""


class Colour(models.TextChoices):
    """Django's own kind of enumeration."""

    RED = "r", "Bright red"
    BLUE = "b", "Deep blue"


class Size(enum.Enum):
    """Python's kind."""

    SMALL = 1
    VERY_LARGE = 2


type_plain = dict[str, Any]


class Everything(Workflow):
    """Asks for a value of each type that has a form field."""

    given: dict[str, str] = {}  # noqa: RUF012 (a default, copied into each timeline)

    @step
    def ask(
        self,
        text: Annotated[str, pydantic.Field(min_length=2, max_length=5, title="Short text", description="2 to 5.")],
        number: Annotated[int, pydantic.Field(gt=0, le=9)],
        price: Annotated[Decimal, pydantic.Field(ge=0, max_digits=5, decimal_places=2)],
        ratio: float,
        agreed: bool,
        day: datetime.date,
        moment: datetime.datetime,
        clock: datetime.time,
        length: datetime.timedelta,
        amount: Literal[5, 10],
        colour: Colour,
        size: Size,
        site: pydantic.HttpUrl,
        id: uuid.UUID,
        who: User,
        code: Secret[str],
        colours: list[Colour],
        parts: dict[str, int],
        maybe: int | None,
        note: str = "none",
        limit: int = 3,
    ):
        self.given = {name: repr(value) for name, value in locals().items() if name != "self"}


class Moving(Workflow, unique="address"):
    """One at a time to an address."""

    address: str

    @step
    def begin(self, address: str) -> None:
        self.address = address

    @step(after=begin, manual=True)
    def arrive(self) -> None:
        """The boxes are there."""


class Booth(Workflow, unique="number"):
    """Somebody comes and takes a booth."""

    number: int

    @step
    def come(self, who: str) -> None:
        """Somebody comes."""

    @step(after=come)
    def take(self, number: int) -> None:
        self.number = number

    @step(after=take, manual=True)
    def leave(self) -> None:
        """They leave it."""


class Vote(Workflow):
    """Everybody of a list votes."""

    guests: list[str]
    votes: int = 0

    @step
    def ask(self, guests: list[str]) -> None:
        self.guests = guests

    @step(after=ask, each="guests")
    def vote(self, guest: str, votes: int) -> None:
        self.votes += votes
