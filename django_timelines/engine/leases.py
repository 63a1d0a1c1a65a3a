"""Heartbeats: threads of each process lengthen the leases of what it is executing, also while a body blocks."""

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
SOON = 1.0  # seconds after which a heartbeat that could not be written is tried again


class Keeper:
    """Holds the names of this process's leases, and a thread for each database that it has had some in.

    A database that does not answer stops its own thread only.
    """

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Hold nothing and have no thread: so it is in a process that was forked, whatever its parent was about."""
        self._held: dict[str, tuple[str, float]] = {}  # database, and until when (monotonic time)
        self._beating: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    @contextmanager
    def keep(self, using: str, holder: str, limit: timedelta | None = None) -> Iterator[None]:
        """Keep this holder's leases for the block, no longer than ``limit``: a body that hangs loses its lease."""
        kept = using, _until(limit)
        with self._lock:
            self._begin(using)
            self._held[holder] = kept
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(holder, None)

    def keep_on(self, holder: str, limit: timedelta | None) -> None:
        """Count the limit of what this holder keeps, if it does, from now: its body begins once more."""
        with self._lock:
            if holder in self._held:
                self._held[holder] = self._held[holder][0], _until(limit)

    def _begin(self, using: str) -> None:
        if using not in self._beating or not self._beating[using].is_alive():
            thread = threading.Thread(target=self._beat, args=[using], name=f"timelines-leases-{using}", daemon=True)
            thread.start()
            self._beating[using] = thread

    def _beat(self, using: str) -> None:
        said = ""
        while True:
            try:
                pause = conf.lease().total_seconds() / 3
                time.sleep(min(pause, SOON) if said else pause)
            except Exception:  # the setting is wrong: whoever has a lease needs this thread once it is right again
                logger.warning("Heartbeats wait for a LEASE that is right.", exc_info=True)
                time.sleep(1)
                continue
            try:
                self._lengthen(using)
                said = ""
            except Exception as error:  # no lost lease: only a newer fence is
                if repr(error) != said:
                    logger.warning("A heartbeat could not be written.", exc_info=True)
                said = repr(error)

    def _lengthen(self, using: str) -> None:
        with self._lock:
            held, now = self._held.items(), time.monotonic()
            holders = [holder for holder, (alias, until) in held if alias == using and until > now]
        if holders:
            try:
                store.heartbeat(using, holders, conf.lease().total_seconds())
            finally:
                connections[using].close()


def _until(limit: timedelta | None) -> float:
    return time.monotonic() + limit.total_seconds() if limit else math.inf


keeper = Keeper()
if hasattr(os, "register_at_fork"):  # Windows has none
    os.register_at_fork(after_in_child=keeper.begin_anew)
