"""Pruning: timelines that ended long ago go, with all that is theirs. In batches: it may be stopped, and run again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import Exists, OuterRef

from .. import following, moments, registry
from ..models import Event, News, Place, Run, SealedInput, Timeline, first_id_at
from ..state import ENDED

BATCH = 500


def prune(
    older_than: timedelta, workflow: str = "", *, dry_run: bool = False, using: str | None = None
) -> Iterator[int]:
    """Delete the timelines that ended longer ago than this, children before their parents; yield how many with each batch.

    Several at once do not harm one another: what one deletes the other no longer finds. ``dry_run`` only counts.
    A workflow that had other names before is pruned under all of them. What a projection has yet to follow is left.
    """
    using, before = using or router.db_for_write(Timeline), moments.now() - older_than
    last = first_id_at(before)
    while ids := _next(using, before, workflow, last):
        last = ids[-1]
        if not dry_run:
            _delete(using, ids)
        yield len(ids)


def _next(using: str, before: datetime, workflow: str, last: uuid.UUID) -> list[uuid.UUID]:
    """Return the next ids. A key tells when its timeline began, so that the index on status and key finds the old ones.

    A child began after its parent. One of a family of which somebody goes on, or did so lately, stays with it.
    """
    timelines = Timeline.objects.using(using)
    living = timelines.filter(correlation=OuterRef("correlation")).exclude(status__in=ENDED, changed_at__lt=before)
    found = timelines.filter(status__in=ENDED, changed_at__lt=before, id__lt=last).exclude(Exists(living))
    found = found.exclude(Exists(News.objects.filter(timeline=OuterRef("pk"), projection__in=following.labels())))
    found = found.order_by("-id")
    if workflow:
        declaration = registry.find(workflow)
        found = found.filter(workflow__in=declaration.names if declaration else (workflow,))
    return list(found.values_list("id", flat=True)[:BATCH])


def _delete(using: str, ids: list[uuid.UUID]) -> None:
    with transaction.atomic(using=using):
        for model in (SealedInput, Run, Place, News, Event):
            model.objects.using(using).filter(timeline__in=ids)._raw_delete(using)
        Timeline.objects.using(using).filter(pk__in=ids)._raw_delete(using)
