"""The few threads in which sockets ask the database: they queue neither behind each other nor behind the site's views.

While anything is watched, a thread keeps its connections, whatever ``CONN_MAX_AGE`` says: a push would wait longer for a new
one than for all that it reads. One that is lost is opened again. When nobody watches any more, all are closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar
from weakref import WeakSet

from django.db import InterfaceError, OperationalError, close_old_connections, connections

MOST = 4
P = ParamSpec("P")
T = TypeVar("T")


class Thread:
    """One of them, with what it has still to do."""

    def __init__(self) -> None:
        self.pending: set[object] = set()
        self.executor = ThreadPoolExecutor(1, "timelines-live")


_threads = [Thread() for _ in range(MOST)]
_watching: WeakSet[object] = WeakSet()


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do database work in the thread that has the least to do: of idle ones the first, whose connection is open."""
    thread, this = min(_threads, key=lambda thread: len(thread.pending)), object()
    thread.pending.add(this)
    try:
        return await asyncio.wrap_future(thread.executor.submit(_work, partial(work, *args, **kwargs)))
    finally:
        thread.pending.discard(this)


def keep_connections(watcher: object) -> None:
    """Keep them from now on, on behalf of this watcher."""
    _watching.add(watcher)


def let_go(watcher: object) -> None:
    """Close them, unless somebody else watches."""
    _watching.discard(watcher)
    if not _watching:
        for thread in _threads:
            thread.executor.submit(connections.close_all)


def _work(work: Callable[[], T]) -> T:
    try:
        return work()
    except (InterfaceError, OperationalError):
        if not _lost():
            raise
        return work()
    finally:
        for connection in connections.all(initialized_only=True) if _watching else ():
            connection.close_at = None  # so that age is no reason to close it
        close_old_connections()


def _lost() -> bool:
    """Tell whether a connection was there and is gone, and forget it."""
    lost = [
        connection
        for connection in connections.all(initialized_only=True)
        if connection.connection is not None and not connection.is_usable()
    ]
    for connection in lost:
        connection.close()
    return bool(lost)
