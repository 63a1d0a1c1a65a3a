"""Goal 8: one timeline that a thousand watch in one process, against the barest server that sends a thousand the same text.

A client here reads bytes and no more: a real one for each would cost more than what is measured. It asks for no compression.
"""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from django.db import transaction
from websockets.sync.client import ClientConnection

from . import hints
from .live import CALM, connect, loop_thread, serving
from .measure import Effort, Figure, figure
from .workflows import Called

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
AT_ONCE = 50  # handshakes
PATIENCE = 60  # seconds
FIRST = 10  # sockets that come and go before memory is measured: what the first ones cost is the process's


def watchers(effort: Effort) -> list[Figure]:
    """Tell all of them, one server and the other in turn; ask for each server's memory before and after."""
    many, took = effort.watchers, {"bare": [0.0], "ours": [0.0]}
    with serving("tests.bench.fan:application") as bare, serving() as ours, loop_thread() as loop, hints.on():
        called = Called.start(name="x")
        crowds, sizes = {}, {}
        for name, (address, pid), path in (
            ("bare", bare, "/"),
            ("ours", ours, f"/{called.pk}/live/?after={called.timeline.head}"),
        ):
            Crowd(address, path, FIRST, loop).leave()
            before = memory(pid)
            crowds[name] = Crowd(address, path, many, loop)
            sizes[name] = (memory(pid) - before) / many
        with connect(f"{bare[0]}/") as speaker:
            for _round in range(effort.rounds):
                took["bare"].append(crowds["bare"].told(lambda: say(speaker)))
                took["ours"].append(crowds["ours"].told(lambda: go_on(called)))
    p50 = {name: statistics.median(times[3:] or times[1:]) for name, times in took.items()}
    text = f"one timeline to {many} watchers of one process, p50, to a bare fan-out"
    lines = figure(text, p50["ours"], p50["bare"], "ms", (8, 4.0))
    return lines + figure("  and its memory for each of their sockets", sizes["ours"], sizes["bare"], "KiB", (8, 2.0))


def say(speaker: ClientConnection) -> float:
    """Let the bare server send a text to all; return when it was asked to."""
    at = time.perf_counter()
    speaker.send("message")
    return at


def go_on(called: Called) -> float:
    """Append an event; return when it was committed."""
    at: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: at.append(time.perf_counter()))
        timeline = called.timeline
        if timeline.status == "paused":
            timeline.resume()
        else:
            timeline.pause(reason="measured")
    return at[0]


def memory(pid: int) -> int:
    """Return the KiB that a process holds (Linux)."""
    time.sleep(CALM)  # what it is sending has left
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


class Crowd:
    """Many sockets at one address, in an event loop of their own."""

    def __init__(self, address: str, path: str, many: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: list[float] = []
        self._all = threading.Event()
        self._many = many
        self._sockets = self._do(self._come(address.removeprefix("ws://"), path)).result(PATIENCE)

    def told(self, move: Callable[[], float]) -> float:
        """Let something happen that all are told; return the milliseconds until half of them were."""
        time.sleep(CALM)  # what was pushed before has arrived, and the next push need not wait
        self._arrived.clear()
        self._all.clear()
        at = move()
        if not self._all.wait(PATIENCE):
            raise RuntimeError(f"{len(self._arrived)} of {self._many} were told.")
        return (statistics.median(self._arrived) - at) * 1000

    def arrived(self) -> None:
        """Note that one was told."""
        self._arrived.append(time.perf_counter())
        if len(self._arrived) == self._many:
            self._all.set()

    def leave(self) -> None:
        """Close them all."""
        for socket in self._sockets:
            self._loop.call_soon_threadsafe(socket.close)

    async def _come(self, host: str, path: str) -> list[asyncio.Transport]:
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one() -> asyncio.Transport:
            async with at_once:
                name, _colon, port = host.partition(":")
                transport, socket = await self._loop.create_connection(lambda: Socket(self.arrived), name, int(port))
                transport.write(HANDSHAKE.format(path=path, host=host).encode())
                await socket.opened
                return transport

        return list(await asyncio.gather(*(one() for _ in range(self._many))))

    def _do(self, work: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


class Socket(asyncio.Protocol):
    """A client that notes that a whole message has come (RFC 6455, 5.2), and does not read it."""

    def __init__(self, arrived: Callable[[], None]) -> None:
        self._arrived = arrived
        self._read = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._read += data
        if not self.opened.done():
            head, end, self._read = self._read.partition(b"\r\n\r\n")
            if not end:
                self._read = head
            elif b" 101 " in head[:20]:
                self.opened.set_result(None)
            else:
                self.opened.set_exception(RuntimeError(head.decode()))
        while self.opened.done() and (size := _size(self._read)) and len(self._read) >= size:
            self._read = self._read[size:]
            self._arrived()


def _size(read: bytes) -> int:
    """Return the bytes of the message that begins here; 0 while that cannot be told."""
    length = read[1] & 127 if len(read) > 1 else 0
    if length < 126:
        return 2 + length if len(read) > 1 else 0
    if length == 126:
        return 4 + int.from_bytes(read[2:4], "big") if len(read) >= 4 else 0
    return 10 + int.from_bytes(read[2:10], "big") if len(read) >= 10 else 0
