"""Cancel: what nobody has begun stops at once; what is being executed comes to its end first."""

from __future__ import annotations

from typing import Any

from ..events import EventType, NewEvent
from ..registry import Declaration
from ..state import StepStatus, awaits_child, is_begun, open_runs, split_key, type_run, type_state
from ..steps import Delivery

REASON_LIMIT = 2_000


def cancellation(
    declaration: Declaration | None, state: type_state, reason: str, *, compensate: bool = False
) -> NewEvent:
    """Return the event, with the runs that end with it.

    An exactly-once body that is being executed is among them: its completion finds a newer event and rolls back. An
    outside effect that was begun is not: it is carried to its known end, retries included. So is an undo. What only came to
    the step's functions has not begun.
    """
    ending = [key for key, run in open_runs(state).items() if not _goes_on(declaration, key, run)]
    data: dict[str, Any] = {"reason": clean_reason(reason), "cancelled": ending}
    return NewEvent(EventType.CANCEL_REQUESTED, data=data | ({"compensate": True} if compensate else {}))


def clean_reason(reason: str) -> str:
    """Return a person's words as a database can hold them."""
    return str(reason).replace("\x00", "").encode(errors="replace").decode()[:REASON_LIMIT]


def _goes_on(declaration: Declaration | None, key: str, run: type_run) -> bool:
    if "each" in run:
        return "of" in run  # it stands for its items, of which each comes to its own end
    if awaits_child(run):
        return True  # the child is told, and tells of its end
    begun = is_begun(run) and run["status"] != StepStatus.BLOCKED  # due, and begun: a person tries it again
    begun = begun and (run["status"] == StepStatus.RUNNING or "tried" in run)
    step = declaration.steps.get(split_key(key)[0]) if declaration else None
    if step is not None and step.undoes is not None:
        return True
    return begun and (step is None or step.delivery is not Delivery.EXACTLY_ONCE)
