"""Noting progress beside a body's own transaction, or from its event loop: what is not committed nobody sees.

One thread of each process does it, on a connection of its own. SQLite has one writer, which is the body; and where the body's
transaction keeps a snapshot, its run's row would be newer than that, and it could not be completed. There nothing is noted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections

from .. import store
from ..databases import keeps_snapshot
from ..exceptions import LeaseLost
from ..statements import type_row

logger = logging.getLogger("django_timelines")
PATIENCE = 1.0  # seconds that a body waits for its progress to be noted


class Beside:
    """The thread that notes."""

    def __init__(self) -> None:
        self._pid = 0
        self._threads: ThreadPoolExecutor

    def is_needed(self) -> bool:
        """Tell whether this is the thread of an event loop, which must not talk to a database."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True

    def note(self, using: str, timeline: uuid.UUID, step: str, fence: int, row: type_row) -> bool:
        """Note it, and tell whether that is done; ``LeaseLost`` if the run went on to a newer event."""
        if self._pid != os.getpid():  # threads do not survive a fork
            self._pid, self._threads = os.getpid(), ThreadPoolExecutor(1, "timelines-progress")
        connection = connections[using]
        try:
            if connection.in_atomic_block and keeps_snapshot(connection):
                return False
            self._threads.submit(_note, using, timeline, step, fence, row).result(PATIENCE)
        except LeaseLost:
            raise
        except Exception:
            logger.info("Progress could not be noted.", exc_info=True)
            return False
        return True


def _note(using: str, *args: Any) -> None:
    try:
        store.note(using, *args)
    finally:
        connections[using].close()


beside = Beside()
