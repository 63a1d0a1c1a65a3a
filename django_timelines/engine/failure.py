"""One failure policy, wherever a step runs: from what ended an attempt to the events that say so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError

from .. import moments
from ..events import EventType, NewEvent
from ..exceptions import LONGEST_WAIT
from ..registry import Declaration
from ..state import RunName, run_key, type_run, type_state
from ..steps import Delivery, Step
from ..store import Snapshot
from .body import Failed, asks_first
from .errors import told


def after_failure(
    declaration: Declaration,
    state: type_state,
    name: RunName,
    attempt: int,
    failed: Failed,
    *,
    progressed: bool = False,
) -> list[NewEvent]:
    """Return the events of a failed attempt: rejected, tried again, blocked, or failed for good.

    ``progressed``: a batch of it was committed. Then it counts as none.
    """
    step, error = declaration.step(name[0]), failed.error
    if isinstance(error, ValidationError):
        call = state["runs"].get(run_key(*name), {}).get("call")
        if (
            failed.rejection is not None and call and not (call == 2 and ("parent" in state or "schedule" in state))
        ):  # nobody stands there: a parent or a schedule gave it
            said = failed.rejection | failed.said
            rejected = NewEvent(EventType.STEP_REJECTED, *name, data=said, attempt=attempt)
            return [rejected, *_not_called_again(declaration, state, name)]
        delay = None
    elif step.delivery is Delivery.AT_MOST_ONCE and not failed.in_time:
        delay = None  # its effect may have happened
    else:
        delay = _delay(step, 0 if progressed else attempt, error)
    described: dict[str, Any] = {"error": failed.described}
    described |= {"in_time": True} if failed.in_time else {}
    if failed.in_time and _is_stopped(step, state, name):
        failure = NewEvent(EventType.ATTEMPT_FAILED, *name, data=described, attempt=attempt)
        return [failure, NewEvent(EventType.STEP_NOT_TAKEN, *name, data={"cancelled": True})]
    if delay is not None:
        delay = min(max(delay, timedelta(0)), LONGEST_WAIT)
        data = described | {"due": moments.to_text(moments.now() + delay)}
        data |= {"guard_passed": True} if failed.guard_passed else {}
        data |= {"progressed": True} if progressed else {}
        return [NewEvent(EventType.ATTEMPT_FAILED, *name, data=data, attempt=attempt)]
    failure = NewEvent(EventType.ATTEMPT_FAILED, *name, data=described, attempt=attempt)
    return [failure, gave_up(declaration, state, name, "failed", failed.described)]


def _not_called_again(declaration: Declaration, state: type_state, name: RunName) -> list[NewEvent]:
    """Return what says that nobody waits for another call: the timeline was cancelled, or went another way meanwhile."""
    if state.get("cancelling") and not name.round:
        return [NewEvent(EventType.STEP_NOT_TAKEN, *name, data={"cancelled": True})]
    left = declaration.graph.is_left_behind(state, name)
    return [NewEvent(EventType.STEP_NOT_TAKEN, *name)] if left else []


def _delay(step: Step[...], attempt: int, error: Exception) -> timedelta | None:
    """Return how long to wait until the next attempt. None: give up, also if the error asks for what is no time."""
    delay = told(lambda: step.retry.delay(attempt, error), None)
    return delay if isinstance(delay, timedelta) else None


def after_interruption(
    declaration: Declaration, state: type_state, name: RunName, attempt: int, *, progressed: bool = False
) -> list[NewEvent]:
    """Return the events of an attempt whose runner died: its lease ran out. Each of them says so."""
    step, only_asked = declaration.step(name[0]), asks_first(declaration.step(name[0]), state["runs"][run_key(*name)])
    error = {"type": "", "message": "The process that executed it went away.", "traceback": ""}
    data: dict[str, Any] = {"reason": "interrupted", "error": error} | ({"in_time": True} if only_asked else {})
    interrupted = NewEvent(EventType.ATTEMPT_INTERRUPTED, *name, data=data, attempt=attempt)
    known_end = state.get("cancelling") and not (state.get("compensating") and declaration.is_behind(state))
    if only_asked and _is_stopped(step, state, name):
        return [interrupted, NewEvent(EventType.STEP_NOT_TAKEN, *name, data={"cancelled": True})]
    may_be_done = step.delivery is Delivery.AT_MOST_ONCE and not only_asked
    if may_be_done and not known_end and step.reminds is None:
        # whatever the class goes on from: nobody knows how it ended; nor does older code what is to be undone then
        return [interrupted, NewEvent(EventType.STEP_BLOCKED, *name, data=data, attempt=attempt)]
    knows_what_follows = name.step in declaration.steps  # not under a former name: it is due again, and renamed then
    last = attempt >= step.retry.attempts and not progressed and knows_what_follows
    if last or may_be_done:
        return [interrupted, gave_up(declaration, state, name, "interrupted", error)]
    data = data | {"due": moments.to_text(moments.now())} | ({"progressed": True} if progressed else {})
    return [NewEvent(EventType.ATTEMPT_INTERRUPTED, *name, data=data, attempt=attempt)]


def after_stop(
    declaration: Declaration,
    state: type_state,
    name: RunName,
    attempt: int,
    *,
    progressed: bool = False,
    between_items: bool = False,
    in_time: bool = False,
) -> list[NewEvent]:
    """Return the events of an attempt that its worker gave back, because it ends. It counts as none, and is due again at once.

    ``between_items``: nothing of it is under way. Where the timeline is being cancelled, it has come to a known end.
    ``in_time``: its body had not begun, so that one which is delivered at most once is due again, too.
    """
    step = declaration.step(name[0])
    if between_items and state.get("cancelling") and step.undoes is None:
        error = {"type": "", "message": "It was stopped between two items: the timeline is cancelled.", "traceback": ""}
        return [NewEvent(EventType.STEP_FAILED, *name, data={"reason": "cancelled", "error": error}, attempt=attempt)]
    if step.delivery is Delivery.AT_MOST_ONCE and not in_time:
        return after_interruption(declaration, state, name, attempt)
    if in_time and _is_stopped(step, state, name):
        return [NewEvent(EventType.STEP_NOT_TAKEN, *name, data={"cancelled": True}, attempt=attempt)]
    data: dict[str, Any] = {"due": moments.to_text(moments.now()), "stopped": True}
    data |= {"in_time": True} if in_time else {}
    data |= {"progressed": True} if progressed else {}
    return [NewEvent(EventType.ATTEMPT_INTERRUPTED, *name, data=data, attempt=attempt)]


def _is_stopped(step: Step[...], state: type_state, name: RunName) -> bool:
    """Tell whether a cancel stops this run, of which an attempt ended before its body began: no other attempt has begun it."""
    return bool(state.get("cancelling")) and step.undoes is None and not state["runs"][run_key(*name)].get("tried")


def gave_up(
    declaration: Declaration | None, state: type_state, name: RunName, reason: str, error: dict[str, str]
) -> NewEvent:
    """Return the event of a step that nobody will try again by itself.

    It is final if the class goes on from it, and while the timeline is being cancelled: that is its known end. On a child whose
    parent goes on from its failure it ends the child. An undo that fails always needs a person, a reminder never does.
    """
    goes_on = declaration is not None and declaration.graph.lets_fail(name[0])
    run = state["runs"].get(run_key(*name), {})
    is_undo, is_reminder = "of" in run, "planned" in run
    ends_child = bool(state.get("parent", {}).get("fails")) and not goes_on and not state.get("cancelling")
    fatal = ends_child and not is_undo and not is_reminder
    ends = goes_on or fatal or is_reminder or (state.get("cancelling") and not is_undo)
    event = EventType.STEP_FAILED if ends else EventType.STEP_BLOCKED
    return NewEvent(event, *name, data={"reason": reason, "error": error} | ({"fatal": True} if fatal else {}))


def changed_items(declaration: Declaration, name: RunName, run: type_run) -> str:
    """Say how ``each=`` was changed in the code since an open run was begun, or nothing: ``added``, ``taken away``."""
    step = declaration.steps.get(declaration.current(name.step))
    if step is None or step.is_aside or run.get("reason") == "each" or "of" in run:
        return ""
    had_items = "each" in run or bool(name.item)
    if had_items == (step.each is not None):
        return ""
    return "taken away" if had_items else "added"


def with_other_items(declaration: Declaration, state: type_state, name: RunName, said: str) -> NewEvent:
    """Return the event of a run that cannot be executed by a step whose ``each=`` was changed."""
    message = f"each= of {declaration.label}.{name.step} was {said} in the code while this was under way."
    return gave_up(None, state, name, "items", {"type": "", "message": message, "traceback": ""})


def lost(declaration: Declaration, step: str) -> NewEvent:
    """Return the event of a step that is to be done again and that the code no longer has."""
    return NewEvent(
        EventType.STEP_BLOCKED, step, data={"reason": "unknown_step", "error": _gone(declaration.label, RunName(step))}
    )


def _gone(workflow: str, name: RunName) -> dict[str, str]:
    return {"type": "", "message": f"The code has no step {workflow}.{name[0]} any more.", "traceback": ""}


def without_code(declaration: Declaration | None, snapshot: Snapshot, name: RunName) -> NewEvent:
    """Return the event of a step that the code no longer has."""
    error = _gone(snapshot.workflow, name)
    if declaration is None and snapshot.state.get(
        "compensating"
    ):  # nobody knows what is to be undone: the end can wait
        return NewEvent(EventType.STEP_BLOCKED, *name, data={"reason": "unknown_step", "error": error})
    return gave_up(None, snapshot.state, name, "unknown_step", error)
