"""How many timelines are where. What has ended is not counted: an index leads to the others, however many there are."""

from __future__ import annotations

import uuid

from django.db.models import Count

from .. import registry
from ..models import Run, Timeline
from ..registry import Declaration
from ..state import ENDED, TimelineStatus

type_counts = dict[str, dict[str, int]]

MOST = 1_000  # timelines that a list of those at a step goes through

_OPEN = [str(status) for status in TimelineStatus if status not in ENDED]


def open_timelines(using: str, declaration: Declaration | None = None) -> type_counts:
    """Count by workflow and status, in one query: of all workflows, or of one."""
    rows = Timeline.objects.using(using).filter(status__in=_OPEN)
    if declaration is not None:
        rows = rows.filter(workflow__in=declaration.names)
    counts: type_counts = {}
    for label, status, number in rows.order_by().values_list("workflow", "status").annotate(Count("pk")):
        of = counts.setdefault(registry.current(label), {})  # with those that began under an earlier name
        of[status] = of.get(status, 0) + number
    return counts


def open_runs(using: str, declaration: Declaration) -> type_counts:
    """Count the open runs of a workflow by step and status, in one query."""
    rows = Run.objects.using(using).filter(timeline__workflow__in=declaration.names, timeline__status__in=_OPEN)
    counts: type_counts = {}
    for step, status, number in rows.order_by().values_list("step", "status").annotate(Count("pk")):
        of = counts.setdefault(declaration.current(step), {})
        of[status] = of.get(status, 0) + number
    return counts


def open_at(using: str, declaration: Declaration, step: str) -> list[uuid.UUID]:
    """Return the newest timelines of a workflow on which a run of this step is open."""
    rows = Run.objects.using(using).filter(
        step__in=declaration.names_of(step), timeline__workflow__in=declaration.names, timeline__status__in=_OPEN
    )
    return list(rows.order_by("-timeline_id").values_list("timeline_id", flat=True).distinct()[:MOST])
