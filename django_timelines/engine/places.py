"""How far a projection has followed which timeline, and what is new beyond that.

A place is a sequence on one timeline, where sequences have no gaps. There is none over all timelines: in a sequence that the
database counts, a transaction that commits late fills a gap behind those who have read on.
"""

from __future__ import annotations

import builtins
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connections
from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, QuerySet

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
    is_erased: bool


@dataclass(slots=True)
class Batch:
    """What one transaction follows. ``whole``: these timelines are followed to their head then."""

    standings: type_standings
    events: list[StoredEvent[Any]] = field(default_factory=list)
    whole: set[uuid.UUID] = field(default_factory=set)

    @property
    def erased(self) -> set[uuid.UUID]:
        """The timelines that are erased."""
        return erased_of(self.standings)

    def places(self) -> dict[uuid.UUID, int]:
        """Return the places that these events lead to, of the timelines on which that is one further on."""
        found = {id: self.standings[id].head for id in self.whole}
        for event in {event.timeline.int: event for event in self.events}.values():  # the last of each timeline
            found[event.timeline] = max(event.sequence, found.get(event.timeline, 0))
        return {id: place for id, place in found.items() if place > self.standings[id].place}


def standings(following: Following, using: str, timelines: QuerySet[Timeline]) -> type_standings:
    """Return how these timelines stand to the projection. They come in the order of their ids."""
    erased = Event.objects.filter(timeline=OuterRef("pk"), sequence=OuterRef("head"), type=EventType.ERASED)
    joined = with_place(following, timelines.using(using))
    rows = joined.values_list("id", "workflow", "head", "place__sequence", Exists(erased))
    return {id: Standing(workflow, head, place or 0, is_erased) for id, workflow, head, place, is_erased in rows}


def erased_of(standings: type_standings) -> set[uuid.UUID]:
    """Return those of the timelines that are erased."""
    return {id for id, standing in standings.items() if standing.is_erased}


def with_place(following: Following, timelines: QuerySet[Timeline]) -> QuerySet[Timeline]:
    """Join the projection's place on each as ``place``."""
    return timelines.alias(place=FilteredRelation("places", condition=Q(places__projection=following.label)))


def beyond(following: Following, using: str, standings: type_standings, most: int = MOST_EVENTS) -> Batch:
    """Read the events of these timelines that are beyond their places, at most so many.

    Their heads were read before: what is committed up to a head is seen by every later read.
    """
    batch = Batch(standings)
    behind = {id: standing for id, standing in standings.items() if standing.head > standing.place}
    if behind:
        events = events_of(using, behind)
        if any(standing.place for standing in behind.values()):
            of_it = FilteredRelation("timeline__places", condition=Q(timeline__places__projection=following.label))
            events = events.alias(place=of_it)
            events = events.filter(Q(place__sequence=None) | Q(sequence__gt=F("place__sequence")))
        batch.events, more = page(following, events, behind, most)
        if more:
            batch.whole = {event.timeline for event in batch.events} - {batch.events[-1].timeline}
            return batch
    batch.whole = set(standings)
    return batch


def events_of(using: str, standings: type_standings) -> QuerySet[Event]:
    """Return the events of these timelines. That they are between the first and the last helps a planner."""
    first, *_, last = [*standings, *standings]
    return Event.objects.using(using).filter(timeline__in=standings, timeline__gte=first, timeline__lte=last)


def page(
    following: Following, events: QuerySet[Event], standings: type_standings, most: int
) -> tuple[list[StoredEvent[Any]], bool]:
    """Return the first of these events that the projection follows, timeline by timeline, and whether there are more."""
    rows = events.filter(type__in=following.types).order_by("timeline_id", "sequence").values_list(*_ROW)[: most + 1]
    workflows = {id.int: registry.current(standing.workflow) for id, standing in standings.items()}  # ints hash quickly
    found: list[StoredEvent[Any]] = [StoredEvent._make((*row, workflows[row[0].int])) for row in rows]
    return found[:most], len(found) > most


def move(following: Following, using: str, batch: Batch) -> None:
    """Write the places that the batch leads to."""
    places = batch.places()
    if not places:
        return
    if behind := [id for id in places if batch.standings[id].place]:
        Place.objects.using(using).filter(timeline__in=behind, projection=following.label)._raw_delete(using)
    rows = [{"timeline": id, "projection": following.label, "sequence": place} for id, place in places.items()]
    send(connections[using], insert(using, Place, rows))
