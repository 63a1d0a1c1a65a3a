"""Where one run stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..runs import type_run
from .statuses import KEPT, LATE, LATER, MOVING, OPEN, TAKES_CALLS, StepStatus

UNFITTING = "results"
"""The reason of a step that is blocked because the results of its child do not fit."""


def is_open(run: Mapping[str, Any]) -> bool:
    """Tell whether a run was reached and is not settled. An overdue one that nothing goes on from may still be done."""
    is_final = run.get("final") or "each" in run  # a step is overdue when all of its items are done with
    return run["status"] in OPEN or (run["status"] == StepStatus.OVERDUE and not is_final)


def is_begun(run: Mapping[str, Any]) -> bool:
    """Tell whether an open run is under way: somebody has tried it, or its child has begun."""
    if run["status"] in (StepStatus.DUE, StepStatus.BLOCKED):
        return bool(run["attempt"] or run.get("tried")) and "each" not in run
    return (run["status"] in MOVING and "each" not in run) or awaits_child(run)


def is_unbegun(run: Mapping[str, Any]) -> bool:
    """Tell whether an open run has had nobody who began it. A call that was rejected, or waits to be made, has begun nothing."""
    if not is_open(run) or "each" in run or run["status"] == StepStatus.RUNNING or awaits_child(run):
        return False
    if run["status"] in TAKES_CALLS:  # an attempt that was rejected left its number
        return run["status"] == StepStatus.WAITING or not run.get("tried")
    return not (run["attempt"] or run.get("tried"))


def awaits_child(run: Mapping[str, Any]) -> bool:
    """Tell whether a run waits for the end of the timeline that it began."""
    return "child" in run and run["status"] in (StepStatus.WAITING, StepStatus.OVERDUE) and not run.get("final")


def has_unfitting_child(run: Mapping[str, Any]) -> bool:
    """Tell whether a run is blocked because the results of its child, which completed, do not fit."""
    return "child" in run and run["status"] == StepStatus.BLOCKED and run.get("reason") == UNFITTING


def is_settled(run: type_run | None) -> bool:
    """Tell whether a run has come to its end."""
    return run is not None and run["status"] != StepStatus.UPCOMING and not is_open(run)


def is_to_undo(run: type_run) -> bool:
    """Tell whether a run has completed and is not undone. Of one that stands for its items these are.

    So has one that was done, though its changes were not taken: it was blocked then, and skipped or cancelled since, maybe.
    """
    was_done = run["status"] == StepStatus.COMPLETED or bool(run.get("done"))
    return was_done and "undone" not in run and "each" not in run


def takes_calls(run: type_run) -> bool:
    """Tell whether a run waits for somebody to call it; an overdue one that may still be done does."""
    return run["status"] in TAKES_CALLS and is_open(run)


def counted_as(run: type_run) -> str:
    """Return the name under which a run is counted; empty for one that is upcoming."""
    if run["status"] == StepStatus.UPCOMING:
        return KEPT if run.get("early") else ""
    if run["status"] == StepStatus.OVERDUE and run.get("final"):
        return LATE
    return LATER if run["status"] == StepStatus.DUE and "due" in run else str(run["status"])
