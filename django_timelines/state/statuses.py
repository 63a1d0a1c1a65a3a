"""Where timelines and runs may stand: closed lists, and what the words have in common."""

from __future__ import annotations

from enum import StrEnum


class TimelineStatus(StrEnum):
    """A closed list."""

    RUNNING = "running"
    """Something is due, is being executed or will be tried again."""
    WAITING = "waiting"
    """Nothing goes on until somebody calls a step or a time comes."""
    BLOCKED = "blocked"
    """A step needs a person."""
    PAUSED = "paused"
    """A person said that nothing new is begun for now."""
    CANCELLING = "cancelling"
    """Cancelled, but something that was begun is carried to its end first."""
    COMPLETED = "completed"
    """Every step is settled."""
    FAILED = "failed"
    """A step gave up, and the parent goes on from that: of a child only."""
    CANCELLED = "cancelled"


class StepStatus(StrEnum):
    """A closed list."""

    UPCOMING = "upcoming"
    """What it comes after is not settled yet."""
    DUE = "due"
    """Its time has come and nobody has it."""
    RUNNING = "running"
    """An attempt is being executed."""
    RETRYING = "retrying"
    """An attempt failed; the next one has a due time."""
    WAITING = "waiting"
    """It waits for somebody to call it."""
    BLOCKED = "blocked"
    """It needs a person."""
    COMPLETED = "completed"
    SKIPPED = "skipped"
    """A person went past it."""
    FAILED = "failed"
    OVERDUE = "overdue"
    """Its ``within=`` ran out."""
    NOT_TAKEN = "not taken"
    """The timeline went another way."""
    NOT_REACHED = "not reached"
    """Something before it failed, is overdue, or was not reached itself."""
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """What a call answers."""

    COMPLETED = "completed"
    DUE = "due"
    """It will run elsewhere, or runs there already."""
    RETRYING = "retrying"
    BLOCKED = "blocked"
    FAILED = "failed"
    NOT_TAKEN = "not taken"
    """The step's guard said no."""
    KEPT = "kept"
    """The call came before the step; it is stored until the step can take it."""
    UNSETTLED = "unsettled"
    """It came to another end: overdue, not reached, cancelled; or the time of ``wait()`` ran out before it came to any."""


# how items are counted whose status does not say all
LATE = "overdue, final"  # done with for being late
LATER = "due, not before a time"
KEPT = "upcoming, called"
DONE = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})
CLAIMABLE = (StepStatus.DUE, StepStatus.RETRYING)
"""An attempt is to be claimed, once its time has come."""
MOVING = frozenset({*CLAIMABLE, StepStatus.RUNNING})
OPEN = MOVING | {StepStatus.WAITING, StepStatus.BLOCKED}
BROKEN = frozenset({StepStatus.FAILED, StepStatus.NOT_REACHED, StepStatus.CANCELLED})
TAKES_CALLS = frozenset({StepStatus.WAITING, StepStatus.OVERDUE})
"""A person may call the step, if nothing goes on from its being overdue."""
FOR_PEOPLE = TAKES_CALLS | {StepStatus.BLOCKED}
"""Somebody has to do something, and may be given the step."""
OPEN_AS = frozenset({*OPEN, StepStatus.OVERDUE, LATER})
SETTLED_AS = frozenset({*DONE, *BROKEN, LATE, StepStatus.NOT_TAKEN})
ENDED = frozenset({TimelineStatus.COMPLETED, TimelineStatus.FAILED, TimelineStatus.CANCELLED})
GRAVEST_FIRST = (
    StepStatus.BLOCKED,
    StepStatus.OVERDUE,
    StepStatus.RETRYING,
    StepStatus.RUNNING,
    StepStatus.DUE,
    StepStatus.WAITING,
)
"""Where an open run may stand."""
WANTS_A_LOOK = (StepStatus.BLOCKED, StepStatus.FAILED, StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.OVERDUE)
