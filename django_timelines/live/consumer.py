"""The socket of one timeline. It sends frames and takes no messages: it ends for whoever sends one.

Who is refused is answered with 403 to the handshake.
"""

from __future__ import annotations

import logging

from .hub import hub
from .watcher import Watcher, admit, asked_of, type_receive, type_scope, type_send

logger = logging.getLogger("django_timelines")
REFUSED = 1008  # RFC 6455, 7.4.1


class TimelineConsumer:
    """An ASGI application for ``/…/<timeline>/live/?after=<sequence>&version=<version>&language=<code>&zone=<name>``.

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
            await send({"type": "websocket.close", "code": REFUSED})
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
    if (await receive())["type"] != "websocket.disconnect":
        await socket.close_with(REFUSED)
