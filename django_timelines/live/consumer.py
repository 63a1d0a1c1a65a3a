"""The socket of one timeline. It sends frames and takes one kind of message: ``{"after": 7}``, look again from there.

Who is refused is answered with 403 to the handshake.
"""

from __future__ import annotations

import json
import logging

from .. import frames
from .hub import hub
from .watcher import Watcher, admit, asked_of, type_receive, type_scope, type_send

logger = logging.getLogger("django_timelines")
LARGEST = 1024  # bytes of a client's message
BAD_MESSAGE, TOO_LARGE = 1008, 1009  # RFC 6455, 7.4.1


class TimelineConsumer:
    """An ASGI application for ``/…/<timeline>/live/?after=<sequence>&version=<version>&language=<code>``.

    A plain one, not a Channels consumer: those subscribe a channel of the layer for each socket, we one for each process.
    """

    @classmethod
    def as_asgi(cls) -> TimelineConsumer:
        """Return the application, as consumers do."""
        return cls()

    async def __call__(self, scope: type_scope, receive: type_receive, send: type_send) -> None:
        """Serve one socket from its handshake to its end."""
        await receive()  # websocket.connect
        socket = await admit(_Socket, scope, send, asked_of(scope))
        if socket is None:
            await send({"type": "websocket.close", "code": BAD_MESSAGE})
            return
        await send({"type": "websocket.accept"})
        watching = hub()
        watching.join(socket.timeline, socket)
        try:
            await _serve(socket, receive)
        finally:
            watching.leave(socket.timeline, socket)
            socket.end()


class _Socket(Watcher):
    __slots__ = ()

    async def write(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

    async def close_with(self, code: int) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code})
        except Exception:
            logger.debug("A socket of timeline %s was gone before it was closed.", self.timeline, exc_info=True)


async def _serve(socket: _Socket, receive: type_receive) -> None:
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


def _after(text: str) -> int | None:
    """Read a client's message, or None for one that is malformed."""
    try:
        after = json.loads(text)["after"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return frames.read_sequence(str(after)) if type(after) is int else None
