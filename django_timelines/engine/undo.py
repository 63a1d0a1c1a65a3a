"""Compensation: what completed is undone one at a time, in reverse order of completion."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from ..events import EventType, NewEvent
from ..registry import Declaration
from ..state import (
    anything_open,
    completed_last,
    in_state,
    is_open,
    is_to_undo,
    items_of,
    run_key,
    split_key,
    type_run,
    type_state,
)
from .failure import lost

EVER = 2**31 - 1  # as a sequence: nothing is undone yet


def next_undo(declaration: Declaration, state: type_state, sequence: int, at: datetime) -> list[NewEvent]:
    """Return what comes next while a timeline is undone: the undo of the run that completed last, or the new round's first step.

    A cancelled timeline undoes all that completed, in all rounds, once nothing else is open; a rewind what it said it would.
    """
    undoing, every = state.get("undoing"), state.get("compensating") and "ended" not in state
    if undoing is None and not every:
        return []
    if anything_open(state) if every else any(is_open(run) and "of" in run for run in state["runs"].here().values()):
        return []
    if undoing is None:
        last = _completed_last(declaration, state)
        return [_undo(declaration, state, last)] if last else []
    past = state.get("past", {})
    left = [key for key in undoing["runs"] if key in past and _can_be_undone(declaration, key, past[key])]
    if not left and undoing["then"] not in declaration.graph.nodes:
        return [lost(declaration, undoing["then"])]
    if not left:
        return declaration.graph.decide(state, [], sequence, at, begin=undoing["then"])
    return [_undo(declaration, state, max(left, key=lambda key: past[key]["fence"]))]


def _completed_last(declaration: Declaration, state: type_state) -> str:
    """Return the run that completed last of those that are left to undo; empty for none. Items are read one by one."""
    runs = _in_state(declaration, state)
    found = max(runs, key=lambda key: runs[key]["fence"], default="")
    steps = frozenset(_steps_with_items(declaration, state))
    after = runs[found]["fence"] if found else 0
    wanted = partial(_can_be_undone, declaration)
    item = completed_last(state, steps, after, state.get("undone_from", EVER), wanted) if steps else ""
    return item or found


def undoable(declaration: Declaration, state: type_state) -> list[str]:
    """Return the completed runs that have an undo and are not undone, the last completed first."""
    runs = _in_state(declaration, state)
    for step in _steps_with_items(declaration, state):
        items = {run_key(step, item): run for item, run in items_of(state, step).items()}
        runs |= {key: run for key, run in items.items() if _can_be_undone(declaration, key, run)}
    return sorted(runs, key=lambda key: -runs[key]["fence"])


def _in_state(declaration: Declaration, state: type_state) -> dict[str, type_run]:
    """Return those of them that are no items of the current round."""
    runs = state.get("past", {}) | dict(in_state(state))
    return {key: run for key, run in runs.items() if _can_be_undone(declaration, key, run)}


def _steps_with_items(declaration: Declaration, state: type_state) -> list[str]:
    """Return the steps of which items may be undone."""
    steps = [step for step, run in in_state(state) if run.get("each", {}).get("count")]
    return [step for step in steps if declaration.undo_of(step) is not None or _begins_a_child(declaration, step)]


def _can_be_undone(declaration: Declaration, key: str, run: type_run) -> bool:
    return is_to_undo(run) and ("child" in run or declaration.undo_of(split_key(key)[0]) is not None)


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
