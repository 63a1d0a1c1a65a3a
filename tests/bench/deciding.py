"""What comes next on a workflow of 200 steps, which is asked in each commit and is to take under 1 ms.

The yardstick is what a commit and the next look do with such a state at least: write it as JSON, and read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from django_timelines.events import EventType, NewEvent
from django_timelines.graph import Dependency, Graph, Node
from django_timelines.state import empty, fold, type_state

from .measure import Effort, Figure, each, figure, interleaved

STEPS = 200
AT = datetime(2026, 1, 1, tzinfo=UTC)
NEXT, JOIN, ALL = (
    0.06,
    0.6,
    6.0,
)  # aims: one step is looked at; one that has 198 before it; 199. Six of these are about 1 ms


def graph(effort: Effort) -> list[Figure]:
    """Decide in the middle of a chain, at a wide join, and where one outcome settles or begins all the others."""
    chain, fan = a_chain(), a_fan()
    *branches, _join = list(fan.nodes)[1:]
    names = list(chain.nodes)
    works = {
        "one of a chain": (deciding(chain, names[: STEPS // 2]), NEXT),
        f"the last of {len(branches)} before a join": (deciding(fan, ["begin", *branches]), JOIN),
        "a failure before all": (deciding(chain, names[:1], EventType.STEP_FAILED), ALL),
        f"one before {len(branches)} at once": (deciding(fan, ["begin"]), ALL),
    }
    state = after(dict.fromkeys(names, EventType.STEP_COMPLETED))
    took = interleaved(
        effort.rounds,
        {"raw": each(effort.many, lambda: json.loads(json.dumps(state)))}
        | {name: each(effort.many, work) for name, (work, _aim) in works.items()},
    )
    title = f"deciding a workflow of {STEPS} steps: {{}}, to its state as JSON"
    return [
        line
        for name, (_work, aim) in works.items()
        for line in figure(title.format(name), took[name], took["raw"], "ms", (None, aim))
    ]


def deciding(graph: Graph, settled: list[str], last: EventType = EventType.STEP_COMPLETED) -> Callable[[], object]:
    """Return the decision after these steps were settled; the last of them just now, and so."""
    outcomes = dict.fromkeys(settled, EventType.STEP_COMPLETED) | {settled[-1]: last}
    state = after(outcomes)
    return lambda: graph.decide(state, settled[-1:], len(settled) + 1, AT)


def after(outcomes: dict[str, EventType]) -> type_state:
    """Return the state once these steps were settled so."""
    return fold(empty(), [NewEvent(outcome, step) for step, outcome in outcomes.items()], 1)


def a_chain() -> Graph:
    """Return a graph on which each step comes after the one before."""
    names = [f"step_{number}" for number in range(STEPS)]
    before = dict(zip(names[1:], names, strict=False))
    return Graph({name: Node(name, (Dependency(before[name]),) if name in before else ()) for name in names})


def a_fan() -> Graph:
    """Return a graph of one step, all but two of the others beside one another after it, and one that comes after these."""
    branches = [f"branch_{number}" for number in range(STEPS - 2)]
    nodes = {name: Node(name, (Dependency("begin"),)) for name in branches}
    join = Node("join", tuple(Dependency(name) for name in branches))
    return Graph({"begin": Node("begin"), **nodes, "join": join})
