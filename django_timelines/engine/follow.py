"""Following: hand a projection the events beyond its places, in one transaction with these.

News, written with each event, say which timelines to look at. Where there are none (whoever wrote the event runs a release
that does not know the projection) the walk comes by: timeline after timeline, head against place. So only places count, and
nothing is missed, however late it was committed.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import close_old_connections, router
from django.db.models import Exists, F, OuterRef, Q

from .. import following as known
from .. import moments
from ..exceptions import Conflict
from ..following import Following
from ..models import News, Projection, Timeline
from .patience import Patience, conflict_if_transient
from .places import MOST_EVENTS, Batch, StoredEvent, beyond, move, standings, with_place
from .projecting import HandlerFailed, begin_new, hand_over, note, turn
from .rebuild import rebuild, was_asked
from .sightings import FOLLOWER, Presence

logger = logging.getLogger("django_timelines")
MOST_TIMELINES = 1_000  # that one transaction follows
SPAN = 10_000  # timelines that one transaction of the walk goes past, if they have nothing new
WALK_EVERY = timedelta(minutes=10)
PAUSE = 0.5  # seconds between looks, when there was nothing new


@dataclass(slots=True)
class Part:
    """What a transaction follows: what the news named, or the next part of the walk, with where that stands then."""

    batch: Batch
    news: Sequence[tuple[int, uuid.UUID]] = ()
    walked: uuid.UUID | None = None  # up to this timeline; None: no further than before
    ends_walk: bool = False  # no timeline is ahead


def keep_following(stop: threading.Event) -> None:
    """Follow with all projections of the code until stopped, in turns what the news name and what the walk comes to."""
    if not known.everything():
        return
    using, said = router.db_for_write(Timeline), ""
    presence = Presence(using, FOLLOWER)
    walks_first = True
    while not stop.is_set():
        close_old_connections()
        more, walks_first = False, not walks_first
        try:
            presence.note()
            more = follow_all(using, walks_first=walks_first)
        except Exception as error:  # whatever it is, it goes on
            if repr(error) != said:
                logger.warning("Projections could not be followed; that is tried again.", exc_info=True)
            said = repr(error)
        finally:
            close_old_connections()
        if not more:
            stop.wait(PAUSE)


def follow_all(using: str, *, raises: bool = False, walks_first: bool = False) -> bool:
    """Follow with each projection that has something to do, a transaction's worth each; tell whether there may be more.

    What one of them raises is raised once the others had their turn. ``walks_first``: where a walk goes on, news wait for the
    next time; there may always be some.
    """
    more, error = False, None
    for following in with_work(using):
        try:
            more |= follow(following, using, raises=raises, walks_first=walks_first)
        except Exception as raised:
            error = error or raised
    if error is not None:
        raise error
    return more


def with_work(using: str) -> list[Following]:
    """Return the projections that have news, or whose walk goes on, unless they wait for their next try."""
    followings = known.everything()
    if not followings:
        return []
    begin_new(using)
    now, rows = moments.now(), Projection.objects.using(using)
    news = Exists(News.objects.filter(projection=OuterRef("label")))
    waiting = rows.filter(Q(retry=None) | Q(retry__lte=now), Q(walk__lte=now) | news, label__in=followings)
    return [followings[label] for label in waiting.values_list("label", flat=True)]


def follow(following: Following, using: str, *, raises: bool = False, walks_first: bool = False) -> bool:
    """Follow what is new, a transaction's worth at most; tell whether there may be more.

    If somebody else follows the same projection just now, there is nothing to do. It stops at an event whose handler fails,
    once what comes before it is followed. ``raises``: that is noted, and raised.
    """
    patience, most = Patience(), MOST_EVENTS
    while True:
        try:
            with conflict_if_transient(using):
                if was_asked(following, using):
                    return rebuild(following, using, waits=False) is not None
                return _follow(following, using, most, walks_first=walks_first)
        except Conflict as conflict:
            patience.after(conflict)
        except HandlerFailed as failure:
            if failure.event and failure.number:
                most = failure.number  # up to there
                continue
            note(following, using, failure)
            if raises:
                raise failure.__cause__ or failure from None
            return False


def _follow(following: Following, using: str, most: int, *, walks_first: bool) -> bool:
    events: list[StoredEvent[Any]] = []
    with turn(following, using, events) as row:
        if row is None or (row.retry and row.retry > moments.now()):
            return False
        part = _by_walk(following, using, most, row) if walks_first else None
        part = part or _by_news(following, using, most) or _by_walk(following, using, most, row)
        if part is None:
            return False
        batch = part.batch
        events += batch.page.events
        hand_over(following, using, batch.page.events, batch.page.erased, row.since)
        move(following, using, batch)
        left = batch.standings.keys() - batch.whole
        read = [news for news, id in part.news if id not in left]
        News.objects.using(using).filter(pk__in=read)._raw_delete(using)
        _note_followed(row, using, part)
    return True


def _by_news(following: Following, using: str, most: int) -> Part | None:
    rows = News.objects.using(using).filter(projection=following.label, timeline__isnull=False).order_by("timeline_id")
    news = list(rows.values_list("id", "timeline_id")[:MOST_TIMELINES])
    if not news:
        return None
    ids = {id for _news, id in news}
    named = with_place(following, Timeline.objects.filter(pk__in=ids).order_by("id"), timeline__in=ids)
    return Part(beyond(following, using, standings(using, named), most), news)


def _by_walk(following: Following, using: str, most: int, row: Projection) -> Part | None:
    if row.walk > moments.now():
        return None
    ahead = Timeline.objects.using(using).order_by("id")
    if row.walked:
        ahead = ahead.filter(id__gt=row.walked)
    end = next(iter(ahead.values_list("id", flat=True)[SPAN - 1 : SPAN]), None)
    span = ahead if end is None else ahead.filter(id__lte=end)
    if (labels := following.workflows) is not None:
        span = span.filter(workflow__in=labels)
    placed = with_place(following, span, timeline__gt=row.walked, timeline__lte=end)
    new = placed.filter(Q(place__sequence=None) | Q(head__gt=F("place__sequence")))
    found = standings(using, new[:MOST_TIMELINES])
    batch = beyond(following, using, found, most)
    if len(found) < MOST_TIMELINES and len(batch.whole) == len(found):
        return Part(batch, walked=end, ends_walk=end is None)
    return Part(batch, walked=batch.whole[-1] if batch.whole else None)


def _note_followed(row: Projection, using: str, part: Part) -> None:
    now = moments.now()
    noted = {"events": row.events + len(part.batch.page.events), "followed_at": now}
    if part.ends_walk:
        noted |= {"walked": None, "has_walked": True, "walk": now + WALK_EVERY}
    elif part.walked:
        noted |= {"walked": part.walked}
    if row.error:
        noted |= {"error": "", "stopped_timeline": None, "stopped_sequence": None, "tries": 0, "retry": None}
    Projection.objects.using(using).filter(pk=row.pk).update(**noted)
