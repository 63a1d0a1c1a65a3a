"""``timelines show ID``: fields, steps and events, as they are or as of an event."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.color import Style

from ...engine.history import state_at
from ...exceptions import Unknown
from ...models import Event, Timeline
from ...outline import Line, outline
from ...progress import Progress
from ...state import run_key, timeline_status
from . import finding
from .base import Answer, Verb, columns, cut, of_status, type_options, value_text
from .times import moment, written

VALUE = 80  # characters of a field's value; JSON has the whole of it
DETAIL = 60


def _arguments(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    parser.add_argument("--at", type=int, metavar="N", help="As it was after event N.")
    parser.add_argument("--events", type=int, default=50, metavar="N", help="The newest N events. Default: 50.")


def _run(options: type_options, style: Style) -> Answer:
    timeline = finding.timeline(options)
    if options["at"] is not None:
        _go_back(timeline, options["at"])
    first = max(1, timeline.head - max(0, options["events"]) + 1)
    stored = Event.objects.using(timeline.using).filter(timeline=timeline.pk, sequence__range=(first, timeline.head))
    steps, events = outline(timeline).lines, list(stored.order_by("sequence"))
    document = {
        "timeline": _timeline_document(timeline),
        "fields": timeline.state["fields"],
        "steps": [_step_document(line) for line in steps],
        "events": [_event_document(event) for event in events],
        "events_before": first - 1,
    }
    return Answer(document, [*_head(timeline, style), *_body(timeline, steps, events, first, style)])


def _go_back(timeline: Timeline, at: int) -> None:
    """Make this object, which nobody saves, say what the timeline was after that event."""
    if not 1 <= at <= timeline.head:
        raise Unknown(f"{timeline} has the events 1 to {timeline.head}, not {at}.", "unknown_event")
    timeline.state = state_at(timeline.pk, timeline.using, at)
    timeline.head, timeline.status = at, str(timeline_status(timeline.state))
    timeline.changed_at = timeline.events.get(sequence=at).at


def _head(timeline: Timeline, style: Style) -> list[str]:
    rows: list[list[Any]] = [
        ["timeline", str(timeline.pk)],
        ["workflow", timeline.workflow],
        ["status", of_status(timeline.status, style)],
        ["key", timeline.key],
        ["started", moment(timeline.started_at)],
        ["changed", f"{moment(timeline.changed_at)}, event {timeline.head}"],
    ]
    return columns([row for row in rows if row[1]], style)


def _body(timeline: Timeline, steps: tuple[Line, ...], events: list[Event], first: int, style: Style) -> Iterator[str]:
    fields = [(name, cut(value_text(value), VALUE)) for name, value in timeline.state["fields"].items()]
    for title, lines in (
        ("Fields", columns(fields, style)),
        ("Steps", columns([_step(line, style) for line in steps], style)),
        ("Events", columns([_event(event) for event in events], style)),
    ):
        yield ""
        yield style.MIGRATE_HEADING(title)
        if title == "Events" and first > 1:
            yield f"  ({first - 1} before these: --events)"
        yield from (f"  {line}" for line in lines or ["none"])


def _step(line: Line, style: Style) -> list[Any]:
    told = [f"attempt {line.attempt}"] if line.shows_attempt else []
    told += [f"due {moment(line.due)}"] if line.due else []
    told += [f"until {moment(line.until)}"] if line.shows_deadline else []
    told += _of_progress(line.progress) if line.progress else []
    return [line.name, of_status(line.status, style), moment(line.at), ", ".join([*told, *line.errors])]


def _of_progress(progress: Progress) -> list[str]:
    percent = "" if progress.percent is None else f"{progress.percent} %"
    return [part for part in (percent, progress.count, progress.speed, progress.left, progress.message) if part]


def _event(event: Event) -> list[Any]:
    run = run_key(event.step, event.item)
    actor = event.actor_label or event.actor_id or event.actor_type
    number = f"{event.sequence:>4}"
    return [number, moment(event.at), event.type, run, actor, event.placement, cut(" · ".join(_told(event)), DETAIL)]


def _told(event: Event) -> Iterator[str]:
    for name, value in event.data.items():
        if name == "error" and isinstance(value, dict):
            yield f"{value.get('type')}: {value.get('message')}"
        elif name in ("changes", "fields", "input") and isinstance(value, dict):
            yield from (f"{field}={value_text(one)}" for field, one in value.items())
        elif name == "waiting":
            yield "waits for a call"
        elif name != "digest" and value not in ("", None):
            yield f"{name}: {value_text(value)}"


def _timeline_document(timeline: Timeline) -> dict[str, Any]:
    return {
        "id": str(timeline.pk),
        "workflow": timeline.workflow,
        "status": timeline.status,
        "key": timeline.key,
        "head": timeline.head,
        "correlation": str(timeline.correlation),
        "started_by": timeline.started_by,
        "started_at": written(timeline.started_at),
        "changed_at": written(timeline.changed_at),
    }


def _step_document(line: Line) -> dict[str, Any]:
    return {
        "step": line.name,
        "status": str(line.status),
        "attempt": line.attempt,
        "at": written(line.at),
        "due": written(line.due),
        "until": written(line.until),
        "errors": list(line.errors),
        "progress": asdict(line.progress) if line.progress else None,
    }


def _event_document(event: Event) -> dict[str, Any]:
    return {
        "sequence": event.sequence,
        "type": event.type,
        "version": event.version,
        "step": event.step,
        "item": event.item,
        "attempt": event.attempt,
        "at": written(event.at),
        "actor": {"type": event.actor_type, "id": event.actor_id, "label": event.actor_label},
        "placement": event.placement,
        "cause": event.cause,
        "data": event.data,
    }


VERB = Verb("show", "Show a timeline: its fields, steps and events.", _arguments, _run)
