"""Sends hints to the channel layer after a commit, from whatever thread committed. A hint that cannot be sent harms nobody.

One thread of each process holds the connection, in an event loop of its own: a commit in a worker's thread then opens none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import uuid
from concurrent.futures import Future
from typing import Any

from .layer import EVERY, PROGRESS, group_of, hint, shared_layer

logger = logging.getLogger("django_timelines")
PATIENCE = 1.0  # seconds that a commit's thread waits for its hint to leave; a job's process may end right after it
SILENCE = 5.0  # seconds without a try after a failure: hubs look into the database as often as that


class Sender:
    """The thread that sends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._silent_until = 0.0

    def send(self, layer: Any, timeline: uuid.UUID, sequence: int, *, waits: bool) -> None:
        """Send one hint. Never raises; waits at most ``PATIENCE``, and not at all in an event loop's thread."""
        if time.monotonic() < self._silent_until:
            return
        try:
            sending = asyncio.run_coroutine_threadsafe(_send(layer, timeline, sequence), self._running_loop())
            if not waits or _in_event_loop():
                sending.add_done_callback(self._look_at)
            else:
                sending.result(PATIENCE)
        except Exception as error:
            self._failed(error)

    def _look_at(self, sent: Future[None]) -> None:
        error = None if sent.cancelled() else sent.exception()
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._silent_until = time.monotonic() + SILENCE
        logger.warning(
            "Could not send a hint to the channel layer: %r. Pages look for themselves every few seconds.", error
        )

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():  # threads do not survive a fork
                self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
                threading.Thread(target=self._loop.run_forever, name="timelines-hints", daemon=True).start()
            return self._loop


async def _send(layer: Any, timeline: uuid.UUID, sequence: int) -> None:
    async with asyncio.timeout(PATIENCE):
        await layer.group_send(group_of(timeline), hint(timeline, sequence))


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


sender = Sender()


def send_hint(timeline: uuid.UUID, sequence: int, more: bool = False, **kwargs: Any) -> None:
    """Receive ``appended``: tell the other processes. Only the last hint of a runner is waited for."""
    layer = shared_layer()
    if layer is not None:
        sender.send(layer, timeline, sequence, waits=not more)


def send_hint_to_all(**kwargs: Any) -> None:
    """Receive ``paused``: tell the other processes, once."""
    send_hint(EVERY, 0)


def send_progress(timeline: uuid.UUID, **kwargs: Any) -> None:
    """Receive ``progressed``: tell the other processes. The body does not wait for that."""
    send_hint(timeline, PROGRESS, more=True)
