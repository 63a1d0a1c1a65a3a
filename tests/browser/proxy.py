"""A proxy between the browser and a site, which may be one that gets on badly with sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class Proxy:
    """Passes on what it gets. With a handshake it does what ``sockets`` says: "pass" it on, "hold" it, or "cut" it once open."""

    def __init__(self, port: int, sockets: str) -> None:
        self.sockets = sockets
        self.handshakes = 0
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """Cut every connection."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    async def _end(self) -> None:
        for listening in self._server.sockets:  # closed last: whom it has just accepted would be left open
            self._loop.remove_reader(listening.fileno())
        # none is cancelled: one that had not begun would close nothing
        while asyncio.all_tasks() - {asyncio.current_task()}:
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.sleep(0.001)
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                await self._pass_on(reader, writer)
            finally:
                writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        is_socket = b"upgrade: websocket" in request.lower()
        self.handshakes += is_socket
        if is_socket and self.sockets == "hold":
            await reader.read()
            return
        site_reader, site_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(site_writer)
        try:
            site_writer.write(request)
            if is_socket and self.sockets == "cut":
                writer.write(await site_reader.readuntil(b"\r\n\r\n"))
                await writer.drain()
                return
            await asyncio.wait(
                [asyncio.ensure_future(_pipe(reader, site_writer)), asyncio.ensure_future(_pipe(site_reader, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            site_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
