"""The events of a timeline as its page shows them: the newest first, each with what it changed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..audit import who
from ..engine.history import state_at
from ..events import EventType, NewEvent
from ..models import Event, Timeline
from ..state import empty, fold, name_of
from . import words
from .notes import kept_back, notes_of
from .payloads import Difference, Payload, differences, payload, title_of

type_url_of = Callable[[uuid.UUID], str]

PAGE = 100
_TOLD = {  # in words, or noise
    *("changes", "fields", "error", "reason", "due", "until", "digest", "waiting", "input"),
    *("of", "round", "to", "rounds", "unset", "kept", "undo", "withdrawn", "renamed", "cancelled", "compensate"),
    *("through", "caller", "instead_of", "assigned", "remind", "planned", "since", "number", "wait", "timed", "slots"),
    *(
        "superseded",
        "outcome",
        "changes_kept_back",
        "theirs",
        "child",
        "each",
        "enough",
        "may_fail",
        "final",
        "late",
        "was_until",
    ),
}


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event, for people."""

    event: Event
    title: str
    run: str
    at: str
    actor: str
    differences: list[Difference]
    notes: list[tuple[str, str]] = field(default_factory=list)
    details: list[tuple[str, Payload]] = field(default_factory=list)
    error: Mapping[str, str] | None = None
    kept_back: list[tuple[str, Payload]] = field(default_factory=list)  # what its body changed, to no effect
    cause_url: str = ""
    child_url: str = ""


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events, and where the pages beside it begin."""

    rows: list[EventRow]
    older: int | None
    is_newest: bool


def events_of(timeline: Timeline, before: str, url_of: type_url_of) -> EventPage:
    """Return the newest events, or those before a sequence. ``url_of`` says where the page of a timeline is."""
    asked = int(before) - 1 if before.isdecimal() and len(before) < 10 else 0
    last = asked if 1 <= asked < timeline.head else timeline.head
    first = max(1, last - PAGE + 1)
    stored = Event.objects.using(timeline.using).filter(timeline=timeline.id, sequence__gte=first, sequence__lte=last)
    events = list(stored.order_by("sequence"))
    rows = [
        replace(row, cause_url=_cause_url(row.event, first, last, url_of), child_url=_child_url(row.event, url_of))
        for row in _rows(timeline, events, first)
    ]
    return EventPage(rows[::-1], first if first > 1 else None, last == timeline.head)


def _rows(timeline: Timeline, events: list[Event], first: int) -> list[EventRow]:
    """Fold on from the state before the first of them, to say what each field was."""
    state = empty()
    if first > 1 and any(_changed(event) for event in events):
        state = state_at(timeline.pk, timeline.using, first - 1)
    rows: list[EventRow] = []
    for event in events:
        new = NewEvent(event.type, event.step, event.item, 0, event.data, event.attempt, event.version)
        after = fold(state, [new], event.sequence)
        rows.append(_row(event, state["fields"], after["fields"], rows[-1].error if rows else None))
        state = after
    return rows


def _cause_url(event: Event, first: int, last: int, url_of: type_url_of) -> str:
    """Say where the event is shown that led to it: on this page, on an older one, or on that of another timeline."""
    cause, page = event.cause, ""
    if not cause:
        return ""
    if event.cause_timeline:
        page = f"{url_of(event.cause_timeline)}?before={cause + 1}"
    elif not first <= cause <= last:
        page = f"?before={cause + 1}"
    return f"{page}#event-{cause}"


def _child_url(event: Event, url_of: type_url_of) -> str:
    child = event.data.get("child") if event.type == EventType.STEP_DUE else None
    return url_of(uuid.UUID(child)) if child else ""


def _changed(event: Event) -> bool:
    data = event.data
    touches = data.get("changes") or data.get("fields") or "of" in data or "renamed" in data
    return bool(touches or event.type == EventType.ROUND_BEGUN)


def _row(event: Event, before: Mapping[str, Any], after: Mapping[str, Any], told: Mapping[str, str] | None) -> EventRow:
    data = event.data
    ours = event.type in set(EventType)
    if ours and "renamed" in data:  # the notes say so
        before = {data["renamed"]["fields"].get(name, name): value for name, value in before.items()}
    details = [(name, value) for name, value in data.items() if not (ours and name in _TOLD)]
    if ours and isinstance(data.get("input"), dict):
        details = [*data["input"].items(), *details]
    error = data.get("error") if ours else None
    return EventRow(
        event,
        words.event_title(event.type),
        words.step_title(*name_of(event)) if event.step else "",
        words.exactly(event.at),
        words.worker(who(event)),
        list(differences(before, after)),
        list(notes_of(event)) if ours else [],
        [(title_of(name), payload(value)) for name, value in details],
        None if error == told else error,  # the failure that a block or a failed step repeats is said once
        kept_back(data) if ours else [],
    )
