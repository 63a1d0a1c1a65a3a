"""A workflow of long steps, and its scenarios: one that is called, one in transactions of ours, one with effects outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django_timelines.models import Timeline
from django_timelines.workflows import AT_LEAST_ONCE, Event, Workflow, step
from tests.shop.models import Entry

from . import outside, points, worker
from .scenario import KEY, Scenario

CRATES, BOXES, LETTERS = range(3), range(5), range(3)
LABELS = {"order": ("crate", len(CRATES)), "load": ("box", len(BOXES))}
"""What the rows of each exactly-once step are called, and how many there are in the end."""


class Boxed(Event):
    """A box is on board."""

    box: int


class Cargo(Workflow):
    """From the crates to the letters that say so."""

    crates: int = 0
    boxes: list[int] = []  # noqa: RUF012 (a default, copied into each timeline)
    letters: int = 0

    @step
    def order(self, crates: list[int]) -> None:
        """Somebody orders, and a page may wait for it."""
        for crate in self.iterate(crates, batch=2):
            Entry.objects.create(text=f"crate {crate}")
            self.crates += 1

    @step(after=order)
    def load(self) -> None:
        points.reach("before the loop")
        for box in self.iterate(BOXES, batch=2):
            Entry.objects.create(text=f"box {box}")
            self.boxes.append(box)
            self.record(Boxed(box=box))
            points.reach(f"at box {box}")

    @step(after=load, delivery=AT_LEAST_ONCE)
    def write(self) -> None:
        for letter in self.iterate(LETTERS, batch=2):
            outside.note("letter", str(letter))
            points.reach(f"after letter {letter}")
            self.letters += 1


def order() -> None:
    Cargo.using(key=KEY).start(crates=[*CRATES])


SCENARIOS = {
    "long steps": Scenario(worker.settle, (order,), placed=("away", "rq")),
    "long steps in a request": Scenario(order, after=(worker.settle,), placed=("here", "mixed")),
}


def holds(_scenario: Scenario) -> Iterator[str]:
    """Say where rows, facts and letters are not what the cursors say."""
    timeline = Timeline.objects.get()
    came = Counter(dict.fromkeys(LABELS, 0))
    for run in timeline.runs.filter(cursor__isnull=False):
        came[run.step] = run.cursor["loops"][0]["done"]
    for name in timeline.events.filter(type="StepCompleted", step__in=LABELS).values_list("step", flat=True):
        came[name] = LABELS[name][1]
    wanted = sorted(f"{LABELS[name][0]} {number}" for name in LABELS for number in range(came[name]))
    if (found := sorted(Entry.objects.values_list("text", flat=True))) != wanted:
        yield f"By the cursors there are the rows {wanted}, and these were found: {found}."
    boxed = [data["box"] for data in timeline.events.filter(type="Boxed").values_list("data", flat=True)]
    if boxed != [*range(came["load"])]:
        yield f"By the cursor {came['load']} boxes are on board, and the facts are of {boxed}."
    letters = sorted({int(letter) for (letter,) in outside.noted("letter")})
    if letters != [*range(len(letters))] or len(letters) < came["write"]:
        yield f"By the cursor {came['write']} letters are written, and these were: {letters}."
    if timeline.status == "completed" and letters != [*LETTERS]:
        yield f"The letters {letters} were written, and no others."
