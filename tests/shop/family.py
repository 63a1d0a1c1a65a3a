"""What parent and child must know of each other at any moment, whatever has just died: by their states, or by a notice."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from django_timelines.items import read_all
from django_timelines.models import Notice, Timeline
from django_timelines.state import ENDED, awaits_child

type_told = set[tuple[uuid.UUID, uuid.UUID, str]]


def not_known(timelines: Iterable[Timeline]) -> Iterator[str]:
    """Say who of them does not know what of whom."""
    timelines = list(timelines)
    told = {(notice.timeline, notice.source, notice.kind) for notice in Notice.objects.all()}
    for parent in timelines:
        children = [one for one in timelines if one.parent == parent.pk]
        yield from _not_named(parent, children)
        for child in children:
            yield from _not_told(parent, child, told)


def _not_named(parent: Timeline, children: list[Timeline]) -> Iterator[str]:
    """Whoever begins a child names it in an event, in the same commit."""
    named = {data["child"] for data in parent.events.values_list("data", flat=True) if "child" in data}
    if {child.pk.hex for child in children} != named:
        yield f"The events of {parent.workflow} name {len(named)} children, and {len(children)} are there."


def _not_told(parent: Timeline, child: Timeline, told: type_told) -> Iterator[str]:
    run = next((one for one in read_all(parent)["runs"].values() if one.get("child") == child.pk.hex), None)
    ended, awaited = child.status in ENDED, run is not None and awaits_child(run)
    undone = awaited and run is not None and "of" in run and child.status == "completed"
    answers = {(parent.pk, child.pk, Notice.ENDED)} | ({(child.pk, parent.pk, Notice.CANCEL)} if undone else set())
    if ended and awaited and not answers & told:
        yield f"{child.workflow} is {child.status}, {parent.workflow} waits for it, and nobody tells the other."
    wanted = awaited and not parent.state.get("cancelling")
    told_of_it = child.state.get("cancelling") or (child.pk, parent.pk, Notice.CANCEL) in told
    if not ended and not wanted and not told_of_it:
        yield f"{child.workflow} is {child.status}, and {parent.workflow} has not told it that nobody waits for it."
