"""Read the whole history: the database and the world outside."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from django_timelines import moments
from django_timelines.items import read_all
from django_timelines.models import Event, Lease, Notice, Place, Projection, Run, Schedule, Timeline
from django_timelines.state import ENDED, run_key

from .history import Answer, History, OpenRun, Plan, Projected, Story, Timetable, Told
from .models import Effect, Followed, Reacted
from .outside import happened
from .projections import FOLLOWED, REACTED, Record
from .workflows import EVERY, WORKFLOWS

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
    listed = ("timeline", "sequence", "type", "step", "data", "attempt", "cause", "item", "version", "cause_timeline")
    for timeline, *rest, elsewhere in Event.objects.order_by("timeline", "sequence").values_list(*listed).iterator():
        events[timeline].append(Told(*rest, elsewhere=str(elsewhere or "")))
    rows: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    for timeline, run in Effect.objects.values_list("timeline", "step"):
        rows[timeline][run] += 1
    lines = happened(outside)
    runs, orphans = _runs()
    stories = {}
    for row in Timeline.objects.all():
        state = read_all(row)
        story = Story(str(row.id), row.workflow, row.key, row.head, row.status, state, events[row.id], runs[row.id])
        story.rows, story.why, story.parent = rows[row.id], why.get(story.id, ""), str(row.parent or "")
        stories[story.id] = story
    for (key, attempt), times in lines.items():
        timeline, _, run = key.partition("-")
        if story := stories.get(str(uuid.UUID(timeline))):
            story.lines[run, attempt] += times
    return History(plans, stories, answers, orphans, Notice.objects.count(), _timetables(), _projected())


def _plan(name: str, declaration: Any) -> Plan:
    deliveries = {step: str(one.delivery) for step, one in declaration.steps.items() if one.child is None}
    undos = {step: undo for step in declaration.steps if (undo := declaration.undo_of(step))}
    return Plan(declaration.graph.nodes, deliveries, SUMS.get(name, {}), undos)


def _runs() -> tuple[defaultdict[Any, list[OpenRun]], int]:
    leases = set(Lease.objects.values_list("run_id", flat=True))
    runs: defaultdict[Any, list[OpenRun]] = defaultdict(list)
    for run in Run.objects.all():
        rung, until, leased = run.ring is not None, run.until is not None, run.id in leases
        key = run_key(run.step, run.item)
        runs[run.timeline_id].append(OpenRun(key, run.status, run.fence, run.attempt, rung, until, leased))
        leases.discard(run.id)
    return runs, len(leases)


def _timetables() -> list[Timetable]:
    begun: defaultdict[str, list[Any]] = defaultdict(list)
    for state in Timeline.objects.values_list("state", flat=True):
        if said := state.get("schedule"):
            begun[said["name"]].append(moments.from_text(said["tick"]))
    return [
        Timetable(row.name, EVERY, row.last_tick, begun[row.name], [*map(moments.from_text, row.queue)], row.error)
        for row in Schedule.objects.filter(last_tick__isnull=False)
    ]


def _projected() -> Projected:
    rows, reactions = (
        [
            (str(timeline), sequence)
            for timeline, sequence in model.objects.order_by("id").values_list("timeline", "sequence")
        ]
        for model in (Followed, Reacted)
    )
    places = Place.objects.filter(projection=Record.label).values_list("timeline_id", "sequence")
    error = Projection.objects.get(label=Record.label).error
    return Projected(rows, reactions, {str(timeline): at for timeline, at in places}, FOLLOWED, REACTED, error)
