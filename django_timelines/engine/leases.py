"""Heartbeats: one thread for each process lengthens the leases of what it is executing, also while a body blocks."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connections

from .. import conf, store

logger = logging.getLogger("django_timelines")


class Keeper:
    """Holds the names of this process's leases, and a thread that is there only while there are some."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, float]] = {}  # database, and until when (monotonic time)
        self._lock = threading.Lock()
        self._pid = 0

    @contextmanager
    def keep(self, using: str, holder: str, limit: timedelta | None = None) -> Iterator[None]:
        """Keep this holder's leases for the block, no longer than ``limit``: a body that hangs loses its lease."""
        kept = using, time.monotonic() + limit.total_seconds() if limit else math.inf
        with self._lock:
            if self._pid != os.getpid():  # the first of this process, or of one that was forked from it
                self._held = {}
                threading.Thread(target=self._beat, name="timelines-leases", daemon=True).start()
                self._pid = os.getpid()
            self._held[holder] = kept
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(holder, None)

    def _beat(self) -> None:
        while True:
            try:
                time.sleep(conf.lease().total_seconds() / 3)
            except Exception:  # the setting is wrong: whoever has a lease needs this thread once it is right again
                logger.warning("Heartbeats wait for a LEASE that is right.", exc_info=True)
                time.sleep(1)
                continue
            with self._lock:
                held = {holder: using for holder, (using, until) in self._held.items() if until > time.monotonic()}
            for using in set(held.values()):
                holders = [holder for holder, alias in held.items() if alias == using]
                try:
                    store.heartbeat(using, holders, conf.lease().total_seconds())
                except Exception:  # no lost lease: only a newer fence is
                    logger.warning("A heartbeat could not be written.", exc_info=True)
                finally:
                    connections[using].close()


keeper = Keeper()
