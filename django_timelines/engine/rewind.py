"""Rewind: what a new round from a step does again, takes back and leaves, worked out before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from ..events import EventType, NewEvent
from ..exceptions import Refused
from ..registry import Declaration
from ..state import (
    StepStatus,
    is_begun,
    is_open,
    keys_of,
    name_of,
    run_key,
    split_key,
    step_status,
    type_run,
    type_state,
)
from ..store import Snapshot
from .behind import refuse_if_behind
from .elsewhere import refuse_if_done_elsewhere
from .history import events_of
from .undo import undoable

NEVER_BEGUN = frozenset({StepStatus.UPCOMING, StepStatus.NOT_TAKEN, StepStatus.NOT_REACHED})


@dataclass(frozen=True, slots=True)
class Rewind:
    """What rewinding would do. Nothing is written yet.

    ``again``: the steps that were begun and are done again. ``undo``: the completed runs that are undone first, in this order.
    ``fields``: what each field that changes goes back to, encoded; ``unset``: the fields that are unset again. ``withdrawn``:
    open runs that end with it, whichever round began them; of one that is being executed an exactly-once body rolls back, and
    what another comes to is recorded, never applied.
    """

    to: str
    again: tuple[str, ...]
    undo: tuple[str, ...]
    fields: dict[str, Any]
    unset: tuple[str, ...]
    withdrawn: tuple[str, ...]
    data: dict[str, Any] = field(repr=False)


def plan_rewind(declaration: Declaration, now: Snapshot, to: str, *, undo: bool = False) -> Rewind:
    """Work out a new round from this step; ``Refused`` where it makes no sense."""
    to = declaration.step(to).name
    _check(declaration, now.state, to)
    refuse_if_done_elsewhere(declaration, now)
    steps = [to, *_after(declaration, to)]
    rounds = {step: now.state.get("rounds", {}).get(step, 1) + 1 for step in steps}
    keys = dict.fromkeys(keys_of(now.state, rounds))
    kept = {key: _earlier(key, rounds) for key in undoable(declaration, now.state) if key in keys}
    events = events_of(now.id, now.using, now.head, fresh=True)
    then = _fields_without(declaration, now.state, events, steps)
    fields = {name: value for name, value in then.items() if now.state["fields"].get(name, _MISSING) != value}
    unset = [name for name in declaration.fields if name in now.state["fields"] and name not in then]
    withdrawn = [key for key in keys if is_open(now.state["runs"][key])]
    undone = list(kept.values()) if undo else []
    data: dict[str, Any] = {"to": to, "rounds": rounds, "fields": fields, "unset": unset, "kept": kept, "undo": undone}
    data |= {"compensate": True} if undo else {}  # also of a child that is under way
    again = tuple(step for step in steps if step_status(now.state, step) not in NEVER_BEGUN)
    return Rewind(to, again, tuple(undone), fields, tuple(unset), tuple(withdrawn), data | {"withdrawn": withdrawn})


def begin_again(declaration: Declaration, state: type_state, step: str, to: str) -> NewEvent:
    """Return the event of a round that a step sends the work back to. Fields stay as they are, and nothing is undone.

    What somebody has begun goes on beside the new round, which nobody waits for; what nobody has begun is withdrawn. What a
    person's rewind is undoing comes to its end first, as far as the new round does its steps again; else beside it.
    """
    steps = [to, *_after(declaration, to)]
    rounds = {name: state.get("rounds", {}).get(name, 1) + 1 for name in steps}
    keys = {key: _earlier(key, rounds) for key in keys_of(state, rounds)}
    keys |= {key: key for key in keys if _undoes(state["runs"][key])}
    going_on = {key: keys[key] for key in keys if is_begun(state["runs"][key])}
    kept = {key: keys[key] for key in undoable(declaration, state) if key in keys and key not in going_on}
    withdrawn = [key for key in keys if is_open(state["runs"][key]) and key not in going_on]
    data: dict[str, Any] = {"to": to, "rounds": rounds, "fields": {}, "unset": [], "kept": kept}
    undoing = state.get("undoing", {"runs": [], "then": to})
    data |= {"undo": undoing["runs"]} if undoing["then"] in rounds else {}
    return NewEvent(EventType.ROUND_BEGUN, step, data=data | {"going_on": going_on, "withdrawn": withdrawn})


def _undoes(run: type_run) -> bool:
    """Tell whether this is a step's child that is being undone: it keeps the step's key until that is done."""
    return "of" in run and is_open(run)


def _earlier(key: str, rounds: Mapping[str, int]) -> str:
    """Return the key that a run has once these rounds have begun. One of an earlier round has it already."""
    step, item, round = split_key(key)
    return run_key(step, item, round or rounds[step] - 1)


_MISSING = object()


def _check(declaration: Declaration, state: type_state, to: str) -> None:
    refuse_if_behind(declaration, state)
    if "ended" in state:
        raise Refused(_("The timeline has ended: nothing is done again."), "settled")
    if state.get("cancelling"):
        raise Refused(_("The timeline is being cancelled: nothing is done again."), "cancelling")
    if "undoing" in state:
        raise Refused(_("The timeline is being rewound already: what is undone comes to its end first."), "rewinding")
    words = {"step": to.replace("_", " ")}
    if to not in declaration.graph.nodes:
        raise Refused(_("“%(step)s” undoes a step, or reminds of one; rewind to that one.") % words, "not_applicable")
    if step_status(state, to) in NEVER_BEGUN:
        raise Refused(_("“%(step)s” was never begun, so there is nothing to go back to.") % words, "not_applicable")


def _after(declaration: Declaration, to: str) -> list[str]:
    ancestors = {to}
    for node in declaration.graph.nodes.values():
        if any(dependency.step in ancestors for dependency in node.after):
            ancestors.add(node.name)
    return [name for name in declaration.graph.nodes if name in ancestors and name != to]


def _fields_without(
    declaration: Declaration, state: type_state, events: Iterable[NewEvent], steps: Collection[str]
) -> dict[str, Any]:
    """Return the fields as they would be if the runs of these steps had not been; nor those that were taken back before.

    What others changed stays: a parallel branch, a person's correction, the rounds before the work was sent back.
    """
    written: list[tuple[str, dict[str, Any]]] = []
    for event in events:
        if event.type == EventType.ROUND_BEGUN:
            again = {declaration.now_called(step, state) for step in event.data["rounds"]}
            stays = "going_on" in event.data  # a step sent the work back
            written = [
                (_BEFORE if step in again else step, said) for step, said in written if stays or step not in again
            ]
        if event.type in _SETS_FIELDS:
            step = declaration.now_called(event.step, state) if not name_of(event).round else _BEFORE
            written.append((step, event.data.get(_SETS_FIELDS[EventType(event.type)], {})))
    kept = [fields for step, fields in written if step not in steps]
    return {declaration.field_now_called(name, state): value for fields in kept for name, value in fields.items()}


_BEFORE = ""  # the step of what no rewind takes back: it was of an earlier round
_SETS_FIELDS = {
    EventType.TIMELINE_STARTED: "fields",
    **dict.fromkeys(
        (EventType.STEP_COMPLETED, EventType.STEP_UNDONE, EventType.STEP_SKIPPED, EventType.AMENDED), "changes"
    ),
}
"""The events that set fields, and where in their data these are."""
