"""Waiting for a step from a view or a script: with the database as the truth, and a hint from this process to be quick."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from ..databases import in_callers_transaction
from ..exceptions import Rejected
from ..signals import appended
from ..state import Outcome, StepStatus, awaits_child, run_key, step_status
from ..store import Snapshot, type_name
from .judge import outcome_of
from .runner import load

_UNDER_WAY = frozenset({StepStatus.DUE, StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.UPCOMING})
FIRST_LOOK, LONGEST_LOOK = 0.01, 0.25  # seconds between looks at the database

_hint = threading.Condition()


def wait(snapshot: Snapshot, name: type_name, timeout: float) -> tuple[Outcome, Snapshot]:
    """Wait until the step is settled, blocked or waits for a person, at most ``timeout`` seconds; return where it stands.

    Inside a transaction that the caller opened nothing that others do can be seen, so it returns at once.
    """
    deadline = time.monotonic() + timeout
    pause = FIRST_LOOK
    while _is_under_way(snapshot, name):
        if in_callers_transaction(snapshot.using):
            break
        snapshot = load(snapshot.id, snapshot.using)
        left = deadline - time.monotonic()
        if left <= 0 or "ended" in snapshot.state or _nothing_goes_on(snapshot, name):
            break
        with _hint:
            _hint.wait(min(pause, left))
        pause = min(pause * 2, LONGEST_LOOK)
    run = snapshot.state["runs"].get(run_key(*name), {})
    if run.get("status") == StepStatus.WAITING and "errors" in run:
        raise Rejected(run["errors"])
    return outcome_of(snapshot.state, name), snapshot


def _is_under_way(snapshot: Snapshot, name: type_name) -> bool:
    run = snapshot.state["runs"].get(run_key(*name), {})
    return step_status(snapshot.state, *name) in _UNDER_WAY or awaits_child(run)


def _nothing_goes_on(snapshot: Snapshot, name: type_name) -> bool:
    """Tell whether an upcoming step cannot come soon: all that is open waits for people."""
    upcoming = step_status(snapshot.state, *name) is StepStatus.UPCOMING
    moving = {StepStatus.DUE, StepStatus.RUNNING, StepStatus.RETRYING}
    return upcoming and not any(run["status"] in moving for run in snapshot.state["runs"].values())


def _wake(sender: Any, timeline: uuid.UUID, **kwargs: Any) -> None:
    with _hint:
        _hint.notify_all()


appended.connect(_wake, dispatch_uid="django_timelines.wait")
