"""What pruning may take: timelines whose whole family ended long ago, and which no projection has yet to follow."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef

from .. import following
from ..models import Item, News, Place, Run, SealedInput, Slot, Timeline, TimelineQuerySet, UniqueValue
from ..state import ENDED

BESIDE = (SealedInput, Run, Item, Place, News, Slot, UniqueValue)
"""What goes with a timeline, apart from its events."""


def prunable(using: str, before: datetime) -> TimelineQuerySet:
    """Return the timelines that ended before this. One of a family of which somebody goes on, or did so lately, stays with it."""
    timelines = Timeline.objects.using(using)
    living = timelines.filter(correlation=OuterRef("correlation")).exclude(status__in=ENDED, changed_at__lt=before)
    unread = News.objects.using(using).filter(timeline=OuterRef("pk"), projection__in=following.labels())
    ended = timelines.filter(status__in=ENDED, changed_at__lt=before)
    return ended.exclude(Exists(living)).exclude(Exists(unread))
