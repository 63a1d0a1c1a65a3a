"""What steps leave behind: which step of which timeline was done by which release."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.shop.models import Entry


class Done(NamedTuple):
    """One effect of one step."""

    timeline: str
    step: str
    release: str


def note(workflow: Any, step: str, release: str) -> None:
    """Leave a row, in the transaction of the step's body if it has one."""
    Entry.objects.create(text=f"{workflow.pk.hex} {step} {release}")


def all_done() -> list[Done]:
    """Return what was done."""
    return [Done(*text.split()) for text in Entry.objects.values_list("text", flat=True)]
