"""Queries that would go on in the database although the body that asked them was interrupted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .interrupt import Interrupted

logger = logging.getLogger("django_timelines")
ACTIVE = 1  # of libpq: PQTRANS_ACTIVE
PATIENCE = 2.0  # seconds for a database to hear that nobody waits for a query any more


@contextmanager
def without_orphans() -> Iterator[Callable[[], None]]:
    """Let no query outlive the block: if it is interrupted while it waits for an answer, the database is told.

    There the query would go on with its transaction and its locks, for which the next attempt waits. It is told at once, before
    anything rolls back: Django closes a connection that it cannot roll back, and a server that works does not notice.

    Yield what another thread calls to have the block's query return.
    """
    ours, told = connections.all(), list[Any]()

    def cancel(*several: BaseDatabaseWrapper) -> None:
        for connection in several:
            raw = connection.connection
            if raw is not None and raw not in told and _cancel(connection):
                told.append(raw)

    def watch(execute: Callable[..., Any], *asked: Any) -> Any:
        try:
            return execute(*asked)
        except Interrupted:
            cancel(asked[-1]["connection"])
            raise

    with ExitStack() as watched:
        for connection in ours:
            watched.enter_context(connection.execute_wrapper(watch))
        try:
            yield partial(cancel, *ours)
        except Interrupted:  # while it fetched rows, or used the driver itself
            cancel(*ours)
            raise


def _cancel(connection: BaseDatabaseWrapper) -> bool:
    """Have the query cancelled for which this connection waits; tell if it does. SQLite has none that goes on by itself."""
    raw: Any = connection.connection
    if connection.vendor == "postgresql" and raw.info.transaction_status == ACTIVE:
        is_psycopg_3 = hasattr(raw, "cancel_safe")
        _within_patience(partial(raw.cancel_safe, timeout=PATIENCE) if is_psycopg_3 else raw.cancel)
    elif connection.vendor == "mysql" and not raw.open:
        # PyMySQL closes what is interrupted, and the server does not notice
        _within_patience(partial(_kill, connection, raw.thread_id()))
    else:
        return False
    return True


def _within_patience(tell: Callable[[], None]) -> None:
    def work() -> None:
        with _logged():
            tell()

    with _logged():  # that no thread could be started, too
        thread = threading.Thread(target=work, name="timelines-cancel", daemon=True)
        thread.start()
        thread.join(PATIENCE)


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.warning("A query may go on in the database, although nobody waits for it.", exc_info=True)


def _kill(connection: BaseDatabaseWrapper, number: int) -> None:
    another = connection.copy()
    try:
        with another.cursor() as cursor:
            cursor.execute("KILL %s", [number])
    finally:
        another.close()
