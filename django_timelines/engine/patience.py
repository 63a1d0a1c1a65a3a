"""Beginning again: what to do when somebody else wrote first, or when the database asks for a transaction once more.

A deadlock, a serialization failure or a lock that was not given in time means that nothing was written. In a transaction of
ours that is a ``Conflict`` like any other; one that the caller opened is the caller's to begin again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections

from ..databases import is_transient
from ..exceptions import Conflict

logger = logging.getLogger("django_timelines")
MOST = 10  # times that the database may ask
LONGEST = 10.0  # seconds after which it is not asked again; a lock that was not given may have taken them all
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5  # seconds


@contextmanager
def conflict_if_transient(using: str) -> Iterator[None]:
    """Turn what the database wants begun again into a ``Conflict``, unless it is the caller's transaction."""
    ours = not connections[using].in_atomic_block
    try:
        yield
    except DatabaseError as error:
        if ours and is_transient(error):
            raise Conflict(f"The database asks to begin again: {error}") from error
        raise


class Patience:
    """What a loop that begins again has of it. One for each loop."""

    def __init__(self) -> None:
        self._asked = 0
        self._since = time.monotonic()

    def after(self, conflict: Conflict) -> None:
        """Return when the loop may begin again: at once if somebody else wrote, after a pause if the database asked.

        When it has asked too often, its error is raised.
        """
        if isinstance(conflict.__cause__, DatabaseError) and not self.outlasts(conflict.__cause__):
            raise conflict.__cause__

    def outlasts(self, error: Exception) -> bool:
        """Tell, after a pause that differs from everybody else's, whether to begin again after this error."""
        asked_enough = self._asked == MOST or (self._asked and time.monotonic() - self._since > LONGEST)
        if asked_enough or not is_transient(error):
            return False
        self._asked += 1
        logger.info("The database asks to begin again, time %s: %s", self._asked, error)
        time.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._asked)))  # noqa: S311
        return True
