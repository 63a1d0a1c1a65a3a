"""The workflow of long steps that is crashed: one that is called, one in transactions of ours, one whose effects lie outside."""

from __future__ import annotations

from django_timelines.workflows import AT_LEAST_ONCE, Event, Workflow, step
from tests.shop.models import Entry

from . import outside, points

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
