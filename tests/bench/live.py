"""Goal 7: from a commit to a browser's socket, against a bare ``group_send`` to one."""

import asyncio
import itertools
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from channels.layers import get_channel_layer
from django.db import transaction
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Origin

from . import hints
from .measure import Effort, Figure, figure
from .workflows import Called

BARE = "bench.bare"
CALM = 0.06  # seconds: pushes to one timeline are 50 ms apart, and we do not measure the one that waits


def browser(effort: Effort) -> list[Figure]:
    """Time message after message, one of each in turn, to one client each."""
    found: dict[str, list[float]] = {"bare": [], "ours": []}
    with serving() as (address, _pid), loop_thread() as loop, connect(f"{address}/bare/") as bare, hints.on():
        for _ in range(max(effort.rounds // 2, 1)):
            called = Called.start(name="x")
            with connect(f"{address}/{called.pk}/live/?after={called.timeline.head}") as ours:
                for name in ("two", "three", "four", "five"):
                    time.sleep(CALM)  # between two pushes
                    found["bare"].append(group_send(loop, bare))
                    found["ours"].append(commit(called, name, ours))
    p50 = {name: statistics.median(took[4:] or took) for name, took in found.items()}
    return figure("commit to one browser, p50, to a bare group_send", p50["ours"], p50["bare"], "ms", (7, 1.3))


def connect(url: str) -> ClientConnection:
    """Connect as a browser does: with an origin."""
    return connect_websocket(url, origin=Origin(url.replace("ws", "http", 1)))


def commit(called: Called, step: str, client: ClientConnection) -> float:
    """Call a step; return the milliseconds from its commit to the frame that tells of it."""
    at: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: at.append(time.perf_counter()))  # the first thing after the commit
        getattr(called, step)(name="x")
    while json.loads(client.recv(timeout=30))["sequence"] < called._snapshot.head:
        pass
    return (time.perf_counter() - at[0]) * 1000


_numbers = itertools.count()


def group_send(loop: asyncio.AbstractEventLoop, client: ClientConnection) -> float:
    """Send a message to the group; return the milliseconds until it is there."""
    text = f"message {next(_numbers)}"
    at = time.perf_counter()
    layer: Any = get_channel_layer()
    asyncio.run_coroutine_threadsafe(layer.group_send(BARE, {"type": "bare", "text": text}), loop).result(30)
    while client.recv(timeout=30) != text:
        pass
    return (time.perf_counter() - at) * 1000


@contextmanager
def serving(application: str = "tests.bench.asgi:application") -> Iterator[tuple[str, int]]:
    """Serve with uvicorn, in a process of its own; yield its address and id. The socket is open before it starts."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        command = [sys.executable, "-m", "uvicorn", application, "--lifespan", "off", "--ws-ping-interval", "3600"]
        command += ["--log-level", "warning", "--fd", str(listening.fileno())]
        with subprocess.Popen(command, pass_fds=[listening.fileno()]) as server:
            try:
                yield f"ws://127.0.0.1:{listening.getsockname()[1]}", server.pid
            finally:
                server.kill()


@contextmanager
def loop_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread, which keeps its connection to the layer."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
