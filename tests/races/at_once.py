"""Doing things at the same moment, each in a thread with a database connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connections

from tests.shop.here import HERE

LONG = 150  # seconds, after which something is stuck


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """Do all of these at the same moment; return what each returned, or the exception that it raised, in their order."""
    barrier, answers = threading.Barrier(len(deeds)), [None] * len(deeds)

    def work(number: int, deed: Callable[[], Any]) -> None:
        try:
            connections[HERE].ensure_connection()
            barrier.wait(LONG)
            answers[number] = deed()
        except BaseException as error:
            answers[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=numbered, daemon=True) for numbered in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive(), "somebody waits for a lock that nobody gives back"
    return answers


def meanwhile(deed: Callable[[], Any]) -> Any:
    """Do it on another connection, to its end, in the middle of whatever this thread is doing."""
    (answer,) = at_once(deed)
    if isinstance(answer, BaseException):
        raise answer
    return answer


class Started:
    """Something that another thread has begun, with a connection of its own."""

    def __init__(self, deed: Callable[[], Any]) -> None:
        self._answers: list[Any] = []
        self._thread = threading.Thread(target=lambda: self._answers.extend(at_once(deed)), daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Tell whether it has come to its end."""
        return not self._thread.is_alive()

    def answer(self) -> Any:
        """Wait for its end; return what it returned, or the exception that it raised."""
        self._thread.join(LONG)
        assert not self._thread.is_alive(), "it waits for a lock that nobody gives back"
        return self._answers[0]


def until(condition: Callable[[], Any]) -> None:
    """Wait until this is true."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.15)  # MariaDB looks at its transactions anew only if it was not asked for a tenth of a second


_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    "mysql": (  # of this database alone: the server may have others, in which somebody waits as well
        "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist"
        " ON id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()"
    ),
}


def somebody_waits() -> bool:
    """Tell whether a connection waits for a lock. SQLite cannot be asked."""
    connection = connections[HERE].copy()
    try:
        with connection.cursor() as cursor:
            cursor.execute(_WAITING[connection.vendor])
            return bool(cursor.fetchone()[0])
    finally:
        connection.close()
