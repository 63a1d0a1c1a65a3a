"""The socket of one timeline. It sends frames and takes one kind of message: ``{"after": 7}``, look again from there.

Whoever may not look, and whoever asks for what is none, is refused in the same quiet way: the handshake is answered with 403.
An open socket is asked for again before it is sent anything, once that was some seconds ago, and now and then if nothing is sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from .. import frames
from ..frames import Seen
from .hub import hub
from .reading import may_still_view, may_view
from .threads import in_thread

logger = logging.getLogger("django_timelines")
LARGEST = 1024  # bytes of a client's message
BAD_MESSAGE, TOO_LARGE, GONE = 1008, 1009, 1001  # RFC 6455, 7.4.1
LOST = 4403  # ours, as 403 of HTTP: whoever looks may do so no more
ASKED_LONG_AGO = 10.0  # seconds after which nothing is sent before it was asked again who may view
IDLE = 300.0  # seconds after which it is asked although nothing is sent

type_ask = Callable[..., bool]
type_send = Callable[[dict[str, Any]], Awaitable[None]]
type_receive = Callable[[], Awaitable[dict[str, Any]]]


class TimelineConsumer:
    """An ASGI application for ``/…/<timeline>/live/?after=<sequence>&version=<version>&language=<code>``.

    A plain one, not a Channels consumer: those subscribe a channel of the layer for each socket, we one for each process.
    """

    @classmethod
    def as_asgi(cls) -> TimelineConsumer:
        """Return the application, as consumers do."""
        return cls()

    async def __call__(self, scope: dict[str, Any], receive: type_receive, send: type_send) -> None:
        """Serve one socket from its handshake to its end."""
        await receive()  # websocket.connect
        socket = await self._admit(scope, send)
        if socket is None:
            await send({"type": "websocket.close", "code": BAD_MESSAGE})
            return
        await send({"type": "websocket.accept"})
        watching = hub()
        watching.join(socket.timeline, socket)
        try:
            await self._serve(socket, receive)
        finally:
            watching.leave(socket.timeline, socket)
            socket.end()

    async def _admit(self, scope: dict[str, Any], send: type_send) -> _Socket | None:
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        after = frames.read_sequence(asked.get("after", ["0"])[-1])
        try:
            timeline = uuid.UUID(scope.get("url_route", {}).get("kwargs", {}).get("timeline", ""))
        except ValueError:
            return None
        if after is None or not await self._asks(may_view, scope, timeline):
            return None
        version = frames.read_version(asked.get("version", [""])[-1])
        seen = Seen(after, version, frames.read_language(asked.get("language", [""])[-1]))
        return _Socket(timeline, seen, send, partial(self._asks, may_still_view, scope, timeline))

    async def _asks(self, policy: type_ask, scope: dict[str, Any], timeline: uuid.UUID) -> bool:
        try:
            return await in_thread(policy, timeline, scope.get("user"), scope.get("session"))
        except Exception:
            logger.exception("Could not ask who may view timeline %s.", timeline)
            return False

    async def _serve(self, socket: _Socket, receive: type_receive) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            text, binary = message.get("text") or "", message.get("bytes") or b""
            if len(text) > LARGEST or len(binary) > LARGEST:
                return await socket.close_with(TOO_LARGE)
            after = _after(text)
            if after is None:
                return await socket.close_with(BAD_MESSAGE)
            socket.seen = socket.seen._replace(sequence=after)
            hub().heard(socket.timeline, None)
        return None


class _Socket:
    """What is kept of one socket: a few words of memory and, while a frame is on its way, a task."""

    __slots__ = ("_asked_at", "_asks", "_send", "_sending", "seen", "timeline")

    def __init__(self, timeline: uuid.UUID, seen: Seen, send: type_send, asks: Callable[[], Awaitable[bool]]) -> None:
        self.timeline = timeline
        self.seen = seen
        self._send = send
        self._asks = asks
        self._asked_at = time.monotonic()
        self._sending: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether a frame is still on its way."""
        return self._sending is not None

    def send_frame(self, seen: Seen, text: str) -> None:
        """Begin to send a frame."""
        self.seen = seen
        self._sending = asyncio.create_task(self._deliver(text))

    def ask_again(self) -> None:
        """Ask whether its visitor may still view the timeline, if that was long ago."""
        if self._sending is None and self._asked_since() >= IDLE:
            self._sending = asyncio.create_task(self._deliver())

    def close(self) -> None:
        """Say that the timeline is gone."""
        if self._sending is None:
            self._sending = asyncio.create_task(self.close_with(GONE))

    async def close_with(self, code: int) -> None:
        """End the socket, quietly even if it has ended already."""
        try:
            await self._send({"type": "websocket.close", "code": code})
        except Exception:
            logger.debug("A socket of timeline %s was gone before it was closed.", self.timeline, exc_info=True)

    def end(self) -> None:
        """Stop sending: the other side is gone."""
        if self._sending is not None:
            self._sending.cancel()

    def _asked_since(self) -> float:
        return time.monotonic() - self._asked_at

    async def _deliver(self, text: str | None = None) -> None:
        if self._asked_since() >= (IDLE if text is None else ASKED_LONG_AGO):
            if not await self._asks():
                return await self.close_with(LOST)  # and stay busy: nothing more is sent
            self._asked_at = time.monotonic()
        try:
            if text is not None:
                await self._send({"type": "websocket.send", "text": text})
        except Exception:  # it went away; its own disconnect ends it, and no other socket notices
            logger.debug("A socket of timeline %s went away.", self.timeline, exc_info=True)
        self._sending = None
        watched = hub().watched.get(self.timeline)
        if watched is not None and (watched.newest > self.seen.sequence or watched.version != self.seen.version):
            hub().heard(self.timeline, None)  # the timeline went on while this frame was on its way
        return None


def _after(text: str) -> int | None:
    """Read a client's message, or None for one that is malformed."""
    try:
        after = json.loads(text)["after"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return frames.read_sequence(str(after)) if type(after) is int else None
