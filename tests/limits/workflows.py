"""Workflows of which there may be only so many. As in the shop, ``plan`` decides what a body does."""

from django.core.exceptions import ValidationError

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Limit, Retry, Workflow, step, subworkflow
from tests.shop.models import Entry
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


class Locker(Workflow, unique=lambda locker: locker.tag.text):
    """Of a row that may be deleted."""

    tag: Entry

    @step
    def rent(self, tag: Entry) -> None:
        self.tag = tag

    @step(after=rent, manual=True)
    def empty(self) -> None: ...


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


class Import(Workflow):
    """Two files at a time, and one for an owner."""

    owner: str
    path: str

    @step
    def upload(self, owner: str, path: str = "") -> None:
        self.owner, self.path = owner, path
        body(self, "upload")

    @step(after=upload, limit=2)
    def load(self) -> None:
        body(self, "load")

    @load.undo
    def unload(self) -> None:
        body(self, "unload")

    @step(after=load, delivery=AT_LEAST_ONCE, limit=Limit(1, per="owner"), retry=Retry(3, jitter=False))
    def tell(self) -> None:
        body(self, "tell")


class Caller(Workflow):
    """A person calls it, and only one is executed at once."""

    said: str = ""

    @step(limit=1)
    def say(self, word: str) -> None:
        if word == "rude":
            raise ValidationError("That was rude.")
        self.said = word
        body(self, "say")

    @step(after=say, limit=Limit(1, per=lambda caller: caller.said or None))
    def repeat(self, word: str) -> None:
        body(self, "repeat")

    @step(after=repeat, limit=1)
    def echo(self) -> None:
        body(self, "echo")


class Plant(Workflow, limit=Limit(1, per="place")):
    """One step at a time of all plants of a place."""

    place: str

    @step
    def sow(self, place: str) -> None:
        self.place = place
        body(self, "sow")

    @step(after=sow)
    def water(self) -> None:
        body(self, "water")

    @step(after=sow, delivery=AT_MOST_ONCE)
    def weed(self) -> None:
        body(self, "weed")

    @step(after=[water, weed], limit=5)
    def harvest(self) -> None:
        body(self, "harvest")


class Desk(Workflow, limit=Limit(1, per="owner")):
    """Two limits that cross: one thing at a time for an owner, and one posting at a time for an account, whoever owns it."""

    owner: str
    account: str

    @step
    def open(self, owner: str, account: str) -> None:
        self.owner, self.account = owner, account

    @step(after=open, limit=Limit(1, per="account"))
    def post(self) -> None:
        body(self, "post")

    @step(after=open)
    def tidy(self) -> None:
        body(self, "tidy")
