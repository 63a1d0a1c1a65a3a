"""Waiting for a step from a view or a script: with the database as the truth, and a hint from this process to be quick."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from typing import Any

from asgiref.sync import sync_to_async

from .. import registry
from ..databases import in_callers_transaction
from ..signals import appended
from ..state import LATER, MOVING, Outcome, RunName, StepStatus, awaits_child, run_key, standing, step_status
from ..store import Snapshot
from .judge import outcome_of
from .runner import knowing, load
from .unique import rejection_of

_UNDER_WAY = frozenset({StepStatus.DUE, StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.UPCOMING})
FIRST_LOOK, LONGEST_LOOK = 0.01, 0.25  # seconds between looks at the database

_hint = threading.Condition()


def wait(snapshot: Snapshot, name: RunName, timeout: float) -> tuple[Outcome, Snapshot]:
    """Wait until the step is settled, blocked or waits for a person, at most ``timeout`` seconds; return where it stands.

    Inside a transaction that the caller opened nothing that others do can be seen, so it returns at once.
    """
    watch = _Watch(snapshot, name, timeout)
    while (pause := watch.look()) is not None:
        with _hint:
            _hint.wait(pause)
    return watch.answer()


async def await_outcome(snapshot: Snapshot, name: RunName, timeout: float) -> tuple[Outcome, Snapshot]:
    """Wait as ``wait`` does, and hold no thread between two looks."""
    watch = await sync_to_async(_Watch)(snapshot, name, timeout)
    while (pause := await sync_to_async(watch.look)()) is not None:
        await asyncio.sleep(pause)
    return watch.answer()


class _Watch:
    """Looks at a step, ever more rarely, until there is an answer or the time is up."""

    def __init__(self, snapshot: Snapshot, name: RunName, timeout: float) -> None:
        self.snapshot, self.name = knowing(snapshot, name), name
        self.deadline = time.monotonic() + timeout
        self.pause = FIRST_LOOK

    def look(self) -> float | None:
        """Look at the database; return the seconds until the next look, or None: that was the last."""
        if not _is_under_way(self.snapshot, self.name) or in_callers_transaction(self.snapshot.using):
            return None
        self.snapshot = load(self.snapshot.id, self.snapshot.using, names=[self.name])
        left = self.deadline - time.monotonic()
        if left <= 0 or "ended" in self.snapshot.state or _nothing_goes_on(self.snapshot, self.name):
            return None
        pause, self.pause = min(self.pause, left), min(self.pause * 2, LONGEST_LOOK)
        return pause

    def answer(self) -> tuple[Outcome, Snapshot]:
        """Return where the step stood at the last look; ``Rejected`` if its body said no to the input."""
        run = self.snapshot.state["runs"].get(run_key(*self.name), {})
        if run.get("status") == StepStatus.WAITING and "errors" in run:
            raise rejection_of(run)
        return outcome_of(self.snapshot.state, self.name), self.snapshot


def _is_under_way(snapshot: Snapshot, name: RunName) -> bool:
    run = snapshot.state["runs"].get(run_key(*name), {})
    return step_status(snapshot.state, *name) in _UNDER_WAY or awaits_child(run)


def _nothing_goes_on(snapshot: Snapshot, name: RunName) -> bool:
    """Tell whether an upcoming step cannot come soon: all that is open waits for people, and none for another timeline."""
    if step_status(snapshot.state, *name) is not StepStatus.UPCOMING:
        return False
    return {*MOVING, LATER}.isdisjoint(standing(snapshot.state)) and not _awaits_a_child(snapshot)


def _awaits_a_child(snapshot: Snapshot) -> bool:
    declaration = registry.find(snapshot.workflow)
    begun = [name for name, step in declaration.steps.items() if step.child is not None] if declaration else []
    runs = [snapshot.state["runs"].get(name, {}) for name in begun]
    return any(StepStatus.WAITING in run.get("each", (run.get("status"),)) for run in runs)


def _wake(sender: Any, timeline: uuid.UUID, **kwargs: Any) -> None:
    with _hint:
        _hint.notify_all()


appended.connect(_wake, dispatch_uid="django_timelines.wait")
