"""The other end of a socket, as a browser is."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from asgiref.testing import ApplicationCommunicator
from channels.testing import WebsocketCommunicator

from django_timelines.live.asgi import sockets

PATIENCE = 20  # seconds; never waited for when all is well


class Socket(WebsocketCommunicator):
    """A socket that is open, or was refused. Unlike Channels' own, it lets the application close its database connections."""

    send_input = ApplicationCommunicator.send_input
    receive_output = ApplicationCommunicator.receive_output

    async def frame(self) -> dict[str, Any]:
        """Return the next frame."""
        return json.loads(await self.receive_from(timeout=PATIENCE))

    async def frame_at(self, sequence: int) -> list[dict[str, Any]]:
        """Return the frames until the one that brings the page to this event."""
        frames = [await self.frame()]
        while frames[-1]["sequence"] < sequence:
            frames.append(await self.frame())
        return frames

    async def closing_code(self) -> int:
        """Return the code with which the server ends the socket."""
        end = await self.receive_output(timeout=PATIENCE)
        assert end["type"] == "websocket.close"
        return int(end["code"])


@dataclass
class Visitor:
    """A browser, by the key of its session."""

    session: str

    def socket(self, timeline: Any, origin: str = "http://testserver", **asked: Any) -> Socket:
        """Make the socket of the timeline's page; it is not connected yet."""
        headers = [(b"origin", origin.encode()), (b"cookie", f"sessionid={self.session}".encode())]
        return Socket(sockets(), f"/timelines/{timeline}/live/?{urlencode(asked)}", headers)

    async def open(self, timeline: Any, **asked: Any) -> Socket:
        """Open the socket of the timeline's page."""
        socket = self.socket(timeline, **asked)
        accepted, _subprotocol = await socket.connect(timeout=PATIENCE)
        assert accepted
        return socket

    async def refusal(self, timeline: Any, **asked: Any) -> int:
        """Return the code with which the handshake is refused."""
        accepted, code = await self.socket(timeline, **asked).connect(timeout=PATIENCE)
        assert not accepted
        return int(code)
