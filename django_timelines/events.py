"""What can happen on a timeline: the closed list of event types, and the value that an event is before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """The events of django_timelines itself. Recorded events carry names of their own."""

    TIMELINE_STARTED = "TimelineStarted"
    """The first event. ``data``: ``fields`` (the defaults), ``key``, ``schedule`` (its ``name``, and the ``tick``)."""
    STEP_CALLED = "StepCalled"
    """Somebody asked for the step. ``data``: ``input``, ``digest``, ``key``, ``early``; ``caller``, a user's primary key, if it
    came from outside before it was asked who gets the step."""
    STEP_DUE = "StepDue"
    """It is the step's turn. ``data``: ``waiting`` (for a call), ``due`` (not before), ``until`` (its deadline), ``reason``,
    ``assigned`` (who gets it); ``timed`` when its first attempt asked for these, and counts as none; ``in_time`` when a person
    took it from an attempt whose body had not begun."""
    ATTEMPT_STARTED = "AttemptStarted"
    """The attempt was claimed. Written before the body runs. ``data``: ``slots``, what it holds of its limits until it ends."""
    ATTEMPT_FAILED = "AttemptFailed"
    """The body raised. ``data``: ``error``, and ``due`` when it will be tried again; ``progressed`` when a batch of it was
    committed: then it counts as none, and attempts are counted anew; ``in_time`` when it was raised before the body began."""
    ATTEMPT_INTERRUPTED = "AttemptInterrupted"
    """The attempt was taken from its runner. ``data``: ``due`` when it will be tried again; ``reason`` (``interrupted``) and
    ``error`` when its process went away; ``stopped`` when its worker ended, and it counts as none; ``progressed`` and
    ``in_time`` as above. With ``superseded`` it is a result that came too late: recorded (``outcome``,
    ``changes_kept_back``, ``error``), never applied."""
    STEP_COMPLETED = "StepCompleted"
    """The body returned. ``data``: ``changes``, exactly the fields that it changed; ``links``, the runs whose link it made."""
    STEP_REJECTED = "StepRejected"
    """The body said no to the input. ``data``: ``errors``. The step waits for the next call; for the first time, if the call came
    before it: then also what ``StepDue`` says of that."""
    STEP_FAILED = "StepFailed"
    """The policy gave up and the class goes on from that. Final."""
    STEP_BLOCKED = "StepBlocked"
    """A person is needed. ``data``: ``reason`` (``failed``, ``interrupted``, ``conflict`` …); ``done`` where it was done all the
    same, so that it may be undone: others had changed one of its fields, or its child's results did not fit."""
    STEP_SKIPPED = "StepSkipped"
    """A person went past the step. ``data``: ``reason``, ``changes``. Counts as done."""
    STEP_NOT_TAKEN = "StepNotTaken"
    """The timeline went another way: its guard said no, or the outcome that it comes after did not come."""
    STEP_NOT_REACHED = "StepNotReached"
    """What it comes after failed, is overdue or was itself not reached."""
    STEP_OVERDUE = "StepOverdue"
    """Its ``within=`` ran out. ``data``: ``final`` when the class goes on from that."""
    STEP_UNDONE = "StepUndone"
    """The compensation of a step is done: the completion of its ``undo``. ``data``: ``of`` (the run undone), ``changes``."""
    ROUND_BEGUN = "RoundBegun"
    """From a step on, once more. ``data``: ``to``, ``rounds`` (the new round of each step done again), ``fields`` and
    ``unset`` (what fields go back to), ``kept`` (completed runs that may be undone later), ``undo`` (those that are undone
    first; not there if a rewind of other steps goes on beside it), ``going_on`` (where a step sent the work back: runs that
    were begun, and the key that each has from now on), ``withdrawn`` (open runs that end with it), ``reason``."""
    AMENDED = "Amended"
    """A person corrected fields. ``data``: ``changes``, ``reason``; ``renamed`` where the code renamed steps and fields."""
    PAUSED = "Paused"
    """Nothing new is begun until ``Resumed``. ``data``: ``reason``."""
    RESUMED = "Resumed"
    STEP_ASSIGNED = "StepAssigned"
    """A person gave a step that waits to one user. ``data``: ``assigned`` (``id`` and ``label``; None: to all who may call it),
    ``reason``. Links that were made before are revoked with it."""
    LINKS_REVOKED = "LinksRevoked"
    """No link to the step (without one: to the timeline) that was made by now is good any more. ``data``: ``reason``."""
    CANCEL_REQUESTED = "CancelRequested"
    """``data``: ``reason``, ``cancelled`` (the runs that end with it), ``compensate`` (what completed is undone). On a child that
    had completed it takes the end back."""
    TIMELINE_COMPLETED = "TimelineCompleted"
    TIMELINE_FAILED = "TimelineFailed"
    """A step of a child gave up, and the parent goes on from that."""
    TIMELINE_CANCELLED = "TimelineCancelled"
    ERASED = "Erased"
    """What the timeline's events said is gone; the names are left. ``data``: ``reason``. Nothing follows an end but this,
    revoked links, a result that came too late, and the undoing of a child with its parent."""


OUTCOMES = (
    EventType.STEP_COMPLETED,
    EventType.STEP_UNDONE,
    EventType.STEP_NOT_TAKEN,
    EventType.STEP_DUE,
    EventType.STEP_REJECTED,
    EventType.STEP_FAILED,
    EventType.STEP_BLOCKED,
    EventType.ATTEMPT_FAILED,
)
"""How an attempt ends that its own process records."""

ENDINGS = (EventType.TIMELINE_COMPLETED, EventType.TIMELINE_FAILED, EventType.TIMELINE_CANCELLED)


@dataclass(slots=True)  # to make a frozen one takes four times as long, and one outcome may decide hundreds of steps
class NewEvent:
    """An event that is about to be appended. Its sequence and actor are the append's, and its time unless it has one.

    Nobody changes one: several states may be made of it.

    ``round``: of a run that an earlier round has begun; its ``data`` tells it.
    """

    type: str
    step: str = ""
    item: str = ""
    round: InitVar[int] = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    attempt: int | None = None
    version: int = 1
    at: datetime | None = None

    def __post_init__(self, round: int) -> None:
        if round:
            self.data = {**self.data, "round": round}
