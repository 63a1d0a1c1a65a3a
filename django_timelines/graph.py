"""What comes next: a pure function of the declared graph and the state. It runs no step, guard
or function of the project (only a validator, where the list of ``each=`` has one), and never asks a database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from .events import EventType, NewEvent
from .exceptions import DeclarationError
from .moments import to_text
from .state import (
    DONE,
    LATER,
    MOVING,
    RunName,
    StepStatus,
    apply,
    is_open,
    is_settled,
    is_unbegun,
    items_of,
    own,
    run_key,
    settled_items,
    split_key,
    type_run,
    type_state,
)
from .steps import Each, Step, StepOutcome

_BROKEN = frozenset({StepStatus.FAILED, StepStatus.OVERDUE, StepStatus.NOT_REACHED, StepStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Dependency:
    """One member of ``after=``: a step, and the outcome of it that goes on (``done`` unless said otherwise)."""

    step: str
    outcome: str = "done"


@dataclass(frozen=True, slots=True)
class Node:
    """What the graph needs to know of a step."""

    name: str
    after: tuple[Dependency, ...] = ()
    joins: str = "all"
    waits: bool = False
    within: timedelta | None = None
    delay: timedelta | None = None
    until: datetime | None = None
    asks_when: bool = False  # a function says so, which is not asked here
    each: Each | None = None


@dataclass(frozen=True)
class Graph:
    """The steps of a workflow in the order of their definition, which ``after=`` makes a topological one."""

    nodes: Mapping[str, Node]
    _successors: dict[str, list[str]] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, node in enumerate(self.nodes.values()):
            self._places[node.name] = place
            for step in dict.fromkeys(dependency.step for dependency in node.after):
                self._successors.setdefault(step, []).append(node.name)

    @property
    def entry(self) -> Node:
        """The one step without ``after=``."""
        return next(node for node in self.nodes.values() if not node.after)

    def goes_on_from(self, step: str, outcome: str) -> bool:
        """Tell whether the class goes on from this outcome of a step, which makes it final."""
        wanted = Dependency(step, outcome)
        return any(wanted in self.nodes[name].after for name in self._successors.get(step, ()))

    def lets_fail(self, step: str) -> bool:
        """Tell whether the class says what happens when a run of this step fails: that makes it final."""
        node = self.nodes.get(step)
        return self.goes_on_from(step, "failed") or bool(node and node.each and node.each.tolerates)

    def lets_run_late(self, step: str) -> bool:
        """Tell whether the class says what happens when a run of this step is overdue: that makes it final."""
        node = self.nodes.get(step)
        return self.goes_on_from(step, "overdue") or bool(node and node.each and node.each.tolerates)

    def ancestors(self) -> dict[str, set[str]]:
        """Return for each step those that it comes after, however far, on every way that reaches it."""
        found: dict[str, set[str]] = {}
        for node in self.nodes.values():
            ways = [{dependency.step} | found[dependency.step] for dependency in node.after] or [set()]
            found[node.name] = set.union(*ways) if node.joins == "all" else set.intersection(*ways)
        return found

    def decide(
        self, state: type_state, settled: Collection[str], sequence: int, at: datetime, *, begin: str = ""
    ) -> list[NewEvent]:
        """Return what follows from these steps having just been settled, in the order of definition.

        Only what comes after one of them is decided: a step that was added to the class behind the place where this
        timeline stands is not taken, and said to be so once something waits for it. What has changed places with them, and
        was done already, is gone past. ``begin``: a round begins with this step,
        whose turn it is whatever it comes after.
        """
        events: list[NewEvent] = []
        state = own(state)
        begun = {split_key(key)[0] for key in settled}  # an item of theirs may have made room for others
        asked, now, undecided = _Asked(self._places), set(begun), set[str]()
        asked.add(name for name in begun if name in self.nodes and "each" in state["runs"].get(name, {}))
        asked.add([begin] if begin else ())
        for key in settled:
            asked.add(self._successors.get(key, ()))

        def take(decided: Iterable[NewEvent]) -> None:
            for event in decided:
                apply(state, event, sequence + len(events))
                events.append(event)
                if not is_open(state["runs"][event.step]):
                    now.add(event.step)
                    asked.add(self._successors.get(event.step, ()))

        while asked:
            for name in asked:
                node = self.nodes[name]
                decided = list(self._items(node, state, at, settled)) if name in begun else []
                if _is_upcoming(state, name):
                    decided += self._begun(node, state, at) if name == begin else self._decision(node, state, at, now)
                elif name not in begun and self._was_done_before_its_turn(node, state, now):
                    decided += self._left_behind(node, state)
                    asked.add(self._successors.get(name, ()))
                take(decided)
                undecided |= {name} - begun
            take(NewEvent(EventType.STEP_NOT_TAKEN, step) for step in self._passed(undecided, state, begun))
        return events

    def _passed(self, undecided: Iterable[str], state: type_state, moved: Collection[str]) -> list[str]:
        """Return what is upcoming above these, though all that it comes after is settled: it was added when that was done.

        Of several the topmost, as the others' turn may come by them, and none of which it may come by what is open or has just
        ``moved``. A round's first step, which is reached once nothing is left to undo, is none.
        """
        found, seen = list[str](), {state.get("undoing", {}).get("then", "")}
        waiting = [name for name in undecided if _is_upcoming(state, name) or is_settled(state["runs"].get(name))]
        above = [dependency.step for name in waiting for dependency in self.nodes[name].after]
        while above:
            step = above.pop()
            if step in seen or not _is_upcoming(state, step):
                continue
            seen.add(step)
            awaited = [d.step for d in self.nodes[step].after if answer(d, state) is None] or self._awaited(
                step, state, moved
            )
            above += awaited
            if not awaited:
                found.append(step)
        return sorted(found, key=self._places.__getitem__)

    def _awaited(self, step: str, state: type_state, moved: Collection[str]) -> list[str]:
        """Return what a step comes after, past what is settled, and what is not or has just moved."""
        found, above, seen = list[str](), [step], {step}
        while above:
            for name in {dependency.step for dependency in self.nodes[above.pop()].after} - seen:
                seen.add(name)
                is_past = name not in moved and is_settled(state["runs"].get(name))
                (above if is_past else found).append(name)
        return found

    def _items(self, node: Node, state: type_state, at: datetime, settled: Collection[str]) -> Iterator[NewEvent]:
        """After an item was settled: begin the next ones that there is room for. Once enough are done, take none of the rest."""
        every, runs = state["runs"].get(node.name, {}), state["runs"]
        if "each" not in every:
            return
        if is_open(every):
            room, left = self._room(node, every), every["each"]["count"] - every["begun"]
            if room and left:
                for item, run in runs.from_index(node.name, every["begun"], min(room, left)).items():
                    yield self._item(node, item, run["item"], at, state)
        elif node.name in settled and settled_items(state, node.name)[0] < every["each"]["count"]:
            yield from _unbegun_items(state, node.name)

    def _room(self, node: Node, every: type_run) -> int:
        counts = every["each"]
        open_now: int = sum(counts.get(status, 0) for status in (*MOVING, LATER, StepStatus.WAITING))
        at_once: int = (node.each.at_once if node.each else None) or counts["count"]
        return max(0, at_once - open_now)

    def _item(self, node: Node, item: str, value: Any, at: datetime, state: type_state) -> NewEvent:
        waiting = self._waiting(node, at, state["runs"].get(run_key(node.name, item), {}))
        return NewEvent(EventType.STEP_DUE, node.name, item, data={"value": value} | waiting)

    def _decision(self, node: Node, state: type_state, at: datetime, now: Collection[str]) -> list[NewEvent]:
        """Decide an upcoming step. ``now``: what is being settled; what was done before that is of an earlier round."""
        turn = self._turn(node, state, now)
        if turn is EventType.STEP_DUE:
            return [*self._left_behind(node, state), *self.reach(node, state, at)]
        return [NewEvent(turn, node.name)] if turn else []

    def _turn(self, node: Node, state: type_state, now: Collection[str]) -> EventType | None:
        """Return what is to be said of a step by what it comes after, or None while that is open."""
        answers = [answer(dependency, state) for dependency in node.after]
        done = {dependency.step for dependency, said in zip(node.after, answers, strict=True) if said == "done"}
        if node.joins == "any" and done and (None not in answers or not done.isdisjoint(now)):
            return EventType.STEP_DUE
        if None in answers:
            return None
        if "broken" in answers:
            return EventType.STEP_NOT_REACHED
        return EventType.STEP_DUE if done else EventType.STEP_NOT_TAKEN

    def _was_done_before_its_turn(self, node: Node, state: type_state, now: Collection[str]) -> bool:
        """Tell whether a step would be due now that is settled: it came before what is being settled when it was done."""
        return is_settled(state["runs"].get(node.name)) and self._turn(node, state, now) is EventType.STEP_DUE

    def _begun(self, node: Node, state: type_state, at: datetime) -> list[NewEvent]:
        """Begin a round with this step, unless ``any_of`` has gone on without it while something was undone."""
        if self.is_left_behind(state, RunName(node.name)):
            return [NewEvent(EventType.STEP_NOT_TAKEN, node.name)]
        return self.reach(node, state, at)

    def _left_behind(self, node: Node, state: type_state) -> Iterator[NewEvent]:
        if node.joins != "any":
            return
        begins = state.get("undoing", {}).get("then")  # not before all is undone
        for step in dict.fromkeys(dependency.step for dependency in node.after if dependency.step != begins):
            run = state["runs"].get(step)
            if run is not None and is_open(run) and "each" in run:
                yield from _unbegun_items(state, step)
            elif run is None or run["status"] == StepStatus.UPCOMING or is_unbegun(run):
                yield NewEvent(EventType.STEP_NOT_TAKEN, step)

    def is_left_behind(self, state: type_state, name: RunName) -> bool:
        """Tell whether enough of the step's items are done without this one, or ``any_of`` has gone on without the step."""
        if name.round:
            return False  # it goes on beside what an earlier round came to
        if name.item and is_settled(state["runs"].get(name.step)):
            return True
        behind = [self.nodes[step] for step in self._successors.get(name.step, ())]
        return any(node.joins == "any" and not _is_upcoming(state, node.name) for node in behind)

    def reach(self, node: Node, state: type_state, at: datetime) -> list[NewEvent]:
        """Return the events that say: it is this step's turn. For a step with ``each=`` the list is read here, once."""
        if node.each is None:
            data = self._waiting(node, at, state["runs"].get(node.name, {}))
            return [NewEvent(EventType.STEP_DUE, node.name, data=data)]
        try:
            items = node.each.items(node.each.list_in(state["fields"]))
        except ValueError as error:
            said = {"type": "", "message": str(error), "traceback": ""}
            return [NewEvent(EventType.STEP_BLOCKED, node.name, data={"reason": "each", "error": said})]
        first, enough = len(items) if node.each.at_once is None else node.each.at_once, node.each.at_least
        out_of_reach = enough is not None and enough > len(items)  # the step fails, and begins none of them
        first = 0 if out_of_reach else first
        every: dict[str, Any] = {"each": len(items), "enough": enough}
        every |= {"may_fail": node.each.at_most_failed} if node.each.at_most_failed is not None else {}
        every |= {"rest": [list(pair) for pair in items[first:]]} if items[first:] else {}
        begun = NewEvent(EventType.STEP_DUE, node.name, data=every)
        if out_of_reach:
            return [begun, *(NewEvent(EventType.STEP_NOT_TAKEN, node.name, item) for item, _value in items)]
        return [begun, *(self._item(node, item, value, at, state) for item, value in items[:first])]

    def _waiting(self, node: Node, at: datetime, run: type_run) -> dict[str, Any]:
        if node.asks_when:
            return {}
        due = at + node.delay if node.delay is not None else node.until
        data = when_due(at, due, node.within) if due is not None or node.within is not None else {}
        if node.waits and not run.get("early"):  # a call that was kept is there already
            data["waiting"] = True
        return data


class _Asked:
    """The steps that may be decided now, each once, in the order of definition: one pass settles all below.

    What ``any_of`` leaves behind may have something above to settle: that has its turn in a next pass.
    """

    def __init__(self, places: Mapping[str, int]) -> None:
        self._places = places
        self._now = (0, -1, "")  # the pass, the step's place and its name
        self._next: list[tuple[int, int, str]] = []

    def add(self, names: Iterable[str]) -> None:
        turn, place, _name = self._now
        for name in names:
            heappush(self._next, (turn + (self._places[name] <= place), self._places[name], name))

    def __bool__(self) -> bool:
        return bool(self._next)

    def __iter__(self) -> Iterator[str]:
        while self._next:
            found = heappop(self._next)
            if found != self._now:
                self._now = found
                yield found[2]


def when_due(at: datetime, due: datetime | None, within: timedelta | None) -> dict[str, Any]:
    """Return what ``StepDue`` says of a step that is reached now: not before when, and its deadline, counted from then."""
    data: dict[str, Any] = {"due": to_text(due)} if due is not None and due > at else {}
    return data | ({"until": to_text(max(at, due or at) + within)} if within is not None else {})


def _unbegun_items(state: type_state, step: str) -> Iterator[NewEvent]:
    for item, run in items_of(state, step).items():
        is_listed = "index" in run  # a call that is kept may name what is no item
        if (run["status"] == StepStatus.UPCOMING and is_listed) or is_unbegun(run):
            yield NewEvent(EventType.STEP_NOT_TAKEN, step, item)


def _is_upcoming(state: type_state, step: str) -> bool:
    run = state["runs"].get(step)
    return run is None or run["status"] == StepStatus.UPCOMING


def answer(dependency: Dependency, state: type_state) -> str | None:
    """Return ``done``, ``broken``, ``not taken``, or None while the step is not settled."""
    run = state["runs"].get(dependency.step)
    if run is None or run["status"] == StepStatus.UPCOMING or is_open(run):
        return None
    status = run["status"]
    if dependency.outcome != "done":
        if status == dependency.outcome:
            return "done"
        return "broken" if status in (StepStatus.NOT_REACHED, StepStatus.CANCELLED) else "not taken"
    if status in DONE:
        return "done"
    return "broken" if status in _BROKEN else "not taken"


def check_again(workflow: str, steps: Mapping[str, Step[...]], graph: Graph) -> None:
    """See that ``again=`` leads back: to a step that comes before, on every way."""
    ancestors = graph.ancestors()
    for name, step in steps.items():
        if step.again is not None and step.again.name not in {name, *ancestors.get(name, ())}:
            raise DeclarationError(
                f"{workflow}.{name}: again={step.again.name} does not lead back: {name} does not come after it. "
                f"It comes after {', '.join(sorted(ancestors.get(name, ()))) or 'nothing'}."
            )


def build(workflow: str, steps: Mapping[str, Step[...]], fields: Mapping[str, Any]) -> Graph:
    """Make the graph of a class from its steps and fields, or say what is wrong with it."""
    nodes: dict[str, Node] = {}
    for name, step in steps.items():
        if step.is_aside:  # nothing comes after a compensation, and it comes after nothing
            continue
        nodes[name] = Node(
            name,
            _after(workflow, step, nodes, steps),
            step.joins,
            step.waits,
            within=None if callable(step.within) else step.within,
            delay=None if callable(step.delay) else step.delay,
            until=None if callable(step.until) else step.until,
            asks_when=step.asks_when,
            each=replace(step.each, declared=fields[step.each.field]) if step.each else None,
        )
    entries = [name for name, node in nodes.items() if not node.after]
    if len(entries) != 1:
        found = "none" if not entries else " and ".join(entries)
        raise DeclarationError(
            f"{workflow} must have exactly one step without after=, which start(…) begins with; it has {found}. "
            + ("Declare one." if not entries else "Give the others what they come after.")
        )
    graph = Graph(nodes)
    check_again(workflow, steps, graph)
    return graph


def _after(
    workflow: str, step: Step[...], above: Mapping[str, Node], steps: Mapping[str, Step[...]]
) -> tuple[Dependency, ...]:
    dependencies = []
    for member in step.after:
        source, outcome = (member.step, member.status) if isinstance(member, StepOutcome) else (member, "done")
        if source.name not in above:
            raise DeclarationError(
                f"{workflow}.{step.name} comes after {source.name!r}, which is no step of {workflow} defined above it. "
                f"Known there: {', '.join(above) or 'none'}."
            )
        if outcome == "overdue" and steps[source.name].within is None:  # the one that had it is overridden
            raise DeclarationError(
                f"{workflow}.{step.name} comes after {source.name}.overdue, and {source.name!r} of {workflow} has no within=, "
                "so it is never overdue. Give it one."
            )
        dependencies.append(Dependency(source.name, outcome))
    return tuple(dependencies)
