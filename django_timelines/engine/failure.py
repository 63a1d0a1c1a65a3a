"""One failure policy, wherever a step runs: from what ended an attempt to the events that say so."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from .. import moments
from ..events import EventType, NewEvent
from ..exceptions import PermanentFailure
from ..registry import Declaration
from ..state import run_key, type_state
from ..steps import Delivery
from ..store import type_name
from .body import Failed, errors_of


def after_failure(
    declaration: Declaration, state: type_state, name: type_name, attempt: int, failed: Failed
) -> list[NewEvent]:
    """Return the events of a failed attempt: rejected, tried again, blocked, or failed for good."""
    step, error = declaration.step(name[0]), failed.error
    if isinstance(error, ValidationError):
        if failed.is_rejection and state["runs"].get(run_key(*name), {}).get("call"):
            return [NewEvent(EventType.STEP_REJECTED, *name, data={"errors": errors_of(error)}, attempt=attempt)]
        delay = None
    elif step.delivery is Delivery.AT_MOST_ONCE:
        delay = None  # its effect may have happened
    else:
        delay = step.retry.delay(attempt, error)
    described = failed.describe()
    if delay is not None:
        data: dict[str, Any] = {"error": described, "due": moments.to_text(moments.now() + delay)}
        data |= {"guard_passed": True} if failed.guard_passed else {}
        return [NewEvent(EventType.ATTEMPT_FAILED, *name, data=data, attempt=attempt)]
    failure = NewEvent(EventType.ATTEMPT_FAILED, *name, data={"error": described}, attempt=attempt)
    return [failure, gave_up(declaration, name, "failed", described)]


def after_interruption(declaration: Declaration, name: type_name, attempt: int) -> list[NewEvent]:
    """Return the events of an attempt whose runner died: its lease ran out."""
    step = declaration.step(name[0])
    error = {"type": "", "message": "The process that executed it went away.", "traceback": ""}
    if step.delivery is Delivery.AT_MOST_ONCE:
        return [
            NewEvent(EventType.ATTEMPT_INTERRUPTED, *name, attempt=attempt),
            NewEvent(EventType.STEP_BLOCKED, *name, data={"reason": "interrupted", "error": error}, attempt=attempt),
        ]
    if attempt >= step.retry.attempts:
        interrupted = NewEvent(EventType.ATTEMPT_INTERRUPTED, *name, attempt=attempt)
        return [interrupted, gave_up(declaration, name, "interrupted", error)]
    due = moments.to_text(moments.now())
    return [NewEvent(EventType.ATTEMPT_INTERRUPTED, *name, data={"due": due}, attempt=attempt)]


def gave_up(declaration: Declaration, name: type_name, reason: str, error: dict[str, str]) -> NewEvent:
    """Return the event of a step that nobody will try again by itself: final if the class goes on from it."""
    final = declaration.graph.goes_on_from(name[0], "failed")
    return NewEvent(
        EventType.STEP_FAILED if final else EventType.STEP_BLOCKED, *name, data={"reason": reason, "error": error}
    )


def unset(workflow: str, field: str, step: str) -> PermanentFailure:
    """Return the error of a field that is read before a step has set it."""
    return PermanentFailure(f"{step or workflow} reads {field!r}, which no step of {workflow} has set yet.")
