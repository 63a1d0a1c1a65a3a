"""Rule 2, for any graph and any outcomes: every step is settled once, and says rightly why it was or was not taken."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from django_timelines.events import EventType, NewEvent
from django_timelines.graph import Dependency, Graph, Node
from django_timelines.state import DONE, StepStatus, anything_open, empty, fold, is_open

AT = datetime(2026, 1, 1, tzinfo=UTC)
OUTCOMES = (EventType.STEP_COMPLETED, EventType.STEP_SKIPPED, EventType.STEP_FAILED, EventType.STEP_NOT_TAKEN)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = {"s0": Node("s0")}
    for number in range(1, draw(st.integers(1, 8))):
        above = st.sampled_from(sorted(nodes))
        dependency = st.builds(Dependency, above, st.sampled_from(["done", "done", "failed"]))
        after = tuple(draw(st.lists(dependency, min_size=1, max_size=3, unique=True)))
        nodes[f"s{number}"] = Node(f"s{number}", after, draw(st.sampled_from(["all", "any"])))
    return Graph(nodes)


def play(graph: Graph, draw: Any) -> tuple[dict[str, Any], list[NewEvent]]:
    """Settle what is reached in any order, with any outcome, until nothing is open."""
    events = graph.reach(graph.entry, empty(), AT)
    state = fold(empty(), events, 1)
    while open_steps := sorted(name for name, run in state["runs"].items() if is_open(run)):
        name = draw(st.sampled_from(open_steps))
        outcome = draw(st.sampled_from(OUTCOMES))
        if outcome is EventType.STEP_FAILED and not graph.goes_on_from(name, "failed"):
            outcome = EventType.STEP_COMPLETED  # it would be blocked, and a person would go on from there
        settled = NewEvent(outcome, name)
        state_now = fold(state, [settled], len(events) + 1)
        decided = graph.decide(state_now, [name], len(events) + 2, AT)
        events += [settled, *decided]
        state = fold(empty(), events, 1)
    return state, events


def expected(node: Node, runs: dict[str, Any]) -> StepStatus | None:
    """Say by the letter of rule 2 what should have become of a list; None: it was reached."""
    answers = []
    for dependency in node.after:
        status = runs[dependency.step]["status"]
        if dependency.outcome == "failed":
            broken = status in (StepStatus.NOT_REACHED, StepStatus.CANCELLED)
            answers.append("done" if status == StepStatus.FAILED else "broken" if broken else "not taken")
        else:
            broken = status in (StepStatus.FAILED, StepStatus.NOT_REACHED)
            answers.append("done" if status in DONE else "broken" if broken else "not taken")
    if "broken" in answers:
        return StepStatus.NOT_REACHED
    return None if "done" in answers else StepStatus.NOT_TAKEN


def left_behind(graph: Graph, events: list[NewEvent]) -> set[str]:
    """Return what nobody had begun when something went on without it: the members of each ``any_of`` that was reached."""
    left: set[str] = set()
    for place, event in enumerate(events):
        node = graph.nodes[event.step]
        if event.type == EventType.STEP_DUE and node.joins == "any":
            members = {dependency.step for dependency in node.after}
            settled = {e.step: e.type for e in events[:place] if e.type != EventType.STEP_DUE}
            assert members <= settled.keys()  # as nothing here is begun and not settled
            left |= {name for name in members if settled[name] == EventType.STEP_NOT_TAKEN}
    return left


@given(graphs(), st.data())
@settings(max_examples=300)
def test_every_step_is_settled_once_and_rightly(graph: Graph, data: st.DataObject) -> None:
    state, events = play(graph, data.draw)
    left = left_behind(graph, events)

    assert set(state["runs"]) == set(graph.nodes)
    for name, node in graph.nodes.items():
        settling = [e for e in events if e.step == name and e.type in (*OUTCOMES, EventType.STEP_NOT_REACHED)]
        reached = [e for e in events if e.step == name and e.type == EventType.STEP_DUE]
        assert len(settling) == 1
        if node.after and node.joins == "all" and name not in left:
            wanted = expected(node, state["runs"])
            assert bool(reached) is (wanted is None)
            if wanted is not None:
                assert state["runs"][name]["status"] == wanted
    assert not anything_open(state)  # what was not decided by then never will be


NAMES = [f"s{number}" for number in range(1, 8)]


@st.composite
def orders(draw: st.DrawFn) -> Graph:
    """Return a graph of the same steps in any order, each after all of up to three others."""
    nodes = {"s0": Node("s0")}
    for name in draw(st.permutations(NAMES)):
        above = st.builds(Dependency, st.sampled_from(sorted(nodes)))
        nodes[name] = Node(name, tuple(draw(st.lists(above, min_size=1, max_size=3, unique=True))))
    return Graph(nodes)


@given(orders(), orders(), st.data())
@settings(max_examples=200)
def test_what_comes_after_an_open_step_is_done_whatever_the_order_was_before(
    before: Graph, now: Graph, data: st.DataObject
) -> None:
    events = before.reach(before.entry, empty(), AT)
    deployed, settled_since = data.draw(st.integers(0, len(NAMES))), set[str]()
    while open_steps := sorted(name for name, run in fold(empty(), events, 1)["runs"].items() if is_open(run)):
        name, graph = data.draw(st.sampled_from(open_steps)), before if deployed > 0 else now
        events.append(NewEvent(EventType.STEP_COMPLETED, name))
        events += graph.decide(fold(empty(), events, 1), [name], len(events) + 1, AT)
        settled_since |= {name} if deployed <= 0 else set()
        deployed -= 1

    begun, above = [event.step for event in events if event.type == EventType.STEP_DUE], now.ancestors()
    assert len(begun) == len(set(begun))
    assert not [name for name in NAMES if above[name] & settled_since and name not in begun]


@given(graphs(), st.data())
@settings(max_examples=100)
def test_a_step_that_was_added_behind_is_left_alone(graph: Graph, data: st.DataObject) -> None:
    state, _ = play(graph, data.draw)
    added = Graph({**graph.nodes, "added": Node("added", (Dependency("s0"),))})

    assert added.decide(state, [name for name in graph.nodes if name != "s0"], 1, AT) == []


class Watched(dict[str, Node]):
    """Nodes that say which of them were looked at."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        super().__init__({node.name: node for node in nodes})
        self.seen: list[str] = []

    def __getitem__(self, name: str) -> Node:
        self.seen.append(name)
        return super().__getitem__(name)

    def values(self) -> Any:
        self.seen += self
        return super().values()


def test_what_is_far_away_is_not_looked_at() -> None:
    chain = [Node("s0"), *(Node(f"s{number}", (Dependency(f"s{number - 1}"),)) for number in range(1, 200))]
    nodes = Watched(chain)
    graph = Graph(nodes)
    state = fold(empty(), [NewEvent(EventType.STEP_COMPLETED, f"s{number}") for number in range(100)], 1)
    nodes.seen.clear()

    decided = graph.decide(state, ["s99"], 101, AT)

    assert decided == [NewEvent(EventType.STEP_DUE, "s100")]
    assert set(nodes.seen) == {"s100"}
    assert "s100" not in state["runs"]
