"""Claim an attempt: take it in one conditional commit, with which its lease begins."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from .. import conf, moments, registry, store
from ..databases import as_they_are
from ..events import EventType, NewEvent
from ..exceptions import Conflict, StateDamaged, Unknown
from ..models import Event, Run, SealedInput
from ..registry import Declaration
from ..state import CLAIMABLE, RunName, name_at, run_key, type_run
from ..statements import type_row
from ..store import Snapshot
from . import elsewhere, slots
from .advance import advance
from .failure import changed_items, with_other_items, without_code
from .history import fields_at, kept_back_at
from .patience import Patience
from .remind import waits
from .renames import brought_up
from .runner import Held, Runner, commit, knowing, load
from .sealing import open_sealed

logger = logging.getLogger("django_timelines")


def claim(timeline: uuid.UUID, name: RunName, fence: int, runner: Runner) -> Held | None:
    """Take the attempt if it is due and still the one that was meant. Its lease begins with this commit."""
    patience = Patience()
    while True:
        try:
            snapshot = load(timeline, runner.using, names=[name])
        except Unknown as error:
            _drop(timeline, name, str(error))
            return None
        except StateDamaged as damaged:
            logger.error("%s", damaged)
            return None
        declaration = registry.find(snapshot.workflow)
        if declaration is not None:
            snapshot = brought_up(declaration, snapshot)
            name = RunName(declaration.now_called(name[0], snapshot.state), name[1])
            snapshot = knowing(snapshot, name)
        name = name_at(snapshot.state, fence) or name
        run = snapshot.state["runs"].get(run_key(*name))
        if snapshot.is_held:  # once that is over, the clock rings for it at once
            store.ring_soon(runner.using, timeline, fence, moments.now())
        why_not = _held_back(declaration, snapshot, name) or _why_not(run, fence)
        if why_not or run is None:
            _drop(timeline, name, why_not)
            return None
        try:
            if _is_left(declaration, snapshot, name, fence):
                _drop(timeline, name, "the code has no such step; that of another process may")
                return None
            if instead := _instead(declaration, snapshot, name, run):
                commit(advance(declaration, snapshot, [instead], runner.by()))
                return None
            assert declaration is not None
            taken, broken = _slots(declaration, snapshot, name, fence)
            if taken is None:
                return None  # there is no free one, and its turn will come
            data = {"slots": [[slot["digest"].hex, slot["number"]] for slot in taken]} if taken else {}
            started = NewEvent(EventType.ATTEMPT_STARTED, *name, data=data, attempt=run["attempt"] + 1)
            result = advance(declaration, snapshot, [started], runner.by(run["fence"]))
            result.change.slots = taken
            commit(result)
            return Held(declaration, result.after, name, run["attempt"] + 1, broken=broken)
        except Conflict as conflict:
            patience.after(conflict)  # somebody else wrote the timeline; look again


def _slots(
    declaration: Declaration, snapshot: Snapshot, name: RunName, fence: int
) -> tuple[list[type_row] | None, Exception | None]:
    """Return the slots that the attempt is to take, None if it has to wait; and what was wrong with a function that was asked."""
    if name[0] not in declaration.limited:
        return [], None
    try:
        limits = slots.wanted(declaration, snapshot, name[0])
    except Exception as error:
        return [], error
    return slots.choose(snapshot, name, fence, limits) if limits else [], None


def _held_back(declaration: Declaration | None, snapshot: Snapshot, name: RunName) -> str:
    if declaration is not None and declaration.is_behind(snapshot.state):
        return "newer code calls its steps or fields by other names, and goes on with it"
    if declaration is not None and declaration.has_former_name(name.step, snapshot.state):
        return "an attempt is executed under a name that its step had before; the clock rings again"
    if snapshot.is_held:
        return "its workflow, or everything, is paused"
    return "the timeline is paused" if snapshot.state.get("paused") else ""


def _why_not(run: type_run | None, fence: int) -> str:
    if run is None:
        return "it has no such run"
    if run["fence"] != fence or run["status"] not in CLAIMABLE:
        return f"the run is at event {run['fence']} and {run['status']}"
    if "due" in run and moments.from_text(run["due"]) > moments.now() + conf.FIRST_RING:
        return f"it is due at {run['due']}"  # a clock rang too early; one that is ahead of us by a little may be right
    return ""


def _is_left(declaration: Declaration | None, snapshot: Snapshot, name: RunName, fence: int) -> bool:
    if not elsewhere.lacks(declaration, name.step, snapshot.state):
        return False  # as nearly always: its row need not be read
    row = Run.objects.using(snapshot.using).filter(timeline=snapshot.id, fence=fence).first()
    return row is not None and elsewhere.is_left(declaration, name.step, snapshot.state, row)


def _instead(declaration: Declaration | None, snapshot: Snapshot, name: RunName, run: type_run) -> NewEvent | None:
    """Return what is recorded in the place of an attempt that nobody can make, or that nobody needs."""
    if declaration is None or elsewhere.lacks(declaration, name.step, snapshot.state):
        return without_code(declaration, snapshot, name)
    if _nobody_waits(declaration, snapshot, name):
        return NewEvent(EventType.STEP_NOT_TAKEN, *name)
    said = changed_items(declaration, name, run)
    return with_other_items(declaration, snapshot.state, name, said) if said else None


def _nobody_waits(declaration: Declaration, snapshot: Snapshot, name: RunName) -> bool:
    """Tell whether it reminds of a wait that is over: code that did not know of the reminder has ended it."""
    reminded = declaration.step(name.step).reminds
    if reminded is None or "planned" not in snapshot.state["runs"].get(run_key(*name), {}):
        return False
    waited = RunName(reminded.name, name.item)
    return not waits(knowing(snapshot, waited).state, waited)


def _drop(timeline: uuid.UUID, name: RunName, why: str) -> None:
    logger.info("Dropped a bell for %s of timeline %s: %s.", run_key(*name), timeline, why)


def prepare(held: Held) -> None:
    """Read what one run of the body is given: the input of the call that the attempt is for, and its item, decoded for that run.

    For an undo, the fields as they were then, too.
    """
    if held.broken is not None:
        raise held.broken
    if held.step.undoes is not None:
        held.then = _fields_then(held)
    if held.input is None:
        held.input = _input_of(held)
    inputs, item = held.declaration.inputs[held.step.name], item_of(held.declaration, held.snapshot, held.name)
    held.given = {name: inputs[name].decode(value) for name, value in held.input.items() if name in inputs} | item


def _fields_then(held: Held) -> dict[str, Any]:
    state = held.snapshot.state
    of = state["runs"][run_key(*held.name)]["of"]
    undone = state["runs"].get(of) or state["past"][of]
    fields = fields_at(held.snapshot, undone["fence"], undone.get("set", ()))
    if undone.get("done"):
        fields |= kept_back_at(held.snapshot, undone["fence"])
    return {held.declaration.field_now_called(name, state): value for name, value in fields.items()}


def _input_of(held: Held) -> dict[str, Any]:
    """Return the call's input as it is stored. A step that runs by itself has no call."""
    call = held.snapshot.state["runs"][run_key(*held.name)].get("call")
    if not call:
        return {}
    using = held.snapshot.using
    calls = as_they_are(Event.objects.using(using)).filter(timeline=held.snapshot.id, sequence=call)
    data = calls.values_list("data", flat=True).get()
    given = dict(data.get("input", {}))
    if data.get("sealed"):
        row = as_they_are(SealedInput.objects.using(using)).get(timeline=held.snapshot.id, sequence=call)
        given |= open_sealed(bytes(row.sealed))
    return given


def item_of(declaration: Declaration, snapshot: Snapshot, name: RunName) -> dict[str, Any]:
    """Return the item that a run is for, under the name of the parameter that takes it. For an undo, that of what it undoes."""
    field = declaration.items.get(name[0])
    run = snapshot.state["runs"].get(run_key(*name), {})
    reminded = declaration.steps[name[0]].reminds if name[0] in declaration.steps else None
    if reminded is not None and name[1]:
        run = knowing(snapshot, RunName(reminded.name, name[1])).state["runs"].get(run_key(reminded.name, name[1]), {})
    if "of" in run:
        run = snapshot.state["runs"].get(run["of"]) or snapshot.state["past"][run["of"]]
    if field is None or "value" not in run:
        return {}
    events = as_they_are(Event.objects.using(snapshot.using)).filter(timeline=snapshot.id, sequence=run["value"])
    return {field.name: field.decode(events.values_list("data", flat=True).get()["value"])}
