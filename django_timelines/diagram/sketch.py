"""A diagram is made: from a class its boxes, arrows and words, from a timeline's state where it stands."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..drawing import AGAIN, Arrow, Drawing, Route, Size, draw
from ..drawing.text import cut, width, wrapped
from ..graph import Dependency, Node, answer
from ..models import Timeline
from ..outline import title_of
from ..registry import Declaration
from ..state import GRAVEST_FIRST, StepStatus, settled_items, step_status, type_run, type_state
from ..steps import Step
from .parts import MARK, STACK, Box, Diagram, Line, Tab

NARROWEST, WIDEST = 136.0, 196.0
TITLE, WORD = 14.0, 11.5  # sizes of letters; of a title a little more, for it is bold
_BESIDE = 36.0 + 10.0  # of a text: the icon, and the room on its right
_UNREACHED = frozenset({StepStatus.UPCOMING, StepStatus.NOT_TAKEN, StepStatus.NOT_REACHED})


class Sketch:
    """A diagram that is being made."""

    def __init__(
        self,
        declaration: Declaration,
        timeline: Timeline | None,
        rows: Mapping[str, str],
        open_runs: Mapping[str, Mapping[str, int]],
        child_url: Callable[[uuid.UUID], str] | None,
    ) -> None:
        self._declaration = declaration
        self._timeline = timeline
        self._state: type_state | None = timeline.state if timeline else None
        self._nodes = declaration.graph.nodes
        self._rows = rows
        self._open_runs = open_runs
        self._child_url = child_url

    @property
    def diagram(self) -> Diagram:
        """All of it."""
        drawing, timeline = self._drawing, self._timeline
        lines = sorted((self._line(route) for route in drawing.routes), key=lambda line: line.is_walked)
        title = self._declaration.title
        return Diagram(
            f"diagram-{timeline.id.hex}" if timeline else f"diagram-{self._declaration.label.replace('.', '-')}",
            _("%(workflow)s: %(status)s") % {"workflow": title, "status": _(timeline.status)} if timeline else title,
            _("The steps from top to bottom; each says what it comes after."),
            drawing.width,
            drawing.height,
            tuple(self._box(node, drawing) for node in self._nodes.values()),
            tuple(lines),
            timeline,
        )

    @cached_property
    def _drawing(self) -> Drawing:
        return draw({name: self._size(node) for name, node in self._nodes.items()}, list(self._arrows()))

    def _arrows(self) -> Iterator[Arrow]:
        for node in self._nodes.values():
            yield from (Arrow(one.step, node.name, one.outcome) for one in node.after)
            if (again := self._step(node).again) is not None:
                yield Arrow(node.name, again.name, AGAIN)

    # The boxes

    def _size(self, node: Node) -> Size:
        above = (STACK if node.each else 0.0) + (13.0 if self._step(node).when else 0.0)
        above += (16.0 if self._step(node).when else 13.0) if _is_any(node) else 0.0
        below = 13.0 if self._outcomes(node.name) else 0.0
        return Size(self._width, 46.0 if len(self._lines[node.name]) == 1 else 62.0, above, below)

    @cached_property
    def _width(self) -> float:
        """All boxes are as wide as the one that needs the most."""
        needed = [NARROWEST]
        for node in self._nodes.values():
            most = max(width(part, TITLE) for part in wrapped(title_of(node.name), WIDEST - self._beside(node), TITLE))
            needed.append(max(most, self._room(node)) + self._beside(node) + 2)
        return float(round(min(WIDEST, max(needed))))

    def _room(self, node: Node) -> float:
        """Return how much room its word wants, whatever that is by then: while a timeline moves on, no box does."""
        if self._state is None:
            return width(self._word(node), WORD)
        return max(width(_(str(status)), WORD) for status in StepStatus) + (
            width(", 99 of 99", WORD) if node.each else 0.0
        )

    @cached_property
    def _lines(self) -> dict[str, tuple[str, ...]]:
        return {
            name: wrapped(title_of(name), self._width - self._beside(node), TITLE) for name, node in self._nodes.items()
        }

    def _beside(self, node: Node) -> float:
        return _BESIDE + (MARK if self._has_mark(node) else 0.0)

    def _has_mark(self, node: Node) -> bool:
        is_standing = self._timeline is not None or bool(self._open(node))
        return is_standing and (self._waits(node) or self._step(node).child is not None)

    def _box(self, node: Node, drawing: Drawing) -> Box:
        step, frame, word = self._step(node), drawing.frames[node.name], self._word(node)
        ports = [(name, drawing.ports[node.name, name]) for name in self._outcomes(node.name)]
        child = self._child_of(node)
        return Box(
            node.name,
            title_of(node.name),
            word,
            self._round(node),
            ". ".join(self._told(node)),
            self._lines[node.name],
            cut(word, frame.width - self._beside(node), WORD),
            self._css(node),
            self._status(node),
            frame,
            tuple(Tab(_(name), frame.width / 2 + x) for name, x in ports),
            self._rows.get(node.name, ""),
            self._child_url(child) if child is not None and self._child_url else "",
            waits=self._waits(node),
            is_guarded=step.when is not None,
            is_any=_is_any(node),
            is_nested=step.child is not None,
            has_items=node.each is not None,
            is_sent_back=step.again is not None,
        )

    def _outcomes(self, name: str) -> list[str]:
        found = [one.outcome for node in self._nodes.values() for one in node.after if one.step == name]
        return [outcome for outcome in dict.fromkeys(found) if outcome != "done"]

    # What they say

    def _word(self, node: Node) -> str:
        """Say where the step stands; of a class, how many runs are open there, or what kind of step it is."""
        if self._state is None:
            return self._counted(node) or _each(node) or self._kind(node)
        run = self._run(node)
        word = _("undone") if "undone" in run else _(self._status(node))
        if "each" in run:
            settled, count = settled_items(self._state, node.name)
            said = _("%(status)s, %(settled)d of %(count)d") % {"status": word, "settled": settled, "count": count}
            return said if count else word
        return word

    def _counted(self, node: Node) -> str:
        runs = self._open(node)
        said = [
            _("%(count)d %(status)s") % {"count": runs[one], "status": _(one)} for one in GRAVEST_FIRST if one in runs
        ]
        return ", ".join(said)

    def _open(self, node: Node) -> Mapping[str, int]:
        return self._open_runs.get(node.name, {})

    def _round(self, node: Node) -> str:
        """Say which round it is in, from the second one on."""
        number = self._state.get("rounds", {}).get(node.name, 1) if self._state is not None else 1
        return _("round %(number)d") % {"number": number} if number > 1 else ""

    def _kind(self, node: Node) -> str:
        child = self._step(node).child
        if child is not None:
            return _("begins %(workflow)s") % {"workflow": child._declaration.title}
        return _("waits for a call") if node.waits else _("runs by itself")

    def _told(self, node: Node) -> Iterator[str]:
        """Say all that is to be seen."""
        yield _("%(step)s: %(word)s") % {"step": title_of(node.name), "word": self._word(node)}
        if said := self._round(node):
            yield capfirst(said)
        is_standing = self._state is not None or bool(self._open(node))
        if is_standing or node.each:
            yield capfirst(self._kind(node))
        if is_standing and node.each:
            yield capfirst(_each(node))
        if self._step(node).when is not None:
            yield _("Only if its guard says so")
        names = [_told_of(one) for one in node.after]
        if names:
            sentence = _("After any of %(steps)s") if _is_any(node) else _("After %(steps)s")
            yield sentence % {"steps": ", ".join(names)}
        if (again := self._step(node).again) is not None:
            has_sent = self._has_sent_back(node.name, again.name)
            sentence = _("Has sent the work back to %(step)s") if has_sent else _("Sends the work back to %(step)s")
            yield sentence % {"step": title_of(again.name)}

    def _status(self, node: Node) -> str:
        if self._state is None:
            return next((str(one) for one in GRAVEST_FIRST if one in self._open(node)), "")
        return str(step_status(self._state, node.name))

    def _css(self, node: Node) -> str:
        if "undone" in self._run(node):
            return "cancelled"
        return self._status(node).replace(" ", "-") or "declared"

    def _waits(self, node: Node) -> bool:
        return node.waits and self._step(node).child is None

    def _child_of(self, node: Node) -> uuid.UUID | None:
        child = self._run(node).get("child")
        return uuid.UUID(child) if child else None

    def _run(self, node: Node) -> type_run:
        run: type_run = self._state["runs"].get(node.name, {}) if self._state is not None else {}
        return run

    def _step(self, node: Node) -> Step[...]:
        return self._declaration.steps[node.name]

    # The arrows

    def _line(self, route: Route) -> Line:
        arrow = route.arrow
        if arrow.outcome == AGAIN:
            return Line(route, self._has_sent_back(arrow.source, arrow.target), is_aside=False, is_back=True)
        return Line(route, self._is_walked(arrow), is_aside=arrow.outcome != "done", is_back=False)

    def _has_sent_back(self, source: str, target: str) -> bool:
        """Tell whether the timeline went back along this way, in whichever round."""
        return self._state is not None and self._state.get("sent_back", {}).get(source) == target

    def _is_walked(self, arrow: Arrow) -> bool:
        """Tell whether the target was reached, and this is one of the ways that led to it."""
        if self._state is None or step_status(self._state, arrow.target) in _UNREACHED:
            return False
        return (
            arrow.target in self._state["runs"]
            and answer(Dependency(arrow.source, arrow.outcome), self._state) == "done"
        )


def _is_any(node: Node) -> bool:
    return node.joins == "any" and len(node.after) > 1


def _each(node: Node) -> str:
    return _("for each of %(field)s") % {"field": node.each.field} if node.each else ""


def _told_of(one: Dependency) -> str:
    title = title_of(one.step)
    return title if one.outcome == "done" else _("%(step)s %(outcome)s") % {"step": title, "outcome": _(one.outcome)}
