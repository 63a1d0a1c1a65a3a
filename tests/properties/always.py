"""What is true of all timelines at any moment, whatever their workflows are and whatever has just happened to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django_timelines import moments, registry
from django_timelines.engine.undo import undoable
from django_timelines.graph import Graph
from django_timelines.items import read_all
from django_timelines.models import Lease, Run, SealedInput, Slot, Timeline
from django_timelines.registry import Declaration
from django_timelines.state import CLAIMABLE, is_open, is_settled, run_key, split_key, type_run, type_state
from django_timelines.steps import Delivery
from tests.shop.family import not_known
from tests.shop.models import Entry


def wrong(timelines: Iterable[Timeline]) -> Iterator[str]:
    """Say what is not as it must be. These are all timelines that there are."""
    timelines = list(timelines)
    states = {one.pk.hex: read_all(one) for one in timelines}
    yield from not_known(timelines)
    yield from _not_held(states)
    for row in Run.objects.select_related("timeline"):
        yield from _not_looked_at(row, row.timeline.state)
    for one in timelines:
        declaration, state = registry.get(one.workflow), states[one.pk.hex]
        if "ended" in state:
            yield from _left_open(declaration, state)
        elif not state.get("cancelling"):
            yield from _undecided(declaration, one.head, state)
            yield from _not_reminded(declaration, state)
        yield from _without_effect(declaration, one)


def _not_held(states: dict[str, type_state]) -> Iterator[str]:
    """Slots, sealed input and leases are there for as long as somebody needs them."""
    runs = [(pk, state, run) for pk, state in states.items() for run in state["runs"].here().values()]
    slots = {tuple(slot) for _pk, _state, run in runs if run["status"] == "running" for slot in run.get("slots", ())}
    if (taken := {(digest.hex, number) for digest, number in Slot.objects.values_list("digest", "number")}) != slots:
        yield f"The slots {taken} are taken, and attempts hold {slots}."
    sealed = {(pk, run["call"]) for pk, state, run in runs if _needs_its_input(run, state)}
    if (kept := {(pk.hex, call) for pk, call in SealedInput.objects.values_list("timeline", "sequence")}) != sealed:
        yield f"The secrets {kept} are kept, and {sealed} are needed."
    if Lease.objects.exclude(run__status="running").exists():
        yield "There is a lease of what nobody executes."


def _needs_its_input(run: type_run, state: type_state) -> bool:
    over = is_settled(run) or (run["status"] == "upcoming" and "ended" in state)
    return bool(run.get("sealed") and run.get("call")) and not over


def _not_looked_at(row: Run, state: type_state) -> Iterator[str]:
    """Whatever is to go on by itself has a time at which a clock looks at it."""
    if state.get("paused"):
        return
    if row.status in (*CLAIMABLE, "running") and row.ring is None:
        yield f"{row.step} is {row.status}, and no clock looks at it."
    if row.status == "waiting" and row.until and not state.get("cancelling") and row.ring != row.until:
        yield f"No clock looks at the deadline of {row.step}."


def _left_open(declaration: Declaration, state: type_state) -> Iterator[str]:
    for key, run in state["runs"].items():
        if is_open(run):
            yield f"The timeline has {state['ended']}, and {key} is {run['status']}."
    if state["ended"] == "cancelled" and state.get("compensating"):
        for key in undoable(declaration, state):
            yield f"{key} was not undone."


def _undecided(declaration: Declaration, head: int, state: type_state) -> Iterator[str]:
    """Whatever can be decided has been, in the commit that made it so: also which items begin."""
    if state.get("failing") or "undoing" in state:
        return
    graph, runs = declaration.graph, state["runs"]
    settled = [
        key
        for key, run in runs.items()
        if not split_key(key).round and run["status"] not in ("upcoming", "due") and _decides(graph, state, key)
    ]
    for event in graph.decide(state, settled, head + 1, moments.now()):
        if "error" not in runs.get(key := run_key(event.step, event.item), {}):  # else a person tries it again
            yield f"{key} is not {event.type}, and it is time."
            return


def _decides(graph: Graph, state: type_state, key: str) -> bool:
    """Tell whether this decides what comes after it: what was done before a round decides no ``any_of`` of that round."""
    rounds, step = state.get("rounds", {}), split_key(key).step
    behind = [node for node in graph.nodes.values() if any(dependency.step == step for dependency in node.after)]
    return all(node.joins == "all" or rounds.get(node.name, 1) <= rounds.get(step, 1) for node in behind)


def _not_reminded(declaration: Declaration, state: type_state) -> Iterator[str]:
    """While somebody is waited for a next reminder is planned, or under way, and never else."""
    runs = state["runs"]
    for step, handler in declaration.reminders.items():
        remind: Any = declaration.steps[step].remind
        for key, run in runs.items():
            name = split_key(key)
            if name.step != step or name.round or "each" in run:
                continue
            waits = run["status"] == "waiting" or (run["status"] == "overdue" and is_open(run))
            reminder = runs.get(run_key(handler, name.item))
            planned = reminder is not None and is_open(reminder)
            again = run.get("remind") if callable(remind) else remind.every
            if waits and again and not planned:
                yield f"{key} is {run['status']}, and nobody is reminded."
            if planned and not waits and reminder["status"] == "due":
                yield f"{key} is {run['status']}, and somebody is to be reminded."


def _without_effect(declaration: Declaration, timeline: Timeline) -> Iterator[str]:
    """What an exactly-once body wrote is there as often as it completed."""
    done = timeline.events.filter(type__in=("StepCompleted", "StepUndone")).values_list("step", flat=True)
    texts = Entry.objects.filter(text__startswith=timeline.pk.hex).values_list("text", flat=True)
    found, completed = Counter(text.partition(" ")[2] for text in texts), Counter(done)
    for name, step in declaration.steps.items():
        once = step.delivery is Delivery.EXACTLY_ONCE and step.child is None
        if once and "act" in step.body.__code__.co_names and found[name] != completed[name]:
            yield f"{name} completed {completed[name]} times, and left {found[name]} rows."
