"""What led to what: the events of all timelines that led to one another, each timeline within the step that began it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Q

from .models import Event, Timeline

MOST = 500  # events of a page
MOST_TIMELINES = 200
DEEPEST = 5  # timelines within one another; what is deeper stands at the top, and says what began it

type_place = tuple[uuid.UUID, int]
"""Where an event is: its timeline, and its sequence."""


@dataclass(slots=True)
class Part:
    """The events of one step of a timeline, or those that are about none, and the timelines that they began."""

    step: str
    events: list[Event] = field(default_factory=list)
    begun: list[Branch] = field(default_factory=list)


@dataclass(slots=True)
class Branch:
    """One timeline: its parts in the order in which they began. ``origin``: the event that led to it."""

    timeline: Timeline
    parts: dict[str, Part] = field(default_factory=dict)
    origin: type_place | None = None

    @property
    def is_continued(self) -> bool:
        """Tell whether its first events are on an earlier page."""
        return next(iter(self.parts.values())).events[0].sequence > 1


@dataclass(frozen=True, slots=True)
class Causes:
    """A page. ``next``: where the page after it goes on, if there is one. ``led_to``: what each event led to elsewhere."""

    branches: list[Branch]
    events: Mapping[type_place, Event]
    led_to: Mapping[type_place, list[Event]]
    next: type_place | None


def cause_of(event: Event) -> type_place | None:
    """Return where the event is that led to this one."""
    return (event.cause_timeline or event.timeline_id, event.cause) if event.cause else None


def place_text(place: type_place) -> str:
    """Return a place as an address and a command line have it."""
    return f"{place[0].hex}-{place[1]}"


def read_place(text: str) -> type_place | None:
    """Read that; None for what is none."""
    timeline, _dash, sequence = text.rpartition("-")
    try:
        return (uuid.UUID(timeline), int(sequence)) if sequence.isdecimal() and len(sequence) < 10 else None
    except ValueError:
        return None


def causes_of(
    timeline: Timeline,
    after: type_place | None = None,
    most: int = MOST,
    sees: Callable[[Timeline], bool] = lambda timeline: True,
) -> Causes:
    """Return the events of the timeline's family behind this place, in two queries that read neither state nor payload.

    ``sees`` tells whether the reader may see one of the family; what they may not is left out.
    """
    rows = list(_rows(timeline, after))
    shown = {row.pk: row for row in rows[:MOST_TIMELINES] if sees(row)}
    found = Event.objects.using(timeline.using).defer("data").filter(timeline__in=shown)
    if after is not None:
        found = found.exclude(timeline=after[0], sequence__lte=after[1])
    events = list(found.order_by("timeline_id", "sequence")[: most + 1])
    is_more = len(events) > most or len(rows) > MOST_TIMELINES
    events = events[:most]
    by_place = {(event.timeline_id, event.sequence): event for event in events}
    last = (events[-1].timeline_id, events[-1].sequence) if events else (rows[-1].pk, 0) if rows else None
    return Causes(_tree(shown, events, by_place), by_place, _led_to(events), last if is_more else None)


def _rows(timeline: Timeline, after: type_place | None) -> Iterable[Timeline]:
    family = timeline.family.defer("state", "fields")
    return (family.filter(Q(pk__gte=after[0])) if after else family)[: MOST_TIMELINES + 1]


def _tree(
    rows: Mapping[uuid.UUID, Timeline], events: Iterable[Event], by_place: Mapping[type_place, Event]
) -> list[Branch]:
    branches: dict[uuid.UUID, Branch] = {}
    for event in events:
        branch = branches.setdefault(event.timeline_id, Branch(rows[event.timeline_id]))
        branch.parts.setdefault(event.step, Part(event.step)).events.append(event)
        if event.sequence == 1 and event.cause_timeline is not None:
            branch.origin = cause_of(event)
    top = []
    for branch in branches.values():
        began = by_place.get(branch.origin) if branch.origin else None
        if began is None or not _is_within(branch, branches):
            top.append(branch)
        else:
            branches[began.timeline_id].parts[began.step].begun.append(branch)
    return top


def _is_within(branch: Branch, branches: Mapping[uuid.UUID, Branch]) -> bool:
    """Tell whether it may stand in another one: so deep below the first of its way that is here, it begins anew at the top."""
    depth = 0
    while branch.origin is not None and branch.origin[0] in branches:
        branch, depth = branches[branch.origin[0]], depth + 1
    return depth % (DEEPEST + 1) > 0


def _led_to(events: Iterable[Event]) -> dict[type_place, list[Event]]:
    found: dict[type_place, list[Event]] = {}
    for event in events:
        if event.cause and event.cause_timeline is not None:
            found.setdefault((event.cause_timeline, event.cause), []).append(event)
    return found
