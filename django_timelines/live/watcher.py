"""What sockets and streams have in common: who may watch, and how a frame is sent to one client.

Whoever may not look, and whoever asks for what is none, is refused in the same quiet way. Who was let in is asked for again
before anything is sent, once that was some seconds ago, and now and then if nothing is sent.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs

from .. import frames
from ..frames import Seen
from .hub import hub
from .reading import may_still_view, may_view
from .threads import in_thread

logger = logging.getLogger("django_timelines")
GONE = 1001  # RFC 6455, 7.4.1
LOST = 4403  # ours, as 403 of HTTP: whoever looks may do so no more
ASKED_LONG_AGO = 10.0  # seconds after which nothing is sent before it was asked again who may view
IDLE = 300.0  # seconds after which it is asked although nothing is sent

W = TypeVar("W", bound="Watcher")
type_ask = Callable[[], Awaitable[bool]]
type_scope = dict[str, Any]
type_send = Callable[[dict[str, Any]], Awaitable[None]]
type_receive = Callable[[], Awaitable[dict[str, Any]]]


class Watcher(ABC):
    """One client: a few words of memory and, while a frame is on its way, a task."""

    __slots__ = ("_asked_at", "_asks", "_is_over", "_send", "_sending", "seen", "timeline")

    def __init__(self, timeline: uuid.UUID, seen: Seen, send: type_send, asks: type_ask) -> None:
        self.timeline = timeline
        self.seen = seen
        self._send = send
        self._asks = asks
        self._asked_at = time.monotonic()
        self._sending: asyncio.Task[None] | None = None
        self._is_over = False

    @abstractmethod
    async def write(self, text: str) -> None:
        """Send a frame."""

    @abstractmethod
    async def close_with(self, code: int) -> None:
        """End it, quietly even if it has ended already."""

    @property
    def is_busy(self) -> bool:
        """Tell whether a frame is still on its way, or nothing more is sent."""
        return self._is_over or self._sending is not None

    def send_frame(self, seen: Seen, text: str) -> None:
        """Begin to send a frame."""
        self.seen = seen
        self._begin(self._deliver(text))

    def ask_again(self) -> None:
        """Ask whether its visitor may still view the timeline, if that was long ago."""
        if not self.is_busy and self._asked_since() >= IDLE:
            self._begin(self._deliver())

    def close(self) -> None:
        """Say that the timeline is gone."""
        if not self.is_busy:
            self._is_over = True
            self._begin(self.close_with(GONE))

    def end(self) -> None:
        """Stop sending: the other side is gone."""
        if self._sending is not None:
            self._sending.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it now as far as it goes without waiting, mostly to its end; what is left of it is a task."""
        task = _task(work)
        self._sending = None if task.done() else task

    def _asked_since(self) -> float:
        return time.monotonic() - self._asked_at

    async def _deliver(self, text: str | None = None) -> None:
        if self._asked_since() >= (IDLE if text is None else ASKED_LONG_AGO):
            if not await self._asks():
                self._is_over = True
                return await self.close_with(LOST)
            self._asked_at = time.monotonic()
        return await self._tell(None if text is None else partial(self.write, text))

    async def _tell(self, say: Callable[[], Awaitable[None]] | None) -> None:
        try:
            if say is not None:
                await say()
        except Exception:  # it went away; its own disconnect ends it, and no other notices
            logger.debug("Who watched timeline %s went away.", self.timeline, exc_info=True)
        self._sending = None
        watched = hub().watched.get(self.timeline)
        if watched is not None and (watched.newest > self.seen.sequence or watched.version != self.seen.version):
            hub().heard(self.timeline, None)  # the timeline went on while this was on its way


def _task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    if sys.version_info >= (3, 12):
        return asyncio.eager_task_factory(asyncio.get_running_loop(), work)
    else:  # noqa: RET505 (mypy reads but one of the two)
        return asyncio.create_task(work)


async def admit(kind: type[W], scope: type_scope, send: type_send, asked: dict[str, str]) -> W | None:
    """Return who watches from now on, or None for whoever may not."""
    after = frames.read_sequence(asked.get("after", "0"))
    try:
        timeline = uuid.UUID(scope.get("url_route", {}).get("kwargs", {}).get("timeline", ""))
    except ValueError:
        return None
    if after is None or not await _asks(may_view, scope, timeline):
        return None
    version, language = frames.read_version(asked.get("version", "")), frames.read_language(asked.get("language", ""))
    seen = Seen(after, version, language, frames.read_zone(asked.get("zone", "")))
    return kind(timeline, seen, send, partial(_asks, may_still_view, scope, timeline))


def asked_of(scope: type_scope) -> dict[str, str]:
    """Return the parameters of its address, of each the last."""
    found = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return {name: values[-1] for name, values in found.items()}


async def _asks(policy: Callable[..., bool], scope: type_scope, timeline: uuid.UUID) -> bool:
    try:
        return await in_thread(policy, timeline, scope.get("user"), scope.get("session"))
    except Exception:
        logger.exception("Could not ask who may view timeline %s.", timeline)
        return False
