"""Pruning: timelines that ended long ago go, with all that is theirs. In batches: it may be stopped, and run again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connections, router, transaction

from .. import moments, registry
from ..models import Event, Timeline, TimelineQuerySet, first_id_at
from .keeping import BESIDE, kept, prunable, referring
from .partitions import drop_ended

BATCH = 500


def prune(
    older_than: timedelta, workflow: str = "", *, dry_run: bool = False, using: str | None = None
) -> Iterator[int]:
    """Delete the timelines that ended longer ago than this, children before their parents; yield how many with each batch.

    Several at once do not harm one another: what one deletes the other no longer finds. ``dry_run`` only counts.
    A workflow that had other names before is pruned under all of them. What a projection has yet to follow is left. Where
    events are partitioned, and all workflows are asked for, the partitions that nobody needs any more are dropped first,
    each with its timelines. What rows of the project's own that refer to a timeline say by their ``on_delete`` is done.
    """
    using, before = using or router.db_for_write(Timeline), moments.now() - older_than
    if not workflow and not dry_run:
        yield from drop_ended(using, before)
    last = first_id_at(before)
    while ids := _next(using, before, workflow, last):
        last = ids[-1]
        yield len(ids) if dry_run else _delete(using, before, ids)


def kept_for(older_than: timedelta, workflow: str = "", *, using: str | None = None) -> dict[str, int]:
    """Return how many timelines that ended longer ago than this stay, by the label of the model whose rows protect them."""
    using, before = using or router.db_for_write(Timeline), moments.now() - older_than
    found = {label: _among(timelines, workflow).count() for label, timelines in kept(using, before).items()}
    return {label: count for label, count in found.items() if count}


def _next(using: str, before: datetime, workflow: str, last: uuid.UUID) -> list[uuid.UUID]:
    """Return the next ids: a child began after its parent, so that it goes before it."""
    found = _among(prunable(using, before), workflow).filter(id__lt=last).order_by("-id")
    return list(found.values_list("id", flat=True)[:BATCH])


def _among(timelines: TimelineQuerySet, workflow: str) -> TimelineQuerySet:
    if not workflow:
        return timelines
    declaration = registry.find(workflow)
    return timelines.filter(workflow__in=declaration.names if declaration else (workflow,))


def _delete(using: str, before: datetime, ids: list[uuid.UUID]) -> int:
    """Delete these, but what somebody has erased, revoked or deleted since they were found; return how many they were."""
    with transaction.atomic(using=using):
        if connections[using].features.has_select_for_update:  # elsewhere nobody can write between these lines
            still = prunable(using, before).filter(pk__in=ids).order_by("-id").select_for_update()
            ids = list(still.values_list("id", flat=True))
        for model in (*BESIDE, Event):
            model.objects.using(using).filter(timeline__in=ids)._raw_delete(using)
        timelines = Timeline.objects.using(using).filter(pk__in=ids)
        if referring(using):
            return timelines.delete()[1].get(Timeline._meta.label, 0)
        return timelines._raw_delete(using) or 0  # None where there are no ids
