"""``timelines graph LABEL | ID``: the steps as the class declares them, and where one timeline stands on them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.management.color import Style

from ... import registry
from ...diagram import as_file, diagram_of
from ...graph import Node
from ...models import Timeline
from ...people import Reminding
from ...registry import Declaration
from ...state import StepStatus, step_status
from ...steps import Delivery, Each
from . import finding
from .base import Answer, Cell, Verb, columns, of_status, type_options

_FILLS = {  # of a status in a drawing
    "done": ("#d9f2dd", "#2e7d32"),
    "open": ("#dbeafe", "#1d4ed8"),
    "needs_a_person": ("#fde2e1", "#b3261e"),
    "away": ("#f3f4f6", "#9ca3af"),
}
_CLASSES = {
    StepStatus.COMPLETED: "done",
    StepStatus.SKIPPED: "done",
    StepStatus.DUE: "open",
    StepStatus.RUNNING: "open",
    StepStatus.RETRYING: "open",
    StepStatus.WAITING: "open",
    StepStatus.BLOCKED: "needs_a_person",
    StepStatus.FAILED: "needs_a_person",
    StepStatus.OVERDUE: "needs_a_person",
    StepStatus.NOT_TAKEN: "away",
    StepStatus.NOT_REACHED: "away",
    StepStatus.CANCELLED: "away",
}


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A class, and the timeline of it that is drawn, if any."""

    declaration: Declaration
    timeline: Timeline | None = None

    def status(self, step: str) -> StepStatus | None:
        """Return where the step stands."""
        return step_status(self.timeline.state, step) if self.timeline else None


def _arguments(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    for action in parser._actions:
        if action.dest == "timeline":
            action.metavar, action.help = "LABEL|ID", f"A workflow (signup.Signup), or a timeline: {action.help}"
    parser.add_argument("--format", choices=("text", "svg", "mermaid"), default="text", help="Default: text.")


def _run(options: type_options, style: Style) -> Answer:
    drawn = _drawn(options)
    nodes = drawn.declaration.graph.nodes.values()
    document: dict[str, Any] = {"workflow": drawn.declaration.label}
    document |= {"timeline": str(drawn.timeline.pk), "status": drawn.timeline.status} if drawn.timeline else {}
    document |= {"steps": [_document(drawn, node) for node in nodes]}
    if options["format"] == "mermaid":
        lines = list(_mermaid(drawn))
        return Answer(document | {"mermaid": "\n".join(lines)}, lines)
    if options["format"] == "svg":
        svg = as_file(diagram_of(drawn.declaration, drawn.timeline)).strip()
        return Answer(document | {"svg": svg}, svg.splitlines())
    return Answer(document, list(_text(drawn, style)))


def _drawn(options: type_options) -> _Drawn:
    named = options["timeline"]
    if not options["key"] and (declaration := registry.find(named)):
        return _Drawn(declaration)
    if not options["key"] and "." in named:
        registry.get(named)  # says which there are
    timeline = finding.timeline(options)
    return _Drawn(registry.get(timeline.workflow), timeline)


def _text(drawn: _Drawn, style: Style) -> Iterator[str]:
    timeline = drawn.timeline
    yield style.MIGRATE_HEADING(drawn.declaration.label) + (f" {timeline.pk}, {timeline.status}" if timeline else "")
    rows: list[list[str | Cell]] = []
    for node in drawn.declaration.graph.nodes.values():
        status = drawn.status(node.name)
        standing = [of_status(status, style)] if status else []
        rows.append([node.name, *standing, _after(node), ", ".join(_notes(drawn.declaration, node))])
    yield from (f"  {line}" for line in columns(rows, style))


def _after(node: Node) -> str:
    names = [one.step if one.outcome == "done" else f"{one.step}.{one.outcome}" for one in node.after]
    if not names:
        return "begins"
    return f"after {' or '.join(names)}" if node.joins == "any" else f"after {', '.join(names)}"


def _notes(declaration: Declaration, node: Node) -> Iterator[str]:
    step = declaration.steps[node.name]
    if step.child is not None:
        yield f"begins {step.child._declaration.label}"
    if node.each is not None:
        yield from _each(node.each)
    if node.waits:
        yield "waits for a call"
    if step.when is not None:
        yield "guarded"
    for option, value in (("delay", step.delay), ("until", step.until), ("within", step.within)):
        if value is not None:
            yield f"{option} {'as its function says' if callable(value) else _span(value)}"
    if step.assigned is not None:
        yield f"assigned {'as its function says' if callable(step.assigned) else f'to {step.assigned}'}"
    if step.remind is not None:
        yield f"reminds {_reminding(step.remind)}"
    if step.limit is not None:
        yield f"limited to {step.limit.number} at once" + (" for each value" if step.limit.per is not None else "")
    if step.delivery is not Delivery.EXACTLY_ONCE:
        yield str(step.delivery)
    if step.again is not None:
        yield f"then again from {step.again.name}"


def _span(value: timedelta | datetime) -> str:
    return str(value).removesuffix(", 0:00:00")


def _reminding(remind: Reminding | Callable[[Any], Any]) -> str:
    if not isinstance(remind, Reminding):
        return "as its function says"
    return f"every {_span(remind.every)}" if remind.every else f"after {', '.join(map(_span, remind.after))}"


def _each(each: Each) -> Iterator[str]:
    yield f"for each of {each.field}" + (f" by {each.by}" if each.by else "")
    if each.at_once is not None:
        yield f"{each.at_once} at once"
    if each.at_least is not None:
        yield f"{each.at_least} are enough"
    if each.at_most_failed is not None:
        yield f"{each.at_most_failed} may fail"


def _box(drawn: _Drawn, node: Node) -> str:
    """Draw a step: round if it waits for a call, with double sides if it begins a timeline."""
    child = drawn.declaration.steps[node.name].child
    named = node.name if child is None else f"{node.name}: {child._declaration.label}"
    named += f", each of {node.each.field}" if node.each else ""
    if child is not None:
        return f'[["{named}"]]'
    return f'(["{named}"])' if node.waits else f'["{named}"]'


def _mermaid(drawn: _Drawn) -> Iterator[str]:
    yield "flowchart TD"
    for node in drawn.declaration.graph.nodes.values():
        status = _CLASSES.get(drawn.status(node.name) or StepStatus.UPCOMING)
        yield f"    step_{node.name}{_box(drawn, node)}" + (f":::{status}" if status else "")
    for node in drawn.declaration.graph.nodes.values():
        for one in node.after:
            said = one.outcome if one.outcome != "done" else "or" if node.joins == "any" and len(node.after) > 1 else ""
            arrow = "-.->" if one.outcome != "done" else "-->"
            yield f"    step_{one.step} {arrow}{f'|{said}|' if said else ''} step_{node.name}"
    if drawn.timeline:
        for name, (fill, stroke) in _FILLS.items():
            yield f"    classDef {name} fill:{fill},stroke:{stroke},color:#111"


def _document(drawn: _Drawn, node: Node) -> dict[str, Any]:
    status = drawn.status(node.name)
    step = drawn.declaration.steps[node.name]
    return {
        "step": node.name,
        "after": [{"step": one.step, "outcome": one.outcome} for one in node.after],
        "joins": node.joins,
        "waits": node.waits,
        "within": node.within.total_seconds() if node.within else None,
        "delivery": str(step.delivery),
        "each": {name: value for name, value in asdict(node.each).items() if name != "declared"} if node.each else None,
        "begins": step.child._declaration.label if step.child is not None else None,
        "notes": list(_notes(drawn.declaration, node)),
    } | ({"status": str(status)} if status else {})


VERB = Verb("graph", "Draw the steps of a workflow, or where a timeline stands on them.", _arguments, _run)
