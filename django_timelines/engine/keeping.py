"""What pruning may take: timelines whose whole family ended long ago, and which no projection has yet to follow."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from .. import following
from ..models import Item, News, Place, Projection, Run, SealedInput, Slot, Timeline, TimelineQuerySet, UniqueValue
from ..state import ENDED

BEFORE_ALL = uuid.UUID(int=0)
BESIDE = (SealedInput, Run, Item, Place, News, Slot, UniqueValue)
"""What goes with a timeline, apart from its events."""


def prunable(using: str, before: datetime) -> TimelineQuerySet:
    """Return the timelines that ended before this. One of a family of which somebody goes on, or did so lately, stays with it."""
    found = Timeline.objects.using(using).filter(_ended(before))
    for need in _needs(using, before):
        found = found.exclude(need)
    return found


def are_needed(timelines: TimelineQuerySet, before: datetime) -> bool:
    """Tell whether one of these may not be pruned. For each reason by itself: a planner joins that, and not several at once."""
    needs = (~_ended(before), *_needs(timelines.db, before))
    return any(timelines.filter(need).exists() for need in needs)


def _ended(before: datetime) -> Q:
    return Q(status__in=ENDED, changed_at__lt=before)


def _needs(using: str, before: datetime) -> list[Q]:
    """Return for what a timeline stays that ended long ago itself."""
    living = Timeline.objects.using(using).filter(~_ended(before), correlation=OuterRef("correlation"))
    unread = News.objects.using(using).filter(timeline=OuterRef("pk"), projection__in=following.labels())
    return [Q(Exists(living)), Q(Exists(unread)), *_ahead(using)]


def _ahead(using: str) -> list[Q]:
    """Return where the first walks of projections are yet to come: before one was there, nobody wrote news for it."""
    rows, found = Projection.objects.using(using).in_bulk(following.labels()), []
    for label, one in following.everything().items():
        row = rows.get(label)
        if row is None or not row.has_walked:
            ahead = Q(id__gt=(row and row.walked) or BEFORE_ALL)
            found.append(ahead if one.workflows is None else ahead & Q(workflow__in=one.workflows))
    return found
