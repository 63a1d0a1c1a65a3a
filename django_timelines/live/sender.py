"""Sends hints to the channel layer after a commit, from whatever thread committed. A hint that cannot be sent harms nobody.

One thread of each process holds the connection, in an event loop of its own: a commit in a worker's thread then opens none.
It waits for its hint only where the process may end right after it. While the same runner goes on, its first hint leaves at
once, then one in ``PAUSE``, which is how often pages are pushed to; its last one leaves at once again.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
import uuid
from concurrent.futures import Future, wait
from typing import Any

from .hub import PAUSE
from .layer import EVERY, PROGRESS, group_of, hint, shared_layer

logger = logging.getLogger("django_timelines")
PATIENCE = 1.0  # seconds that a hint may take to leave, and that anybody waits for it
SILENCE = 5.0  # seconds without a try after a failure: hubs look into the database as often as that
MOST = 100  # hints on their way, after which a commit's thread waits


class Sender:
    """The thread that sends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._silent_until = 0.0
        self._leaving: set[Future[None]] = set()
        self._later: dict[uuid.UUID, int | None] = {}  # of timelines whose runner goes on: what there is to say by now

    def send(self, layer: Any, timeline: uuid.UUID, sequence: int, *, more: bool = False) -> None:
        """Send one hint. Never raises. ``more``: the same runner will send another one soon."""
        if time.monotonic() < self._silent_until:
            return
        try:
            with self._lock:
                is_first = timeline not in self._later
                if not is_first:
                    self._later[timeline] = max(self._later[timeline] or 0, sequence) if more else None
                    if more:
                        return
                sending = self._begin(layer, timeline, sequence, goes_on=more and is_first)
            if (_ends_abruptly and not more) or len(self._leaving) > MOST:
                _wait_for(sending)
        except Exception as error:
            self._failed(error)

    def flush(self) -> None:
        """Wait until what was sent has left, ``PATIENCE`` at most: the process ends."""
        wait(list(self._leaving), PATIENCE)

    def _begin(self, layer: Any, timeline: uuid.UUID, sequence: int, *, goes_on: bool) -> Future[None]:
        loop = self._running_loop()
        if goes_on:
            self._later[timeline] = None
            loop.call_soon_threadsafe(loop.call_later, PAUSE, self._go_on, layer, timeline)
        sending = asyncio.run_coroutine_threadsafe(_send(layer, timeline, sequence), loop)
        self._leaving.add(sending)
        sending.add_done_callback(self._look_at)
        return sending

    def _go_on(self, layer: Any, timeline: uuid.UUID) -> None:
        with self._lock:
            sequence = self._later.pop(timeline)
            if sequence is not None:
                self._begin(layer, timeline, sequence, goes_on=True)

    def _look_at(self, sent: Future[None]) -> None:
        self._leaving.discard(sent)
        error = None if sent.cancelled() else sent.exception()
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if time.monotonic() < self._silent_until:
            return
        self._silent_until = time.monotonic() + SILENCE
        logger.warning(
            "Could not send a hint to the channel layer: %r. Pages look for themselves every few seconds.", error
        )

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="timelines-hints", daemon=True).start()
        return self._loop


async def _send(layer: Any, timeline: uuid.UUID, sequence: int) -> None:
    async with asyncio.timeout(PATIENCE):
        await layer.group_send(group_of(timeline), hint(timeline, sequence))


def _wait_for(sending: Future[None]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # no event loop that would stand still meanwhile
        wait([sending], PATIENCE)


sender = Sender()
_ends_abruptly = False  # a fork may end, as the work-horse of an RQ worker does, without a word to anybody


def _begin_anew() -> None:
    """In a fork: threads do not survive it."""
    global sender, _ends_abruptly
    sender, _ends_abruptly = Sender(), True


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(lambda: sender.flush())


def send_hint(timeline: uuid.UUID, sequence: int, more: bool = False, **kwargs: Any) -> None:
    """Receive ``appended``: tell the other processes."""
    layer = shared_layer()
    if layer is not None:
        sender.send(layer, timeline, sequence, more=more)


def send_hint_to_all(**kwargs: Any) -> None:
    """Receive ``paused``: tell the other processes, once."""
    send_hint(EVERY, 0)


def send_progress(timeline: uuid.UUID, **kwargs: Any) -> None:
    """Receive ``progressed``: tell the other processes."""
    send_hint(timeline, PROGRESS, more=True)
