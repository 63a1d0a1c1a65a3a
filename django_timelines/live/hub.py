"""One hub for each event loop: it knows which sockets watch which timeline, and sends each what it has not seen.

A hint wakes it; what it sends is read from the database. A push is one reading, one drawing and one encoding for all sockets
that have seen the same; there is at most one in ``PAUSE`` for each timeline, the first at once, always up to the newest event.
Every ``LOOK`` it asks the database for the heads of all watched timelines, in case a hint was lost. What is running is drawn
again when it has not moved for ``REDRAW``, and when a pause begins or ends, as why it does not move may have changed. A timeline
whose steps wait for others is read again when one of these moves: the hub listens to them as well.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from typing import Any, Protocol

from ..frames import Seen
from .ear import Ear
from .layer import EVERY, PROGRESS
from .reading import read, read_heads
from .threads import in_thread, keep_connections, let_go

logger = logging.getLogger("django_timelines")
PAUSE = 0.05
LOOK = 5.0
REDRAW = 15.0


class Socket(Protocol):
    """What the hub needs of a socket."""

    seen: Seen

    @property
    def is_busy(self) -> bool:
        """Tell whether a frame is still on its way: what is slow is left out of a push and catches up later."""

    def send_frame(self, seen: Seen, text: str) -> None:
        """Begin to send a frame. Does not wait and does not raise."""

    def ask_again(self) -> None:
        """Ask whether its visitor may still view the timeline, if that was long ago. Does not wait and does not raise."""

    def close(self) -> None:
        """End the socket: its timeline is gone."""


class Watched:
    """One timeline that is looked at."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self.newest = 0  # the newest sequence that was read
        self.version = ""
        self.others: dict[uuid.UUID, int] = {}  # the heads of the timelines that its pages tell of, as they were read
        self.is_stale = False
        self.redraw_at = math.inf  # in the loop's time
        self.redraws = False
        self.pushing: asyncio.Task[None] | None = None


class Hub:
    """The sockets of one event loop, by timeline. Used in that loop only; ``wake_all`` is for other threads.

    ``told_by``: of a timeline, those watched ones whose pages tell of it.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.watched: dict[uuid.UUID, Watched] = {}
        self.told_by: dict[uuid.UUID, set[uuid.UUID]] = {}
        self._ear = Ear(self.heard)
        self._looking: asyncio.Task[None] | None = None

    def join(self, timeline: uuid.UUID, socket: Socket) -> None:
        """Send this socket what it has not seen, now and from now on."""
        if not self.watched:
            keep_connections(self)
            self._ear.want(EVERY)
        if timeline not in self.watched:
            self.watched[timeline] = Watched()
            self._ear.want(timeline)
        self.watched[timeline].sockets.add(socket)
        self.heard(timeline, None)
        if self._looking is None:
            self._looking = self.loop.create_task(self._look())

    def leave(self, timeline: uuid.UUID, socket: Socket) -> None:
        """Forget a socket."""
        watched = self.watched.get(timeline)
        if watched is None:
            return
        watched.sockets.discard(socket)
        if not watched.sockets:
            self._follow(timeline, watched, {})
            del self.watched[timeline]
            self._drop(timeline)
        if self.watched:
            return
        let_go(self)
        self._ear.drop(EVERY)
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def heard(self, timeline: uuid.UUID, sequence: int | None) -> None:
        """Take a hint; without a sequence: look in any case; of progress: draw again. What was read already is no news."""
        if timeline == EVERY and sequence is not None:
            self.draw()
        for parent in self.told_by.get(timeline, ()):
            if sequence is None or sequence > self.watched[parent].others[timeline]:
                self._wake(parent, self.watched[parent])
        watched = self.watched.get(timeline)
        if watched is None or (sequence is not None and PROGRESS < sequence <= watched.newest):
            return
        watched.redraws = watched.redraws or sequence == PROGRESS
        self._wake(timeline, watched)

    def _wake(self, timeline: uuid.UUID, watched: Watched) -> None:
        watched.is_stale = True
        if watched.pushing is None:
            watched.pushing = self.loop.create_task(self._push(timeline, watched))

    def _follow(self, timeline: uuid.UUID, watched: Watched, others: dict[uuid.UUID, int]) -> None:
        """Listen to the timelines that its pages tell of now, and no longer to those that they told of before."""
        before, watched.others = watched.others, others
        for other in others.keys() - before.keys():
            self.told_by.setdefault(other, set()).add(timeline)
            self._ear.want(other)
        for other in before.keys() - others.keys():
            self.told_by[other].discard(timeline)
            if not self.told_by[other]:
                del self.told_by[other]
                self._drop(other)

    def _drop(self, timeline: uuid.UUID) -> None:
        if timeline not in self.watched and timeline not in self.told_by:
            self._ear.drop(timeline)

    async def _push(self, timeline: uuid.UUID, watched: Watched) -> None:
        try:
            while watched.is_stale and watched.sockets:
                watched.is_stale = False
                await self._push_once(timeline, watched)
                await asyncio.sleep(PAUSE)
        except Exception:
            logger.warning("Could not read timeline %s for its pages; trying again soon.", timeline, exc_info=True)
            watched.newest = 0  # the next look finds it behind
        finally:
            watched.pushing = None

    async def _push_once(self, timeline: uuid.UUID, watched: Watched) -> None:
        clients = {socket.seen for socket in watched.sockets}
        redraws, watched.redraws = watched.redraws, False
        found = await in_thread(read, timeline, clients, redraws)
        if found is None:
            for socket in list(watched.sockets):
                socket.close()
            return
        watched.newest, watched.version = found.head, found.version
        watched.redraw_at = self.loop.time() + REDRAW if found.is_moving else math.inf
        if watched.sockets:
            self._follow(timeline, watched, found.others)
        for socket in list(watched.sockets):
            text = found.frames.get(socket.seen)
            if text is not None and not socket.is_busy:
                socket.send_frame(socket.seen._replace(sequence=found.head, version=found.version), text)

    async def _look(self) -> None:
        """Look into the database now and then: hints may be lost, with a layer or without one."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                for timeline, head in (await in_thread(read_heads, [*self.watched, *self.told_by])).items():
                    self.heard(timeline, head)
                self.draw(self.loop.time())
                self._ask_again()
            except Exception:
                logger.warning("Could not look for what pages have not seen; trying again soon.", exc_info=True)

    def draw(self, by: float | None = None) -> None:
        """Draw what is running again: all of it, and what may turn out to be; or what was to be drawn by this moment."""
        for timeline, watched in self.watched.items():
            may_run = watched.redraw_at < math.inf or watched.pushing is not None  # which is being read just now
            if may_run if by is None else watched.redraw_at <= by:
                watched.redraws = True
                self.heard(timeline, None)

    def _ask_again(self) -> None:
        for watched in self.watched.values():
            for socket in watched.sockets:
                socket.ask_again()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        for ended in [known for known in list(_hubs) if known.is_closed()]:  # other threads add theirs
            if (left := _hubs.pop(ended, None)) is not None:
                let_go(left)
        _hubs[loop] = Hub()
    return _hubs[loop]


def wake_all(timeline: uuid.UUID, sequence: int, **kwargs: Any) -> None:
    """Receive ``appended``, in any thread: wake the hubs of this process at once, without the channel layer."""
    for loop, known in list(_hubs.items()):
        if (timeline in known.watched or timeline in known.told_by) and not loop.is_closed():
            loop.call_soon_threadsafe(known.heard, timeline, sequence)


def draw_all(**kwargs: Any) -> None:
    """Receive ``paused``, in any thread: let the hubs of this process draw what is running again."""
    for loop, known in list(_hubs.items()):
        if not loop.is_closed():
            loop.call_soon_threadsafe(known.draw)


def wake_for_progress(timeline: uuid.UUID, **kwargs: Any) -> None:
    """Receive ``progressed``, in any thread."""
    wake_all(timeline, PROGRESS)
