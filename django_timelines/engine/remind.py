"""Reminders: what a step's ``remind=`` has done while it waits. Each is a run of the handler that ``@review.reminder`` declares.

The next one is due beside the step that waits: a row with a time. It is planned in the commit in which the wait begins, and the
one after it in the commit in which it ends, well or not; it is withdrawn in the commit that ends the wait. So there is never more
than one, and none after the call.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .. import moments
from ..answers import answered
from ..events import EventType, NewEvent
from ..exceptions import PermanentFailure
from ..people import Reminding, reminding
from ..registry import Declaration
from ..state import RunName, StepStatus, changed, is_open, run_key, split_key, takes_calls, type_run, type_state
from ..steps import Delivery, Step


def plan_of(step: Step[...], workflow: Any) -> dict[str, Any]:
    """Return what ``StepDue`` says where ``remind=`` is a function, asked in the step's first attempt."""
    if not callable(step.remind):
        return {}
    said = answered(f"remind= of {step.name!r}", step.remind(workflow))
    try:
        found = None if said is None else reminding(said)
    except ValueError as error:
        raise PermanentFailure(f"remind= of {step.name!r} returned {said!r}: {error}") from None
    return {"remind": found.as_json() if found else None}


def reminders(declaration: Declaration, before: type_state, state: type_state, at: datetime) -> list[NewEvent]:
    """Return the reminders that are due, some time, or withdrawn, by what has changed."""
    changes = [(split_key(key), old, new) for key, old, new in changed(before, state)]
    events: dict[RunName, list[NewEvent]] = {}
    for name, old, new in changes:  # a reminder has ended
        if name.step in declaration.reminders.values() and new is not None and _has_ended(old, new):
            events[name] = _after(declaration, name, new, state, at)
    for name, old, new in changes:  # a wait has begun, or ended
        handler = declaration.reminders.get(name.step)
        if handler and not name.round and not _goes_on(old, new):
            reminder = RunName(handler, name.item)
            events[reminder] = _as_the_wait_goes(declaration, reminder, name, new, state, at)
    return [event for several in events.values() for event in several]


def waits(state: type_state, name: RunName) -> bool:
    """Tell whether somebody is to be reminded of this run."""
    return _waits(state["runs"].get(run_key(*name), {}), state)


def _after(
    declaration: Declaration, name: RunName, reminder: type_run, state: type_state, at: datetime
) -> list[NewEvent]:
    step = declaration.steps[name.step].reminds
    assert step is not None
    waits = state["runs"].get(run_key(step.name, name.item), {})
    if not _waits(waits, state):
        return []
    begun = reminder.get("wait", waits["fence"])  # older reminders do not say for which wait they were planned
    if waits["fence"] != begun and waits["status"] != StepStatus.OVERDUE:  # it has begun to wait anew meanwhile
        return _next(step, name, waits, reminder, at, at)
    since, planned = moments.from_text(reminder["since"]), moments.from_text(reminder["planned"])
    return _next(step, name, waits, reminder, since, max(at, planned))


def _as_the_wait_goes(
    declaration: Declaration, name: RunName, waited: RunName, new: type_run | None, state: type_state, at: datetime
) -> list[NewEvent]:
    reminder = state["runs"].get(run_key(*name), {})
    rolls_back = declaration.steps[name.step].delivery is Delivery.EXACTLY_ONCE
    ends_first = reminder.get("status") == StepStatus.RUNNING and not rolls_back
    if new is not None and _waits(new, state):
        if ends_first:  # it plans the next one
            return []
        return _next(declaration.steps[waited.step], name, new, reminder, at, at)
    if reminder and is_open(reminder) and not ends_first:
        return [NewEvent(EventType.STEP_NOT_TAKEN, *name)]
    return []


def _next(
    step: Step[...], name: RunName, waits: type_run, reminder: type_run, since: datetime, after: datetime
) -> list[NewEvent]:
    """Return the next reminder of a wait that began ``since``, later than ``after``. What was missed is left out."""
    said = waits.get("remind")
    plan = Reminding.read(said) if said else None if callable(step.remind) else step.remind
    planned = plan.next(since, after) if isinstance(plan, Reminding) else None
    if planned is None:
        return []
    due, number = moments.to_text(planned), reminder.get("number", 0) + 1
    data = {"due": due, "planned": due, "since": moments.to_text(since), "number": number, "wait": waits["fence"]}
    return [NewEvent(EventType.STEP_DUE, *name, data=data)]


def _waits(run: type_run, state: type_state) -> bool:
    """Tell whether somebody is to be reminded of this run. Of a step with items that is each of them, not the step."""
    waits = bool(run) and takes_calls(run) and "each" not in run
    return waits and not ("ended" in state or state.get("cancelling"))


def _goes_on(old: type_run | None, new: type_run | None) -> bool:
    """Tell whether it is the wait that it was: it is overdue now, or was given to somebody."""
    if old is None or new is None or not takes_calls(old) or not takes_calls(new):
        return False
    return bool(new["fence"] == old["fence"] or new["status"] == StepStatus.OVERDUE)


def _has_ended(old: type_run | None, new: type_run) -> bool:
    return "planned" in new and not is_open(new) and old is not None and is_open(old)
