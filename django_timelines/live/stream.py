"""Server-sent events, for pages that get no socket through: at the socket's address, the same frames to the same people.

A stream begins with the event ``hello``, by which a page knows that nothing on the way holds it back. Each frame is a message
whose id says what the page has seen by then. A stream ends after ``LASTS``, and the page comes back with the last id: so a server
that shuts down waits no longer than that. The event ``end`` says that nothing more is to come.
"""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import Any

from .hub import hub
from .watcher import Watcher, admit, asked_of, type_receive, type_scope, type_send

logger = logging.getLogger("django_timelines")
LASTS = 30.0  # seconds
BEAT = 10.0  # seconds after which something is sent although there is nothing to tell
BACK = 500  # ms after which the page comes back
HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep it back
)
_ADDRESS = re.compile(r"(?:^|/)(?P<timeline>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})/live/$")


class TimelineStream:
    """Serves a socket's address, asked for a stream."""

    async def __call__(self, scope: type_scope, receive: type_receive, send: type_send) -> bool:
        """Serve one stream; tell whether there is one for whoever asks. If not, nothing is received and nothing sent."""
        stream = await admit(_Stream, scope, send, asked_of(scope) | _last_seen(scope))
        if stream is None:
            return False
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await stream.say(f"retry: {BACK}\nevent: hello\ndata: {BACK}\n\n")
        watching = hub()
        watching.join(stream.timeline, stream)
        try:
            await _serve(stream, receive)
        finally:
            watching.leave(stream.timeline, stream)
            stream.end()
        await send({"type": "http.response.body", "body": b""})
        return True


class _Stream(Watcher):
    __slots__ = ("over",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.over = asyncio.Event()

    async def say(self, text: str) -> None:
        """Send a piece of the stream."""
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def write(self, text: str) -> None:
        await self.say(f"id: {self.seen.sequence} {self.seen.version}\ndata: {text}\n\n")

    def beat(self) -> None:
        """Show that it goes on. Waits for nobody: the stream of a client that reads nothing ends as others do."""
        if not self.is_busy:
            self._begin(self._tell(partial(self.say, ":\n\n")))

    async def close_with(self, code: int) -> None:
        try:
            await self.say(f"event: end\ndata: {code}\n\n")
        except Exception:
            logger.debug("A stream of timeline %s was gone before it was closed.", self.timeline, exc_info=True)
        self.over.set()


def address_of(scope: type_scope) -> dict[str, str]:
    """Return what the address of a stream names; nothing for a request that asks for something else.

    One of the site's own may look the same: whether it is ours is known once its timeline is found.
    """
    found = _ADDRESS.search(scope["path"])
    wants = b"text/event-stream" in _header(scope, b"accept")
    return found.groupdict() if found and wants and scope["method"] == "GET" else {}


def _last_seen(scope: type_scope) -> dict[str, str]:
    sequence, _space, version = _header(scope, b"last-event-id").decode("latin-1").partition(" ")
    return {"after": sequence, "version": version} if sequence else {}


def _header(scope: type_scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


async def _serve(stream: _Stream, receive: type_receive) -> None:
    ends = [asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(stream.over.wait())]
    try:
        for beat in range(max(1, int(LASTS / BEAT))):
            if beat:
                stream.beat()
            done, _pending = await asyncio.wait(ends, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
    finally:
        for end in ends:
            end.cancel()


async def _gone(receive: type_receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
