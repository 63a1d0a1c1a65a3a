"""``timelines schedules``: when each begins a timeline next; and a pause of one."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.color import Style

from ... import registry
from ...actors import current
from ...engine import ticks
from ...exceptions import Unknown
from ...models import Schedule
from . import finding
from .base import Answer, Cell, Verb, columns, plain, type_options
from .times import moment, written
from .typed import storable, word

_HEADING = ("workflow", "name", "times", "status", "next tick", "last tick", "outcome", "queue")


def _arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_mutually_exclusive_group()
    help = "Begin nothing at the ticks of this workflow's schedules."
    verbs.add_argument("--pause", type=word, metavar="LABEL", help=help)
    verbs.add_argument("--resume", type=word, metavar="LABEL", help="Go on with the first tick from now on.")
    parser.add_argument("--name", type=storable, metavar="NAME", help="With these: only the schedule of this name.")


def _run(options: type_options, style: Style) -> Answer:
    rows = Schedule.objects.using(finding.database(options))
    pauses = options["pause"] is not None
    label = options["pause"] if pauses else options["resume"]
    if label is not None:
        named = _named(rows, label, options["name"])
        for row in [row for row in named if pauses or ticks.find_declared(row)] or named:
            ticks.pause(row, current()) if pauses else ticks.resume(row)
    elif options["name"] is not None:
        options["usage_error"]("argument --name: with --pause or --resume only.")
    found = list(rows.all())
    lines = columns([_cells(row, style) for row in found], style, _HEADING)
    lines += [f"{row}: {plain(row.error)}" for row in found if row.error]
    known = {(registry.current(row.workflow), row.name) for row in found}
    new = [
        (label, name)
        for label, one in registry.everything().items()
        for name in one.schedules
        if (label, name) not in known
    ]
    lines += [f"{label} {name}".rstrip() + ": no clock has looked at it yet." for label, name in new]
    document = {"schedules": [_document(row) for row in found]}
    document["new"] = [{"workflow": label, "name": name} for label, name in new]
    return Answer(document, lines or ["There are none."])


def _named(rows: Any, label: str, name: str | None) -> list[Schedule]:
    declaration = registry.find(label)
    wanted = rows.filter(workflow__in=declaration.names if declaration else (label,))
    found = list(wanted if name is None else wanted.filter(name=name))
    if not found:
        raise Unknown(
            f"There is no schedule {f'{label} {name or str()}'.rstrip()!r} that a clock has looked at.",
            "unknown_schedule",
        )
    return found


def _cells(row: Schedule, style: Style) -> list[str | Cell]:
    status = ticks.status_of(row)
    paint = style.SUCCESS if status == ticks.ScheduleStatus.ON else style.WARNING
    last = moment(row.last_tick) if row.last_tick else ""
    begins = moment(row.next_tick) if status in (ticks.ScheduleStatus.ON, ticks.ScheduleStatus.FAILING) else ""
    queue = str(len(row.queue) or "")
    return [
        row.workflow,
        row.name,
        f"{row.cron} ({row.tz})",
        Cell(str(status), paint),
        begins,
        last,
        row.outcome,
        queue,
    ]


def _document(row: Schedule) -> dict[str, Any]:
    return {
        "workflow": row.workflow,
        "name": row.name,
        "cron": row.cron,
        "tz": row.tz,
        "status": str(ticks.status_of(row)),
        "next_tick": written(row.next_tick),
        "last_tick": written(row.last_tick),
        "outcome": row.outcome,
        "timeline": str(row.timeline) if row.timeline else None,
        "queue": row.queue,
        "error": row.error,
        "paused_at": written(row.paused_at),
        "paused_by": row.paused_by,
    }


VERB = Verb("schedules", "List the schedules: next tick, last tick, status. Pause and resume them.", _arguments, _run)
