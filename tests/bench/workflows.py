"""The workflows that are measured. Where they run is in the settings, as everywhere."""

from datetime import timedelta
from typing import Any

from django_timelines.workflows import AT_LEAST_ONCE, Event, Workflow, step, subworkflow

from .models import Note


def anybody(*args: Any, **kwargs: Any) -> bool:
    """Let everybody see every timeline."""
    return True


class Plain(Workflow):
    """Five exactly-once steps that do nothing."""

    @step
    def one(self, name: str): ...

    @step(after=one)
    def two(self): ...

    @step(after=two)
    def three(self): ...

    @step(after=three)
    def four(self): ...

    @step(after=four)
    def five(self): ...


class Ten(Plain):
    """Ten of them."""

    @step(after=Plain.five)
    def six(self): ...

    @step(after=six)
    def seven(self): ...

    @step(after=seven)
    def eight(self): ...

    @step(after=eight)
    def nine(self): ...

    @step(after=nine)
    def ten(self): ...


class Writing(Workflow):
    """Five exactly-once steps that write a row each."""

    @step
    def one(self, name: str):
        Note.objects.create(text=name)

    @step(after=one)
    def two(self):
        Note.objects.create(text="two")

    @step(after=two)
    def three(self):
        Note.objects.create(text="three")

    @step(after=three)
    def four(self):
        Note.objects.create(text="four")

    @step(after=four)
    def five(self):
        Note.objects.create(text="five")


class Outside(Workflow):
    """Five at-least-once steps: their bodies run in no transaction of ours."""

    @step(delivery=AT_LEAST_ONCE)
    def one(self, name: str): ...

    @step(after=one, delivery=AT_LEAST_ONCE)
    def two(self): ...

    @step(after=two, delivery=AT_LEAST_ONCE)
    def three(self): ...

    @step(after=three, delivery=AT_LEAST_ONCE)
    def four(self): ...

    @step(after=four, delivery=AT_LEAST_ONCE)
    def five(self): ...


class Called(Workflow):
    """Five steps that somebody calls, one after the other."""

    @step
    def one(self, name: str): ...

    @step(after=one)
    def two(self, name: str): ...

    @step(after=two)
    def three(self, name: str): ...

    @step(after=three)
    def four(self, name: str): ...

    @step(after=four)
    def five(self, name: str): ...


class Queued(Workflow):
    """Five steps that run by themselves, in the background."""

    @step
    def one(self): ...

    @step(after=one)
    def two(self): ...

    @step(after=two)
    def three(self): ...

    @step(after=three)
    def four(self): ...

    @step(after=four)
    def five(self):
        finishing.add(self.pk)


finishing: set[Any] = set()
"""The timelines whose last body has run in this process: the next commit is their last."""


class Waiting(Workflow):
    """Waits for a person and for a worker at the same time."""

    @step
    def ask(self, name: str): ...

    @step(after=ask, manual=True, within=timedelta(days=30))
    def answer(self): ...

    @step(after=ask)
    def check(self): ...


class Noted(Event):
    """A fact of a long timeline."""

    number: int


class Long(Workflow):
    """As many events as its entry step is told to record."""

    title: str

    @step
    def one(self, events: int):
        self.title = "long"
        for number in range(events):
            self.record(Noted(number=number))


class Fan(Workflow):
    """An item for each number, all at once."""

    items: list[int]

    @step
    def begin(self, items: list[int]):
        self.items = items

    @step(after=begin, each="items")
    def work(self, item: int): ...


class Queue(Workflow):
    """An item for each number, ten at once."""

    items: list[int]

    @step
    def begin(self, items: list[int]):
        self.items = items

    @step(after=begin, each="items", at_once=10)
    def work(self, item: int): ...


class Child(Workflow):
    """One step, in a timeline of its own."""

    @step
    def work(self, number: int): ...


class Family(Workflow):
    """A child for each number."""

    items: list[int]

    @step
    def begin(self, items: list[int]):
        self.items = items

    children = subworkflow(Child, each="items", after=begin, given=lambda family, item: {"number": item})
