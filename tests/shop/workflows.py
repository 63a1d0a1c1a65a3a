"""Workflows that the tests put through their paces. Bodies ask ``plan`` what to do, so that a test decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.core.exceptions import ValidationError
from pydantic import BaseModel

from django_timelines.workflows import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    Event,
    Retry,
    Secret,
    Workflow,
    any_of,
    step,
    subworkflow,
)

from .models import Entry

ran: Counter[str] = Counter()
plan: dict[str, Callable[[Any], None]] = {}


def body(workflow: Any, name: str) -> None:
    """Count the run, leave a row, and do what the test planned for this step."""
    ran[name] += 1
    Entry.objects.create(text=name)
    if name in plan:
        plan[name](workflow)


class Paid(Event):
    """The money came."""

    amount: int


class Order(Workflow):
    """A parcel's way: placed, packed, paid, sent."""

    customer: str
    amount: int = 0
    notes: list[str] = []  # noqa: RUF012 (a default, copied into each timeline)

    @step
    def place(self, customer: str, amount: int = 1) -> None:
        """The customer orders."""
        if customer == "nobody":
            raise ValidationError("We do not deliver to nobody.")
        self.customer, self.amount = customer, amount
        body(self, "place")

    @step(after=place, retry=Retry(jitter=False))
    def pack(self) -> None:
        body(self, "pack")

    @step(after=pack, delivery=AT_LEAST_ONCE, retry=Retry(3, wait=timedelta(seconds=10), jitter=False, on=OSError))
    def announce(self) -> None:
        body(self, "announce")

    @step(after=announce)
    def pay(self, amount: int) -> None:
        """The customer pays."""
        if amount < 0:
            raise ValidationError("An amount is at least nought.")
        body(self, "pay")
        self.notes.append(f"paid {amount}")

    @step(after=pay, delivery=AT_MOST_ONCE)
    def send(self) -> None:
        body(self, "send")


class Fork(Workflow):
    """Branches, joins and outcomes."""

    left_value: int = 0
    right_value: int = 0
    shared: int = 0

    @step
    def begin(self) -> None:
        body(self, "begin")

    @step(after=begin, retry=Retry(1))
    def left(self) -> None:
        body(self, "left")

    @step(after=begin)
    def right(self) -> None:
        body(self, "right")

    @step(after=left.failed)
    def sorry(self) -> None:
        body(self, "sorry")

    @step(after=[left, right])
    def join(self) -> None:
        body(self, "join")

    @step(after=any_of(join, sorry))
    def finish(self) -> None:
        body(self, "finish")


class Vault(Workflow):
    """A secret input, retried."""

    opened: bool = False

    @step(retry=Retry(2, wait=timedelta(seconds=10), jitter=False))
    def unlock(self, owner: str, code: Secret[str]) -> None:
        """Somebody types the code."""
        seen.append(code)
        body(self, "unlock")
        self.opened = True

    @step(after=unlock)
    def close(self) -> None:
        body(self, "close")


seen: list[str] = []


class Visit(Workflow):
    """A guest is expected for a while."""

    @step
    def invite(self, guest: str) -> None:
        body(self, "invite")

    @step(after=invite, manual=True, within=timedelta(days=3), early="keep")
    def arrive(self) -> None:
        body(self, "arrive")

    @step(after=arrive.overdue)
    def forget(self) -> None:
        body(self, "forget")

    @step(after=arrive, when=lambda visit: ran["open"] > 0)
    def welcome(self) -> None:
        body(self, "welcome")


class Letter(Workflow):
    """An outside effect that somebody calls."""

    @step(delivery=AT_LEAST_ONCE)
    def post(self, to: str) -> None:
        body(self, "post")


class Complaint(Workflow):
    """Its fields have the names of what skip and amend take."""

    reason: str = ""
    actor: str = ""
    fields: int = 0

    @step
    def receive(self) -> None:
        body(self, "receive")

    @step(after=receive, manual=True)
    def settle(self) -> None:
        body(self, "settle")


class Trip(Workflow):
    """Bookings, of which some can be given back."""

    guest: str
    flight: str
    hotel: str
    nights: int = 1
    menu: str = ""

    @step
    def plan_it(self, guest: str) -> None:
        self.guest = guest
        body(self, "plan_it")

    @step(after=plan_it, delivery=AT_LEAST_ONCE, retry=Retry(2, wait=timedelta(seconds=10), jitter=False))
    def book_flight(self) -> None:
        body(self, "book_flight")
        self.flight = f"flight {ran['book_flight']}"

    @book_flight.undo
    def give_back_flight(self) -> None:
        given_back.append((self.flight, self.idempotency_key.partition("-")[2]))
        body(self, "give_back_flight")

    @step(after=book_flight)
    def book_hotel(self) -> None:
        body(self, "book_hotel")
        self.hotel = f"hotel {ran['book_hotel']}, {self.nights} nights"

    @book_hotel.undo
    def give_back_hotel(self) -> None:
        given_back.append((self.hotel, self.idempotency_key.partition("-")[2]))
        body(self, "give_back_hotel")

    @step(after=plan_it)
    def choose(self, menu: str) -> None:
        """Goes on beside the bookings."""
        self.menu = menu

    @step(after=[book_hotel, choose])
    def travel(self) -> None:
        body(self, "travel")

    @step(after=travel, manual=True)
    def come_home(self) -> None:
        """The guest is back."""


given_back: list[tuple[str, str]] = []


class Bar(Workflow):
    """Drinks, each made as soon as somebody is free."""

    drinks: list[str]
    drink: str = ""

    @step
    def line_up(self, drinks: list[str]) -> None:
        self.drinks = drinks

    @step(after=line_up, each="drinks", delivery=AT_LEAST_ONCE)
    def make(self, drink: str) -> None:
        Entry.objects.create(text=f"made {with_item(self, drink, 'make')}")

    @make.undo
    def pour_away(self, drink: str) -> None:
        Entry.objects.create(text=f"poured away {drink}")

    @step(after=make)
    def serve(self) -> None:
        body(self, "serve")


class Tray(Workflow):
    """Cups, two at once."""

    cups: list[str]

    @step
    def fill(self, cups: list[str]) -> None:
        self.cups = cups

    @step(after=fill, each="cups", at_once=2)
    def deliver(self, cup: str) -> None:
        with_item(self, cup, "deliver")


class Panel(Workflow):
    """Asks three at once until four have answered."""

    members: list[str]

    @step
    def gather(self, members: list[str]) -> None:
        self.members = members

    @step(after=gather, each="members", at_once=3, at_least=4)
    def ask(self, member: str) -> None:
        with_item(self, member, "ask")


class Desk(Workflow):
    """Guests, one after the other; what is to be said to one may be known before."""

    guests: list[str]
    said: list[str]

    @step
    def open(self, guests: list[str]) -> None:
        self.guests, self.said = guests, []

    @step(after=open, each="guests", at_once=1, early="keep")
    def greet(self, guest: str, words: str) -> None:
        if "greet" in plan:
            plan.pop("greet")(self)
        self.said.append(f"{words}, {guest}")


class Member(BaseModel):
    """Somebody who may vote."""

    name: str
    seat: int


class Jury(Workflow):
    """A quorum: two votes are enough."""

    members: list[Member]
    points: int = 0

    @step
    def convene(self, members: list[Member] | None) -> None:
        if members is not None:
            self.members = members

    @step(after=convene, each="members", by="name", at_least=2, retry=Retry(1))
    def vote(self, member: Member, points: int) -> None:
        with_item(self, member.name, "vote")
        self.points += points

    @step(after=vote)
    def announce(self) -> None:
        body(self, "announce")

    @step(after=vote.failed)
    def adjourn(self) -> None:
        body(self, "adjourn")


def with_item(workflow: Any, item: str, name: str) -> str:
    """Do what the test planned for this step, which sees the item as ``drink``."""
    ran[name] += 1
    if name in plan:
        plan[name](SimpleNamespace(drink=item))
    return item


class Bill(Workflow):
    """What a supper costs, paid by whoever ate it."""

    amount: int
    receipt: str

    @step
    def ask(self, amount: int) -> None:
        if amount < 0:
            raise ValidationError("An amount is at least nought.")
        self.amount = amount

    @step(after=ask, delivery=AT_LEAST_ONCE, retry=Retry(1))
    def charge(self) -> None:
        body(self, "charge")
        self.receipt = f"receipt {ran['charge']}"

    @charge.undo
    def refund(self) -> None:
        body(self, "refund")

    @step(after=ask)
    def tip(self, amount: int) -> None:
        body(self, "tip")


class Dish(Workflow):
    """One dish, cooked; but for bread, of which nothing is undone."""

    name: str

    @step
    def order(self, name: str) -> None:
        self.name = name

    @step(after=order, when=lambda dish: dish.name != "bread")
    def cook(self) -> None:
        with_item(self, self.name, "cook")

    @cook.undo
    def throw_away(self) -> None:
        Entry.objects.create(text=f"threw away {self.name}")


class Supper(Workflow):
    """Paid and cooked at the same time; a bill that nobody can pay ends it."""

    guest: str
    price: int = 5
    dishes: list[str] = []  # noqa: RUF012 (a default, copied into each timeline)
    receipt: str = ""

    @step
    def sit_down(self, guest: str, dishes: list[str], price: int = 5) -> None:
        self.guest, self.dishes, self.price = guest, dishes, price

    bill = subworkflow(
        Bill, after=sit_down, given=lambda supper: bill_of(supper), retry=Retry(1), results={"receipt": "receipt"}
    )
    cooking = subworkflow(Dish, after=sit_down, each="dishes", given=lambda supper, dish: {"name": dish})

    @step(after=[bill, cooking], manual=True)
    def thank(self) -> None:
        body(self, "thank")

    @step(after=bill.failed)
    def apologise(self) -> None:
        self.cancel(reason="not paid", compensate=True)


def bill_of(supper: Any) -> Any:
    """Return what the bill begins with, as the test planned it."""
    return plan["bill_of"](supper) if "bill_of" in plan else {"amount": supper.price}


class Banquet(Workflow):
    """A supper for many: a child that has children."""

    @step
    def invite(self, guest: str) -> None: ...

    supper = subworkflow(Supper, after=invite, given=lambda banquet: {"guest": "all", "dishes": ["cake"]})


class Draft(Workflow):
    """A text that a reader sends back until it is good."""

    text: str
    verdict: str = ""

    @step
    def write(self, text: str) -> None:
        self.text = text

    @step(after=write)
    def review(self, verdict: str) -> None:
        self.verdict = verdict
        body(self, "review")

    @review.undo
    def take_back(self) -> None:
        Entry.objects.create(text=f"took back {self.verdict} {self.idempotency_key.partition('@')[2]}")

    @step(after=review, when=lambda draft: draft.verdict != "good", again=review)
    def send_back(self) -> None:
        self.text += "!"
        body(self, "send_back")

    @step(after=review, when=lambda draft: draft.verdict == "good")
    def publish(self) -> None:
        body(self, "publish")

    @step(after=publish, manual=True)
    def archive(self) -> None:
        """Somebody puts it away."""


class Paper(Workflow):
    """A paper that an editor sends back, while what the last round has begun goes on: printing, a reader, a picture."""

    text: str
    verdict: str = ""
    printed: int = 0

    @step
    def write(self, text: str) -> None:
        self.text = text

    @step(after=write)
    def review(self, verdict: str) -> None:
        self.verdict = verdict

    @step(after=review, delivery=AT_LEAST_ONCE, retry=Retry(2, wait=timedelta(seconds=10), jitter=False))
    def proof(self) -> None:
        printed = self.printed
        body(self, "proof")
        Entry.objects.create(text=f"key {self.idempotency_key.partition('-')[2]}")
        self.printed = printed + 1

    @proof.undo
    def shred(self) -> None:
        Entry.objects.create(text=f"key {self.idempotency_key.partition('-')[2]}")

    @step(after=review)
    def count(self) -> None:
        body(self, "count")

    @step(after=review, delivery=AT_LEAST_ONCE)
    def measure(self, pages: int) -> None:
        if "before measure" in plan:
            plan["before measure"](self)
        if pages < 0:
            raise ValidationError("No paper has fewer pages than none.")
        body(self, "measure")

    @step(after=review, when=lambda paper: paper.verdict != "good", again=review)
    def send_back(self) -> None:
        body(self, "send_back")

    @step(after=[proof, count, measure], when=lambda paper: paper.verdict == "good")
    def publish(self) -> None:
        body(self, "publish")


class Issue(Workflow):
    """A magazine that is set page by page and paid for, and begun anew by whoever finds a mistake in it."""

    pages: list[str]
    receipt: str = ""

    @step
    def plan_it(self, pages: list[str]) -> None:
        self.pages = pages

    @step(after=plan_it)
    def read(self) -> None:
        body(self, "read")

    @step(after=read, each="pages", delivery=AT_LEAST_ONCE, at_once=2)
    def lay_out(self, page: str) -> None:
        Entry.objects.create(text=f"laid out {page} with {self.idempotency_key.partition('-')[2]}")

    bill = subworkflow(Bill, after=read, given=lambda issue: {"amount": 5}, results={"receipt": "receipt"})

    @step(after=read, manual=True, again=read)
    def find_a_mistake(self) -> None:
        """Somebody does."""

    @step(after=[lay_out, bill])
    def print_it(self) -> None:
        body(self, "print_it")


class Poll(Workflow):
    """Everybody is asked, and answers when they like."""

    people: list[str]

    @step
    def gather(self, people: list[str]) -> None:
        self.people = people

    @step(after=gather, each="people")
    def answer(self, person: str, words: str) -> None:
        with_item(self, person, "answer")
