"""Compensation: what completed is undone one at a time, in reverse order of completion."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..events import EventType, NewEvent
from ..registry import Declaration
from ..state import (
    StepStatus,
    anything_open,
    in_state,
    is_open,
    items_of,
    run_key,
    split_key,
    type_run,
    type_state,
)


def next_undo(declaration: Declaration, state: type_state, at: datetime) -> list[NewEvent]:
    """Return what comes next while a timeline is undone: the undo of the run that completed last, or the new round's first step.

    A cancelled timeline undoes all that completed, in all rounds, once nothing else is open; a rewind what it said it would.
    """
    undoing, every = state.get("undoing"), state.get("compensating") and "ended" not in state
    if undoing is None and not every:
        return []
    if anything_open(state) if every else any(is_open(run) and "of" in run for run in state["runs"].here().values()):
        return []
    left = undoable(declaration, state)
    if undoing is not None:
        left = [key for key in left if key in undoing["runs"]]
        if not left:
            return declaration.graph.reach(declaration.graph.nodes[undoing["then"]], state, at)
    return [_undo(declaration, state, left[0])] if left else []


def undoable(declaration: Declaration, state: type_state) -> list[str]:
    """Return the completed runs that have an undo and are not undone, the last completed first."""
    runs = state.get("past", {}) | dict(in_state(state))
    for step, run in in_state(state):
        may_be = declaration.undo_of(step) is not None or _begins_a_child(declaration, step)
        if may_be and run.get("each", {}).get(StepStatus.COMPLETED):
            runs |= {run_key(step, item): one for item, one in items_of(state, step).items()}
    found = [key for key, run in runs.items() if _can_be_undone(declaration, key, run)]
    return sorted(found, key=lambda key: -runs[key]["fence"])


def _can_be_undone(declaration: Declaration, key: str, run: type_run) -> bool:
    completed = run["status"] == StepStatus.COMPLETED and "undone" not in run and "each" not in run
    step = split_key(key)[0]
    return completed and ("child" in run or declaration.undo_of(step) is not None)


def _undo(declaration: Declaration, state: type_state, key: str) -> NewEvent:
    step, item, _round = split_key(key)
    run = state["runs"].get(key) or state["past"][key]
    data: dict[str, Any] = {"of": key}
    data |= {"round": run["round"]} if "round" in run else {}
    if "child" in run:  # a child is undone as one step, by itself
        return NewEvent(EventType.STEP_DUE, step, item, data=data | {"waiting": True, "child": run["child"]})
    return NewEvent(EventType.STEP_DUE, declaration.undo_of(step) or "", item, data=data)


def _begins_a_child(declaration: Declaration, step: str) -> bool:
    return step in declaration.steps and declaration.steps[step].child is not None
