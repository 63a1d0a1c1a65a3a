"""Read the whole history: the database and the world outside."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from django_timelines.models import Event, Lease, Run, Timeline
from django_timelines.state import ENDED

from .history import Answer, History, OpenRun, Plan, Story, Told
from .models import Effect
from .outside import happened
from .workflows import WORKFLOWS

SUMS: dict[str, dict[str, tuple[str, ...]]] = {
    "Chain": {"counted": ("count", "finish")},
    "Fork": {"shared": ("left", "right")},
}


def explanations() -> dict[str, str]:
    """Ask why each open timeline does not move, while the processes are still there."""
    return {str(row.id): str(row.explain()) for row in Timeline.objects.exclude(status__in=ENDED)}


def read(outside: Path, answers: list[Answer], why: dict[str, str]) -> History:
    """Read everything that was stored, and what happened outside."""
    plans = {workflow._declaration.label: _plan(name, workflow._declaration) for name, workflow in WORKFLOWS.items()}
    events: defaultdict[Any, list[Told]] = defaultdict(list)
    listed = ("timeline", "sequence", "type", "step", "data", "attempt", "cause", "item", "version")
    for timeline, *rest in Event.objects.order_by("timeline", "sequence").values_list(*listed).iterator():
        events[timeline].append(Told(*rest))
    rows = Counter(Effect.objects.values_list("timeline", "step"))
    lines = happened(outside)
    runs, orphans = _runs()
    stories = {}
    for row in Timeline.objects.all():
        story = Story(str(row.id), row.workflow, row.key, row.head, row.status, row.state, events[row.id], runs[row.id])
        steps = plans[row.workflow].nodes
        story.rows = Counter({step: rows[row.id, step] for step in steps if rows[row.id, step]})
        story.why = why.get(story.id, "")
        stories[story.id] = story
    for (key, attempt), times in lines.items():
        timeline, _, step = key.partition("-")
        if story := stories.get(str(uuid.UUID(timeline))):
            story.lines[step, attempt] += times
    return History(plans, stories, answers, orphans)


def _plan(name: str, declaration: Any) -> Plan:
    deliveries = {step: str(declared.delivery) for step, declared in declaration.steps.items()}
    return Plan(declaration.graph.nodes, deliveries, SUMS.get(name, {}))


def _runs() -> tuple[defaultdict[Any, list[OpenRun]], int]:
    leases = set(Lease.objects.values_list("run_id", flat=True))
    runs: defaultdict[Any, list[OpenRun]] = defaultdict(list)
    for run in Run.objects.all():
        rung, until, leased = run.ring is not None, run.until is not None, run.id in leases
        runs[run.timeline_id].append(OpenRun(run.step, run.status, run.fence, run.attempt, rung, until, leased))
        leases.discard(run.id)
    return runs, len(leases)
