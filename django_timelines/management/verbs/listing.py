"""``timelines list``: which there are, the newest first."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.color import Style
from django.db.models import Prefetch

from ...models import Run, Timeline, TimelineQuerySet
from ...sight import MOST_ALIKE
from ...state import TimelineStatus, run_key
from . import finding
from .base import Answer, Verb, columns, of_status, type_options
from .pauses import pause_document, pause_line, pauses_in
from .times import moment, written
from .typed import number, word

HEADING = ("id", "workflow", "status", "started", "key", "open")


def _arguments(parser: ArgumentParser) -> None:
    statuses = [str(status) for status in TimelineStatus]
    parser.add_argument("--status", action="append", choices=statuses, help="Only those; may be given several times.")
    finding.add_workflow(parser, "Only those of this workflow: signup.Signup, say.")
    waiting, blocked = "Only those on which this step waits for a call.", "Only those on which this step is blocked."
    parser.add_argument("--waiting-for", type=word, metavar="STEP", help=waiting)
    parser.add_argument("--blocked-at", type=word, metavar="STEP", help=blocked)
    parser.add_argument("--limit", type=number, default=20, metavar="N", help="At most so many. Default: 20.")
    parser.add_argument("--before", type=word, metavar="ID", help="Only older ones: go on where a list ended.")


def _run(options: type_options, style: Style) -> Answer:
    found = list(_wanted(options).defer("state", "fields").prefetch_related(_OPEN)[: options["limit"] + 1])
    shown, is_cut = found[: options["limit"]], len(found) > options["limit"]
    before = str(shown[-1].pk) if is_cut else None
    lines = columns([_row(one, style) for one in shown], style, HEADING) or ["There are no such timelines."]
    if before:
        lines.append(f"There are older ones: --before {before}")
    pauses = pauses_in(finding.database(options))
    document = {"timelines": [_document(one) for one in shown], "before": before}
    document |= {"paused": [pause_document(pause) for pause in pauses]}
    return Answer(document, [*lines, *(style.WARNING(pause_line(pause)) for pause in pauses)])


def _wanted(options: type_options) -> TimelineQuerySet:
    wanted = finding.among(options).order_by("-id")
    if options["status"]:
        wanted = wanted.filter(status__in=options["status"])
    if options["waiting_for"] is not None:
        wanted = wanted.waiting_for(options["waiting_for"])
    if options["blocked_at"] is not None:
        wanted = wanted.blocked_at(options["blocked_at"])
    if options["before"] is not None:
        wanted = wanted.filter(pk__lt=_before(options))
    return wanted


def _before(options: type_options) -> uuid.UUID:
    """Return the id that was named, whether its timeline is still there or not, or the one that begins so."""
    try:
        return uuid.UUID(options["before"])
    except ValueError:
        return finding.by_id(options, options["before"]).pk


def _row(timeline: Timeline, style: Style) -> list[Any]:
    status = of_status(timeline.status, style)
    opened = list(timeline.runs.all())
    more = _count(opened) - len(opened)
    runs = ", ".join([f"{run} {run.status}" for run in opened] + ([f"and {more:,} more"] if more else []))
    return [str(timeline.pk), timeline.workflow, status, moment(timeline.started_at), timeline.key, runs]


_OPEN = Prefetch("runs", Run.objects.counted().first_alike(MOST_ALIKE).order_by("id"))


def _count(opened: list[Run]) -> int:
    """Return how many are open, of which the first were read."""
    return int(getattr(opened[0], "open", 0)) if opened else 0


def _document(timeline: Timeline) -> dict[str, Any]:
    runs = [{"step": run_key(run.step, run.item), "status": run.status} for run in timeline.runs.all()]
    return {
        "id": str(timeline.pk),
        "workflow": timeline.workflow,
        "status": timeline.status,
        "key": timeline.key,
        "head": timeline.head,
        "started_at": written(timeline.started_at),
        "changed_at": written(timeline.changed_at),
        "open": runs,
        "open_count": _count(list(timeline.runs.all())),
    }


VERB = Verb("list", "List timelines, the newest first.", _arguments, _run)
