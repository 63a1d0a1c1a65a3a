"""Workflows that are treated badly. As in the shop, ``plan`` decides what a body does and ``ran`` counts its runs."""

from datetime import timedelta
from typing import Any

from django.db import transaction

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Event, Retry, Secret, Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import plan, ran


def body(workflow: Any, name: str) -> None:
    ran[name] += 1
    if name in plan:
        plan[name](workflow)


def after_commit(hook: Any) -> Any:
    """Return a body that gives this hook to Django."""
    return lambda workflow: transaction.on_commit(hook, using=HERE)


class Mail(Workflow):
    """Its bodies leave hooks behind."""

    text: str = ""

    @step
    def write(self, text: str) -> None:
        Entry.objects.create(text=text)
        self.text = text
        body(self, "write")

    @step(after=write)
    def stamp(self) -> None:
        body(self, "stamp")

    @step(after=stamp, delivery=AT_MOST_ONCE)
    def post(self) -> None:
        body(self, "post")


class Essay(Workflow):
    """Due within a day; the author may be late."""

    @step
    def ask(self) -> None:
        body(self, "ask")

    @step(after=ask, within=timedelta(days=1))
    def hand_in(self, text: str) -> None:
        body(self, "hand_in")


class Errand(Workflow):
    """Forgotten when it takes too long."""

    @step
    def ask(self) -> None:
        body(self, "ask")

    @step(after=ask, within=timedelta(seconds=20), retry=Retry(1))
    def run(self) -> None:
        body(self, "run")

    @step(after=run.overdue)
    def forget(self) -> None:
        body(self, "forget")


class Door(Workflow):
    """Its code may be told before somebody knocks."""

    @step
    def build(self) -> None:
        body(self, "build")

    @step(after=build)
    def knock(self, times: int) -> None:
        body(self, "knock")

    @step(after=knock, early="keep")
    def unlock(self, code: Secret[str]) -> None:
        body(self, "unlock")

    @step(after=unlock, delivery=AT_LEAST_ONCE)
    def enter(self) -> None:
        body(self, "enter")


class Box(Workflow):
    """Takes whatever fits in JSON."""

    @step
    def fill(self, content: Any) -> None:
        body(self, "fill")


class Fact(Event):
    """A domain's own words."""

    text: str


class Diary(Workflow):
    """Records facts; begins by itself."""

    @step
    def write(self) -> None:
        body(self, "write")


class Whisper(Workflow):
    """Said at least once."""

    @step(delivery=AT_LEAST_ONCE)
    def whisper(self, text: str) -> None:
        body(self, "whisper")


class Slow(Workflow):
    """Bodies with a timeout, inside of the transaction and outside of it."""

    notes: list[Any] = []  # noqa: RUF012 (a default, copied into each timeline)

    @step
    def begin(self, name: str = "") -> None:
        """Nothing."""

    @step(after=begin, timeout=timedelta(milliseconds=500), retry=Retry(2, wait=timedelta(days=1), jitter=False))
    def inside(self) -> None:
        body(self, "inside")

    @step(
        after=begin,
        timeout=timedelta(milliseconds=500),
        retry=Retry(2, wait=timedelta(days=1), jitter=False),
        delivery=AT_LEAST_ONCE,
    )
    def outside(self) -> None:
        body(self, "outside")

    @step(after=outside)
    def after_outside(self) -> None:
        body(self, "after_outside")

    @step(after=begin, timeout=timedelta(milliseconds=500), retry=Retry(1), delivery=AT_LEAST_ONCE)
    async def later(self) -> None:
        ran["later"] += 1
        if "later" in plan:
            await plan["later"](self)

    @step(after=begin)
    def inside_long(self) -> None:
        body(self, "inside_long")

    @step(after=begin, delivery=AT_LEAST_ONCE)
    def outside_long(self) -> None:
        body(self, "outside_long")
