"""The barest server that fans a message out: each socket is sent what any of them says."""

from collections.abc import Awaitable, Callable
from typing import Any

type_send = Callable[[dict[str, Any]], Awaitable[None]]

_sockets: dict[object, type_send] = {}


async def application(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: type_send) -> None:
    """Serve one socket."""
    await receive()
    await send({"type": "websocket.accept"})
    this = object()
    _sockets[this] = send
    try:
        while (message := await receive())["type"] == "websocket.receive":
            for each in list(_sockets.values()):
                await each({"type": "websocket.send", "text": message["text"]})
    finally:
        del _sockets[this]
