"""``timelines show ID --family``: the events of all timelines that led to one another, and which one led to which."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.color import Style

from ...audit import name_of
from ...causes import Branch, Causes, cause_of, causes_of, place_text, read_place, type_place
from ...models import Event, Timeline
from .base import Answer, columns, of_status, type_options
from .times import moment, written

SHORT = 18  # of a timeline's id


def of_family(timeline: Timeline, options: type_options, style: Style) -> Answer:
    """Return the first events of the timeline's family, or those behind ``--after``."""
    after = None if options["after"] is None else read_place(options["after"])
    if options["after"] is not None and after is None:
        options["usage_error"](f"--after {options['after']}: no such place. Copy it from where the last answer ended.")
    causes = causes_of(timeline, after, options["events"])
    branches = list(_all(causes.branches))
    document = {
        "correlation": str(timeline.correlation),
        "timelines": [_timeline_document(branch) for branch in branches],
        "events": [_event_document(event) for event in causes.events.values()],
        "next": place_text(causes.next) if causes.next else None,
    }
    return Answer(document, list(_lines(causes, style)))


def _all(branches: Iterable[Branch]) -> Iterator[Branch]:
    for branch in branches:
        yield branch
        for part in branch.parts.values():
            yield from _all(part.begun)


def _lines(causes: Causes, style: Style) -> Iterator[str]:
    for branch in causes.branches:
        yield from _branch(branch, style, "")
    if causes.next:
        yield f"(more: --after {place_text(causes.next)})"


def _branch(branch: Branch, style: Style, indent: str) -> Iterator[str]:
    timeline = branch.timeline
    begun = f", begun by {_place(branch.origin, timeline.pk)}" if branch.origin else ""
    heading = style.MIGRATE_HEADING(f"{timeline.workflow} {timeline.pk}")
    status = of_status(timeline.status, style)
    yield f"{indent}{heading} {status.paint(status.text)}{begun}"
    for part in branch.parts.values():
        yield f"{indent}  {part.step or 'the timeline itself'}"
        yield from (f"{indent}    {line}" for line in columns([_row(event) for event in part.events], style))
        for begun_there in part.begun:
            yield from _branch(begun_there, style, indent + "    ")


def _row(event: Event) -> list[str]:
    cause = cause_of(event)
    after = f"after {_place(cause, event.timeline_id)}" if cause else ""
    return [f"{event.sequence:>4}", moment(event.at), event.type, event.item, name_of(event), after]


def _place(place: type_place, seen_from: uuid.UUID) -> str:
    timeline, sequence = place
    return str(sequence) if timeline == seen_from else f"{sequence} of {str(timeline)[:SHORT]}"


def _timeline_document(branch: Branch) -> dict[str, Any]:
    timeline = branch.timeline
    return {
        "id": str(timeline.pk),
        "workflow": timeline.workflow,
        "status": timeline.status,
        "key": timeline.key,
        "parent": str(timeline.parent) if timeline.parent else None,
        "begun_by": _place_document(branch.origin),
    }


def _event_document(event: Event) -> dict[str, Any]:
    return {
        "timeline": str(event.timeline_id),
        "sequence": event.sequence,
        "type": event.type,
        "step": event.step,
        "item": event.item,
        "attempt": event.attempt,
        "at": written(event.at),
        "actor": {"type": event.actor_type, "id": event.actor_id, "label": event.actor_label},
        "placement": event.placement,
        "cause": _place_document(cause_of(event)),
    }


def _place_document(place: type_place | None) -> dict[str, Any] | None:
    return {"timeline": str(place[0]), "sequence": place[1]} if place else None
