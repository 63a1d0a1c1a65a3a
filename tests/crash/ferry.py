"""A workflow that is sent back while what the round before has begun goes on beside the new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from django_timelines.models import Run, Timeline
from django_timelines.state import ENDED
from django_timelines.testing.due import carry_out
from django_timelines.workflows import AT_LEAST_ONCE, Retry, Workflow, step
from tests.shop.models import Entry

from . import outside, worker
from .scenario import KEY, Scenario
from .troubles import left_by_a_dead_runner
from .workflows import body, effect
from .world import USING

SOON = Retry(4, wait=timedelta(seconds=10), jitter=False)
WRITES = {"look", "turn_back"}
"""The exactly-once steps, each of which leaves a row."""


class Ferry(Workflow):
    """Across the river, and back once more to whoever came late, while the last crossing is still announced."""

    looks: int = 0

    @step
    def board(self) -> None:
        body("board")

    @step(after=board)
    def look(self) -> None:
        Entry.objects.create(text="look")
        body("look")
        self.looks += 1

    @step(after=look, delivery=AT_LEAST_ONCE, retry=SOON)
    def announce(self) -> None:
        effect(self, "announce")

    @announce.undo
    def renounce(self) -> None:
        effect(self, "renounce")

    @step(after=look, when=lambda ferry: ferry.looks < 2, again=look)
    def turn_back(self) -> None:
        Entry.objects.create(text="turn_back")
        body("turn_back")


def embark() -> None:
    Ferry.using(key=KEY).start()


def turn_back() -> None:
    """Answer the bell of that step alone."""
    carry_out(Run.objects.get(step="turn_back"), USING, alone=True)


def cancel() -> None:
    ferry = Ferry.get(key=KEY)
    if ferry.timeline.status not in (*ENDED, "cancelling"):
        ferry.timeline.cancel(reason="fog", compensate=True)


def holds(_scenario: Scenario) -> Iterator[str]:
    """Say where rows and effects are not what the events say."""
    timeline = Timeline.objects.get()
    completed = Counter(timeline.events.filter(type__in=("StepCompleted", "StepUndone")).values_list("step", flat=True))
    wanted = {name: times for name, times in completed.items() if name in WRITES}
    if (found := Counter(Entry.objects.values_list("text", flat=True))) != wanted:
        yield f"Completed are {dict(completed)}; that left the rows {dict(found)}."
    for name in ("announce", "renounce"):
        keys = {key for (noted, key) in outside.noted("effect") if noted == name}
        if not completed[name] <= len(keys) <= 2:
            yield f"{name} was completed {completed[name]} times, in two rounds, with the effects {sorted(keys)}."


_BEGUN = (embark, left_by_a_dead_runner("announce"))

SCENARIOS = {
    "send back what was begun": Scenario(worker.settle, _BEGUN, placed=("away", "rq")),
    "cancel what an earlier round began": Scenario(cancel, (*_BEGUN, turn_back), (worker.settle,), placed=("away",)),
}
