"""``timelines show ID``: fields, steps and events, as they are or as of an event."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.color import Style

from ... import moments
from ...audit import through, who
from ...engine.history import state_at
from ...exceptions import Unknown
from ...models import Event, Timeline
from ...outline import Line, outline
from ...progress import Progress
from ...state import run_key, timeline_status
from . import finding
from .base import Answer, Verb, columns, cut, of_status, type_options, value_text
from .causes import of_family
from .times import moment, written
from .typed import number, word

VALUE = 80  # characters of a field's value; JSON has the whole of it
DETAIL = 60
CHILDREN = 50  # the newest of them
NOISE = ("digest", "through", "caller", "instead_of", "timed", "slots", "child")  # said elsewhere, or the engine's own


def _arguments(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    parser.add_argument("--at", type=int, metavar="N", help="As it was after event N.")
    parser.add_argument("--events", type=number, default=50, metavar="N", help="The newest N events. Default: 50.")
    parser.add_argument(
        "--family", action="store_true", help="What led to what, over all timelines of the family: its first events."
    )
    parser.add_argument("--after", type=word, metavar="EVENT", help="With --family: go on where an answer ended.")


def _run(options: type_options, style: Style) -> Answer:
    timeline = finding.timeline(options)
    if options["family"] and options["at"] is not None:
        options["usage_error"]("argument --at: not with --family, which tells of all events.")
    if options["family"]:
        return of_family(timeline, options, style)
    if options["after"] is not None:
        options["usage_error"]("argument --after: with --family only.")
    if options["at"] is not None:
        _go_back(timeline, options["at"])
    first = max(1, timeline.head - options["events"] + 1)
    stored = Event.objects.using(timeline.using).filter(timeline=timeline.pk, sequence__range=(first, timeline.head))
    steps, events = outline(timeline).lines, list(stored.order_by("sequence"))
    children, more = _children(timeline)
    document = {
        "timeline": _timeline_document(timeline),
        "fields": timeline.state["fields"],
        "steps": [_step_document(line) for line in steps],
        "children": [_child_document(child) for child in children],
        "children_before": more,
        "events": [_event_document(event) for event in events],
        "events_before": first - 1,
    }
    family = _before(more) + columns([_child(child, style) for child in children], style)
    told = _before(first - 1, ": --events") + columns([_event(event) for event in events], style)
    return Answer(document, [*_head(timeline, style), *_body(timeline, steps, family, told, style)])


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
        ["parent", _parent(timeline)],
        ["started", moment(timeline.started_at)],
        ["changed", f"{moment(timeline.changed_at)}, event {timeline.head}"],
    ]
    return columns([row for row in rows if row[1]], style)


def _parent(timeline: Timeline) -> str:
    """Name the timeline that began this one, and its step."""
    begun_by = timeline.state.get("parent")
    return f"{timeline.parent}, {run_key(begun_by['step'], begun_by['item'])}" if begun_by else ""


def _children(timeline: Timeline) -> tuple[list[Timeline], int]:
    """Return the newest children that there were at the event that is shown, and how many older ones there are."""
    begun = timeline.children.filter(events__sequence=1, events__cause__lte=timeline.head)
    newest = list(begun.reverse()[: CHILDREN + 1])
    return newest[:CHILDREN][::-1], begun.count() - CHILDREN if newest[CHILDREN:] else 0


def _body(
    timeline: Timeline, steps: tuple[Line, ...], children: list[str], events: list[str], style: Style
) -> Iterator[str]:
    fields = [(name, cut(value_text(value), VALUE)) for name, value in timeline.state["fields"].items()]
    parts = [("Fields", columns(fields, style)), ("Steps", list(_steps(steps, style)))]
    parts += [("Children", children)] if children else []
    for title, lines in [*parts, ("Events", events)]:
        yield ""
        yield style.MIGRATE_HEADING(title)
        yield from (f"  {line}" for line in lines or ["none"])


def _steps(steps: tuple[Line, ...], style: Style) -> Iterator[str]:
    for line, text in zip(steps, columns([_step(line, style) for line in steps], style), strict=True):
        yield text
        if line.more:
            yield f"(and {line.more:,} more)"


def _before(number: int, option: str = "") -> list[str]:
    return [f"({number} before these{option})"] if number else []


def _step(line: Line, style: Style) -> list[Any]:
    told = ["{:,} of {:,}".format(*line.items)] if line.items else []
    told += [f"attempt {line.attempt}"] if line.shows_attempt else []
    told += [f"due {moment(line.due)}"] if line.due else []
    told += [f"until {moment(line.until)}"] if line.shows_deadline else []
    told += _of_progress(line.progress) if line.progress else []
    return [line.name, of_status(line.status, style), moment(line.at), ", ".join([*told, *line.errors])]


def _of_progress(progress: Progress) -> list[str]:
    percent = "" if progress.percent is None else f"{progress.percent} %"
    return [part for part in (percent, progress.count, progress.speed, progress.left, progress.message) if part]


def _child(child: Timeline, style: Style) -> list[Any]:
    begun_by = child.state["parent"]
    run = run_key(begun_by["step"], begun_by["item"])
    return [run, child.workflow, str(child.pk), of_status(child.status, style)]


def _event(event: Event) -> list[Any]:
    run = run_key(event.step, event.item)
    number = f"{event.sequence:>4}"
    return [
        number,
        moment(event.at),
        event.type,
        run,
        who(event),
        event.placement,
        cut(" · ".join(_told(event)), DETAIL),
    ]


def _told(event: Event) -> Iterator[str]:
    for name, value in event.data.items():
        if name == "error" and isinstance(value, dict):
            yield ": ".join(str(value[part]) for part in ("type", "message") if value.get(part))
        elif name in ("changes", "fields", "input") and isinstance(value, dict):
            yield from (f"{field}={value_text(one)}" for field, one in value.items())
        elif name == "waiting":
            child = event.data.get("child")
            yield f"waits for timeline {uuid.UUID(child)}" if child else "waits for a call"
        elif name == "assigned":
            yield f"for {value['label']}" if value else "for all who may call it"
        elif name in ("due", "until") and value:
            yield f"{name} {moment(moments.from_text(value))}"
        elif name not in NOISE and value not in ("", None):
            yield f"{name}: {value_text(value)}"


def _timeline_document(timeline: Timeline) -> dict[str, Any]:
    return {
        "id": str(timeline.pk),
        "workflow": timeline.workflow,
        "status": timeline.status,
        "key": timeline.key,
        "head": timeline.head,
        "correlation": str(timeline.correlation),
        "parent": str(timeline.parent) if timeline.parent else None,
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
        "items": {"settled": line.items[0], "count": line.items[1]} if line.items else None,
    }


def _child_document(child: Timeline) -> dict[str, Any]:
    begun_by = child.state["parent"]
    return {
        "id": str(child.pk),
        "workflow": child.workflow,
        "status": child.status,
        "step": begun_by["step"],
        "item": begun_by["item"],
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
        "through": through(event),
        "placement": event.placement,
        "cause": event.cause,
        "cause_timeline": str(event.cause_timeline) if event.cause_timeline else None,
        "data": event.data,
    }


VERB = Verb("show", "Show a timeline: its fields, steps and events.", _arguments, _run)
