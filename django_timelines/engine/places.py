"""How far a projection has followed which timeline, and what is new beyond that.

A place is a sequence on one timeline, where sequences have no gaps. There is none over all timelines: in a sequence that the
database counts, a transaction that commits late fills a gap behind those who have read on.
"""

from __future__ import annotations

import builtins
import uuid
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connections
from django.db.models import F, FilteredRelation, Q, QuerySet

from .. import domain, registry
from ..events import EventType
from ..following import Following
from ..models import Event, Place, Timeline
from ..statements import insert, send

D = TypeVar("D")
MOST_EVENTS = 5_000  # that one transaction follows
_ROW = (
    *("timeline_id", "sequence", "type", "version", "step", "item", "attempt", "data"),
    *("at", "actor_type", "actor_id", "actor_label"),
)
_DATA = _ROW.index("data")
_STANDING = ("id", "workflow", "head", "place__sequence")
type_standings = dict[uuid.UUID, "Standing"]


class StoredEvent(NamedTuple, Generic[D]):
    """An event as a projection is given it. ``data`` is an object of your class, or what an event of ours says."""

    timeline: uuid.UUID
    sequence: int
    type: str
    version: int
    step: str
    item: str
    attempt: int | None
    data: D
    at: datetime
    actor_type: str
    actor_id: str
    actor_label: str
    workflow: str

    @property
    def key(self) -> str:
        """Names the event, for whatever is to be done once because of it."""
        return f"{self.timeline.hex}-{self.sequence}"

    def read_as(self, says: builtins.type[domain.Event]) -> StoredEvent[Any]:
        """Return it with its data as an object of this class."""
        return StoredEvent._make((*self[:_DATA], says.read(self), *self[_DATA + 1 :]))


@dataclass(frozen=True, slots=True)
class Standing:
    """A timeline as a projection finds it: the sequence of its newest event, and that of the last one followed."""

    workflow: str
    head: int
    place: int


class Page(NamedTuple):
    """Some events in the order of their timelines; which of these timelines are erased; whether more events follow."""

    events: list[StoredEvent[Any]]
    erased: set[uuid.UUID]
    more: bool


@dataclass(slots=True)
class Batch:
    """What one transaction follows. ``whole``: these timelines, the first of the standings, are followed to their head then."""

    standings: type_standings
    page: Page
    whole: list[uuid.UUID]

    def places(self) -> dict[uuid.UUID, int]:
        """Return the places that these events lead to, of the timelines on which that is one further on."""
        found = {id: self.standings[id].head for id in self.whole}
        for event in {event.timeline.int: event for event in self.page.events}.values():  # the last of each timeline
            found[event.timeline] = max(event.sequence, found.get(event.timeline, 0))
        return {id: place for id, place in found.items() if place > self.standings[id].place}


def standings(using: str, timelines: QuerySet[Timeline]) -> type_standings:
    """Return how these timelines, to which their places were joined, stand to the projection. They keep their order."""
    rows = timelines.using(using).values_list(*_STANDING)
    return {id: Standing(workflow, head, place or 0) for id, workflow, head, place in rows}


def with_place(following: Following, timelines: QuerySet[Timeline], **among: Any) -> QuerySet[Timeline]:
    """Join the projection's place on each as ``place``. ``among``: where these are, as ``timeline__in`` or ``timeline__gt``."""
    return timelines.alias(place=_place(following, "places", **among))


def _place(following: Following, path: str, **among: Any) -> FilteredRelation:
    """Return the relation to a projection's place. Unless told where, a planner may read all places from the first on."""
    wanted = {"projection": following.label, **among}
    given = {f"{path}__{name}": value for name, value in wanted.items() if value is not None}
    return FilteredRelation(path, condition=Q(**given))


def beyond(following: Following, using: str, standings: type_standings, most: int = MOST_EVENTS) -> Batch:
    """Read the events of these timelines that are beyond their places, at most so many.

    Their heads were read before: what is committed up to a head is seen by every later read.
    """
    behind = {id: standing for id, standing in standings.items() if standing.head > standing.place}
    if not behind:
        return Batch(standings, Page([], set(), False), [*standings])
    events = events_of(using, behind)
    if any(standing.place for standing in behind.values()):
        first, last = _ends(behind)
        place = _place(following, "timeline__places", timeline__gte=first, timeline__lte=last)
        events = events.alias(place=place)
        events = events.filter(Q(place__sequence=None) | Q(sequence__gt=F("place__sequence")))
    found = page(following, events, behind, most)
    if not found.more:
        return Batch(standings, found, [*standings])
    cut = found.events[-1].timeline
    return Batch(standings, found, [*takewhile(lambda id: id != cut, standings)])


def events_of(using: str, standings: type_standings) -> QuerySet[Event]:
    """Return the events of these timelines. That they are between the first and the last helps a planner."""
    first, last = _ends(standings)
    return Event.objects.using(using).filter(timeline__in=standings, timeline__gte=first, timeline__lte=last)


def _ends(standings: type_standings) -> tuple[uuid.UUID, uuid.UUID]:
    return next(iter(standings)), next(reversed(standings))


def page(following: Following, events: QuerySet[Event], standings: type_standings, most: int) -> Page:
    """Return the first of these events that the projection follows."""
    rows = events.filter(type__in=following.types).order_by("timeline_id", "sequence").values_list(*_ROW)[: most + 1]
    workflows = {id.int: registry.current(standing.workflow) for id, standing in standings.items()}  # ints hash quickly
    found: list[StoredEvent[Any]] = [StoredEvent._make((*row, workflows[row[0].int])) for row in rows]
    erased = {event.timeline for event in found if event.type == EventType.ERASED}
    if more := len(found) > most:
        cut = found.pop().timeline
        rest = Event.objects.using(events.db).filter(timeline=cut, type=EventType.ERASED)
        erased |= set(rest.values_list("timeline_id", flat=True))
    return Page(found, erased, more)


def move(following: Following, using: str, batch: Batch) -> None:
    """Write the places that the batch leads to."""
    places = batch.places()
    if not places:
        return
    if behind := [id for id in places if batch.standings[id].place]:
        Place.objects.using(using).filter(timeline__in=behind, projection=following.label)._raw_delete(using)
    rows = [{"timeline": id, "projection": following.label, "sequence": place} for id, place in places.items()]
    send(connections[using], insert(using, Place, rows))
