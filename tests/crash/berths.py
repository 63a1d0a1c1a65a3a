"""A workflow with limits, and its scenarios: of each ship one at a time, one attempt at a step, two of all steps together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from django_timelines import moments
from django_timelines.engine import clock
from django_timelines.exceptions import NotUnique
from django_timelines.models import Timeline
from django_timelines.state import ENDED
from django_timelines.workflows import AT_LEAST_ONCE, Limit, Workflow, step
from tests.shop.models import Entry

from . import outside, worker
from .scenario import KEY, Scenario, type_act
from .troubles import at_first, left_by_a_dead_runner, told_to_end_at_first
from .workflows import SOON, body, effect
from .world import USING


class Berth(Workflow, unique="ship", limit=Limit(2, per=lambda berth: "the harbour")):
    """A ship's time in the harbour."""

    ship: str
    weight: int = 0

    @step
    def moor(self, ship: str) -> None:
        Entry.objects.create(text=f"moor {self.pk.hex}")
        body("moor")
        self.ship = ship

    @step(after=moor, limit=1, retry=SOON)
    def unload(self) -> None:
        Entry.objects.create(text=f"unload {self.pk.hex}")
        body("unload")

    @step(after=unload, delivery=AT_LEAST_ONCE, limit=Limit(1, per="ship"), retry=SOON)
    def weigh(self) -> None:
        effect(self, "weigh")
        self.weight = 7

    @step(after=weigh, manual=True)
    def leave(self) -> None:
        Entry.objects.create(text=f"leave {self.pk.hex}")
        body("leave")


def arrive(ship: str, key: str = KEY) -> type_act:
    def start() -> None:
        Berth.using(key=key).start(ship=ship)

    return start


def arrive_again() -> None:
    """Come under the name of one that is there: refused here, and elsewhere written down as rejected."""
    with suppress(NotUnique):
        Berth.using(key="second").start(ship="Ada")


def leave() -> None:
    if Berth.get(key=KEY).timeline.status not in ENDED:
        Berth.get(key=KEY).leave()


def rename() -> None:
    if Berth.get(key=KEY).ship != "Cleo":
        Berth.get(key=KEY).timeline.amend(reason="mistyped", ship="Cleo")


def after_the_lease() -> None:
    """Let a lease run out for certain: how often the clock looks until then is chance."""
    moments.offset += timedelta(minutes=2)
    clock.tick(USING)
    worker.settle()


_settle = worker.settle
_ada, _bea = arrive("Ada"), arrive("Bea", "other")

SCENARIOS = {
    "start of what is limited": Scenario(_ada, after=(_settle, leave, _settle)),
    "start of what is not unique": Scenario(
        arrive_again, (_ada, _settle), (_settle, leave, _settle), placed=("here", "mixed")
    ),
    "work on what is not unique": Scenario(_settle, (_ada, _settle, arrive_again), (leave, _settle), placed=("away",)),
    "end of what is unique": Scenario(leave, (_ada, _settle), (_bea, _settle), placed=("away", "here")),
    "amend what is unique": Scenario(rename, (_ada, _settle), (leave, _settle), placed=("away",)),
    "work under a limit": Scenario(_settle, (_ada, _bea), (leave, _settle), placed=("away", "rq")),
    "fail under a limit": Scenario(
        _settle, (_ada, _bea), (leave, _settle), {name: at_first(name) for name in ("unload", "weigh")}, ("away",)
    ),
    "rescue under a limit": Scenario(
        after_the_lease, (_ada, left_by_a_dead_runner("unload"), _bea), (leave, _settle), placed=("away",)
    ),
    "stop under a limit": Scenario(
        _settle, (_ada, _bea), (leave, _settle), {"weigh": told_to_end_at_first("weigh")}, placed=("away",)
    ),
}


def holds(_scenario: Scenario) -> Iterator[str]:
    """Say where rows and effects are not what the events say."""
    for one in Timeline.objects.all():
        completed = Counter(one.events.filter(type="StepCompleted").values_list("step", flat=True))
        rows = Counter(text.split()[0] for text in Entry.objects.values_list("text", flat=True) if one.pk.hex in text)
        if rows != Counter({name: times for name, times in completed.items() if name != "weigh"}):
            yield f"Completed are {dict(completed)}; that left the rows {dict(rows)}."
        keys = {key for name, key in outside.noted("effect") if name == "weigh" and one.pk.hex in key}
        if len(keys) > 1 or len(keys) < completed["weigh"]:
            yield f"It was weighed {completed['weigh']} times with the effects {keys}."
