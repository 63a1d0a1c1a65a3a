"""Workflows of which there may be only so many. As in the shop, ``plan`` decides what a body does."""

from django_timelines.workflows import AT_LEAST_ONCE, Workflow, step, subworkflow
from tests.shop.workflows import body


class Signup(Workflow, unique="email"):
    """A visitor, one at a time for an address."""

    email: str
    nickname: str | None = None

    @step
    def register(self, email: str) -> None:
        self.email = email
        body(self, "register")

    @step(after=register)
    def confirm(self, email: str = "") -> None:
        self.email = email or self.email
        body(self, "confirm")


class Rename(Workflow, unique="name"):
    """What sets the value runs by itself, and somebody's answer sets it anew."""

    wanted: str
    name: str

    @step
    def ask(self, wanted: str) -> None:
        self.wanted = wanted

    @step(after=ask)
    def take(self) -> None:
        body(self, "take")
        self.name = self.wanted

    @step(after=take, delivery=AT_LEAST_ONCE)
    def change(self, name: str) -> None:
        body(self, "change")
        self.name = name

    @step(after=change, manual=True)
    def close(self) -> None:
        """It is given up."""


class Seat(Workflow, unique=["row", "number"]):
    """Two fields together."""

    row: str
    number: int

    @step
    def reserve(self, row: str, number: int) -> None:
        self.row, self.number = row, number

    @step(after=reserve, manual=True)
    def sit(self) -> None:
        """The guest comes."""


class Nightly(Workflow, unique=lambda nightly: "the only one"):
    """One at a time, whatever it is about."""

    @step
    def count(self) -> None:
        body(self, "count")


class Badge(Workflow, unique=lambda badge: badge.code.lower()):
    """What a function makes of a field."""

    code: str

    @step
    def print(self, code: str) -> None:
        self.code = code

    @step(after=print, manual=True)
    def hand_over(self) -> None:
        """The guest comes."""


class Household(Workflow, unique="address"):
    """Its child gives it the value."""

    address: str

    @step
    def open(self, email: str) -> None:
        body(self, "open")
        plan_of[self.pk] = email

    signup = subworkflow(Signup, after=open, given=lambda one: {"email": plan_of[one.pk]}, results={"address": "email"})

    @step(after=signup, manual=True)
    def close(self) -> None:
        """They leave."""


plan_of: dict[object, str] = {}
