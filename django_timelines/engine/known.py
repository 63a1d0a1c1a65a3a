"""What a clock knows from look to look."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..models import Run
from . import elsewhere

type_times = tuple[str, str, str, str]


@dataclass
class Known:
    """What a clock knows from look to look.

    ``deaf``: the placements that it could not ring, until when it leaves them to others. It takes nothing from them: their runs
    stay as they are, to be rung for at once by a clock that serves them, or when Redis is back.
    ``kept``: when it last looked at a schedule (its workflow, name, times and time zone) and left nothing to do.
    ``told``: of which of these it has said that a clock of another release gives it other times.
    ``rescues``: whether it takes an attempt whose lease has ended for one whose runner went away.
    ``head_start``: for how long it writes nothing of what is for a clock of newer code. Its note would keep that one away, too.
    """

    deaf: dict[str, datetime] = field(default_factory=dict)
    kept: dict[type_times, datetime] = field(default_factory=dict)
    told: set[type_times] = field(default_factory=set)
    rescues: bool = True
    head_start: timedelta = timedelta(0)
    _first_seen: dict[tuple[uuid.UUID, int, int], datetime] = field(default_factory=dict)

    def leaves(self, run: Run, at: datetime) -> bool:
        """Tell whether a clock of newer code has its head start still, from when this one first saw the run's ring."""
        key = (run.pk, run.fence, run.rings)
        if timedelta(0) <= at - self._first_seen.setdefault(key, at) < self.head_start:
            return True
        del self._first_seen[key]
        return False

    def forget(self, at: datetime) -> None:
        """Forget what is over: a placement may be tried again, a run was moved by another clock."""
        self.deaf = {placement: until for placement, until in self.deaf.items() if until > at}
        self._first_seen = {run: seen for run, seen in self._first_seen.items() if abs(at - seen) < elsewhere.LONG}
