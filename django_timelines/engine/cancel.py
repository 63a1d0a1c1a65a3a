"""Cancel: what nobody has begun stops at once; what is being executed comes to its end first."""

from __future__ import annotations

from ..events import EventType, NewEvent
from ..registry import Declaration
from ..state import StepStatus, is_open, type_run, type_state
from ..steps import Delivery


def cancellation(declaration: Declaration | None, state: type_state, reason: str) -> NewEvent:
    """Return the event, with the runs that end with it.

    An exactly-once body that is being executed is among them: its completion finds a newer event and rolls back. An
    outside effect that was begun is not: it is carried to its known end, retries included.
    """
    ending = [key for key, run in state["runs"].items() if is_open(run) and not _goes_on(declaration, key, run)]
    return NewEvent(EventType.CANCEL_REQUESTED, data={"reason": reason, "cancelled": ending})


def _goes_on(declaration: Declaration | None, key: str, run: type_run) -> bool:
    begun = run["status"] == StepStatus.RUNNING or (run["status"] == StepStatus.RETRYING and run["attempt"] > 0)
    step = declaration.steps.get(key.partition("[")[0]) if declaration else None
    return begun and (step is None or step.delivery is not Delivery.EXACTLY_ONCE)
