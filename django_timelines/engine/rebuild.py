"""Rebuilding a projection from scratch, while its rows are read: in one transaction, which empties and fills them again.

Places stay as they are. Each timeline is followed again up to its place and no further, without reactions; what lies beyond
is followed afterwards, with reactions, as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import router
from django.db.models import Q

from .. import following as known
from .. import moments
from ..following import Following
from ..models import News, Place, Projection, Timeline
from .places import MOST_EVENTS, Page, events_of, page, standings, type_standings, with_place
from .projecting import HandlerFailed, begin_new, blamed, hand_over, turn

MOST_TIMELINES = 1_000  # that are read at a time


def ask(label: str, using: str | None = None) -> None:
    """Ask those who follow to rebuild a projection of this label; ``Unknown`` if the code has none."""
    news = News(projection=known.get(label).label, timeline=None, at=moments.now())
    news.save(using=using or router.db_for_write(News))


def was_asked(following: Following, using: str) -> bool:
    """Tell whether somebody asked for it."""
    return News.objects.using(using).filter(projection=following.label, timeline=None).exists()


def rebuild(
    following: Following, using: str, progress: Callable[[int], Any] | None = None, *, waits: bool = True
) -> int | None:
    """Rebuild it now; return how many events were followed, or None if somebody else has it and we do not wait.

    If a handler fails, all is as it was before.
    """
    events = 0
    begin_new(using)
    with turn(following, using, waits=waits) as row:
        if row is None:
            return None
        asked = list(News.objects.using(using).filter(projection=row.label, timeline=None).values_list("pk", flat=True))
        with blamed("clear"):
            following.projection(using).clear()
        for followed in _followed(following, using):
            try:
                hand_over(following, using, followed.events, followed.erased)
            except HandlerFailed as failure:
                failure.number = 0  # of it nothing is left
                raise
            events += len(followed.events)
            if progress:
                progress(events)
        News.objects.using(using).filter(pk__in=asked)._raw_delete(using)
        mended: dict[str, Any] = {
            "error": "",
            "stopped_timeline": None,
            "stopped_sequence": None,
            "tries": 0,
            "retry": None,
        }
        Projection.objects.using(using).filter(pk=row.pk).update(events=events, rebuilt_at=moments.now(), **mended)
    return events


def _followed(following: Following, using: str) -> Iterator[Page]:
    """Yield what was followed before, some at a time."""
    places, last = Place.objects.using(using).filter(projection=following.label).order_by("timeline_id"), None
    while True:
        ahead = places.filter(timeline_id__gt=last) if last else places
        ids = list(ahead.values_list("timeline_id", flat=True)[:MOST_TIMELINES])
        if not ids:
            return
        first, last = ids[0], ids[-1]
        named = Timeline.objects.filter(pk__in=ids).order_by("id")
        placed = with_place(following, named, timeline__gte=first, timeline__lte=last)
        yield from _up_to_their_places(following, using, standings(using, placed))


def _up_to_their_places(following: Following, using: str, standings: type_standings) -> Iterator[Page]:
    if not standings:
        return
    places = {id.int: standing.place for id, standing in standings.items()}
    events, more = events_of(using, standings), True
    ahead = events
    while more:
        found = page(following, ahead, standings, MOST_EVENTS)
        yield found._replace(events=[event for event in found.events if event.sequence <= places[event.timeline.int]])
        if more := found.more:
            at = found.events[-1]
            ahead = events.filter(Q(timeline_id__gt=at.timeline) | Q(timeline_id=at.timeline, sequence__gt=at.sequence))
