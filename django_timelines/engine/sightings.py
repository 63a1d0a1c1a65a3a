"""Who is there: clocks and followers note each ten seconds that they run; who has not done so for a minute is missing."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from .. import moments, store
from ..models import Sighting

CLOCK, FOLLOWER = "clock", "follower"
EVERY = 10.0  # seconds
UNSEEN_AFTER = timedelta(minutes=1)


class Presence:
    """That a process is there, as it notes it."""

    def __init__(self, using: str, who: str) -> None:
        self._using, self._who = using, who
        self._noted: float | None = None  # by no clock that can be set

    def note(self, every: float = EVERY) -> bool:
        """Note that it is there, unless that was done within ten seconds, or fewer; return whether it was noted."""
        if self._noted is not None and time.monotonic() - self._noted < min(every, EVERY):
            return False
        store.sighted(self._using, self._who, moments.now())
        self._noted = time.monotonic()
        return True


def last_seen(using: str, who: str) -> datetime | None:
    """Return when one of these was seen last, if ever."""
    return Sighting.objects.using(using).filter(name=who).values_list("at", flat=True).first()


def is_there(seen: datetime | None) -> bool:
    """Tell whether who was seen last then may still be there."""
    return seen is not None and moments.now() - seen < UNSEEN_AFTER
