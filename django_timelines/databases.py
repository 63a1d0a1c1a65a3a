"""What databases say differently: the time, by their own clock, and how to begin a write."""

from __future__ import annotations

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from . import moments

_NOW = {
    "postgresql": "STATEMENT_TIMESTAMP() + make_interval(secs => %s)",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', %s || ' seconds')",
    "mysql": "UTC_TIMESTAMP(6) + INTERVAL %s SECOND",
}


def later(connection: BaseDatabaseWrapper, seconds: float = 0) -> tuple[str, float | str]:
    """Return SQL for this many seconds from now by the database's clock, with one placeholder, and its parameter."""
    ahead = seconds + moments.offset.total_seconds()
    return _NOW[connection.vendor], f"{ahead:+f}" if connection.vendor == "sqlite" else ahead


def begin_writing(connection: BaseDatabaseWrapper) -> None:
    """Take SQLite's write lock now, as the first statement of a transaction.

    A transaction that reads first and writes later fails at once with "database is locked" when somebody wrote in
    between; one that begins with a write waits its turn (https://www.sqlite.org/isolation.html). Others need nothing.
    """
    if connection.vendor == "sqlite" and connection.settings_dict["OPTIONS"].get("transaction_mode") is None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_timelines_sighting SET at = at WHERE name = ''")


def in_callers_transaction(using: str) -> bool:
    """Tell whether the caller opened a transaction. Asked once, where the call comes in: deeper down it is always ours."""
    return bool(transaction.get_connection(using).in_atomic_block)
