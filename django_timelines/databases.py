"""What databases say differently: the time, by their own clock, how to begin a write, and that it should be begun again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet

from . import moments

Rows = TypeVar("Rows", bound="QuerySet[Any]")

_NOW = {
    "postgresql": "STATEMENT_TIMESTAMP() + make_interval(secs => %s)",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', %s || ' seconds')",
    "mysql": "UTC_TIMESTAMP(6) + INTERVAL %s SECOND",
}


# https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html
# serialization_failure, deadlock_detected, lock_not_available
_POSTGRESQL_AGAIN = frozenset({"40001", "40P01", "55P03"})
_MYSQL_AGAIN = frozenset({1020, 1205, 1213})  # the record has changed, a lock wait timed out, a deadlock
_MYSQL_ROLLED_BACK = frozenset({1020, 1206, 1213})  # a deadlock and its like: not the statement, the whole transaction
_SQLITE_AGAIN = frozenset({5, 6})  # SQLITE_BUSY, SQLITE_LOCKED: "database is locked"


def later(connection: BaseDatabaseWrapper, seconds: float = 0) -> tuple[str, float | str]:
    """Return SQL for this many seconds from now by the database's clock, with one placeholder, and its parameter."""
    ahead = seconds + moments.offset.total_seconds()
    return _NOW[connection.vendor], f"{ahead:+f}" if connection.vendor == "sqlite" else ahead


def begin_writing(connection: BaseDatabaseWrapper) -> None:
    """Take SQLite's write lock now, as the first statement of a transaction.

    A transaction that reads first and writes later fails at once with "database is locked" when somebody wrote in
    between; one that begins with a write waits its turn (https://www.sqlite.org/isolation.html). Others need nothing.
    """
    if connection.vendor == "sqlite" and not begins_with_lock(connection):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_timelines_sighting SET at = at WHERE name = ''")


def begins_with_lock(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether each transaction of this SQLite database takes the write lock as it begins. Django takes any case."""
    return str(connection.settings_dict["OPTIONS"].get("transaction_mode")).upper() in ("IMMEDIATE", "EXCLUSIVE")


def is_transient(error: BaseException) -> bool:
    """Tell whether the database says: nothing of this transaction was written, begin it again.

    A deadlock, a serialization failure, or a lock that was not given in time.
    """
    if not isinstance(error, DatabaseError):
        return False
    number = _number(error)
    sqlite_code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF  # the primary one of an extended code
    return _sqlstate(error) in _POSTGRESQL_AGAIN or sqlite_code in _SQLITE_AGAIN or number in _MYSQL_AGAIN


def lacks_privilege(error: DatabaseError) -> bool:
    """Tell whether PostgreSQL says that the role may not do that."""
    return _sqlstate(error) == "42501"  # insufficient_privilege


def _sqlstate(error: BaseException) -> object:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg 3, and 2


def _number(error: BaseException) -> object:
    """Return what a driver numbers an error."""
    return next(iter(error.__cause__.args if error.__cause__ else ()), None)


@contextmanager
def noting_rollback(connection: BaseDatabaseWrapper, note: Callable[[DatabaseError], None]) -> Iterator[None]:
    """Note errors with which MariaDB has rolled back all of the transaction, which Django takes for open.

    Whoever goes on after one writes the rest alone; elsewhere nothing can be written then
    (https://dev.mysql.com/doc/refman/8.0/en/innodb-error-handling.html).
    """

    def watch(execute: Callable[..., Any], *asked: Any) -> Any:
        try:
            return execute(*asked)
        except DatabaseError as error:
            if _number(error) in _MYSQL_ROLLED_BACK:
                note(error)
            raise

    with connection.execute_wrapper(watch) if connection.vendor == "mysql" else nullcontext():
        yield


_LEVEL = {
    "postgresql": "SELECT 'level', current_setting('transaction_isolation')",
    "mysql": "SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')",  # the name differs by version
}


def keeps_snapshot(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether an open transaction is at odds with what another connection writes meanwhile to a row that it will write."""
    if connection.vendor == "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute(_LEVEL[connection.vendor])
        level = str(cursor.fetchall()[0][1])
    return level.upper().replace("-", " ") in ("REPEATABLE READ", "SERIALIZABLE")


def sees_the_past(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether an open transaction may see what was when it began, but for what it locks: MariaDB's and MySQL's."""
    return connection.vendor == "mysql" and connection.in_atomic_block


def as_they_are(rows: Rows) -> Rows:
    """Read rows as they are by now, not as they were when a transaction of MariaDB's or MySQL's began: there they are locked.

    For what belongs to a timeline whose row was read so, too: nobody else writes it meanwhile.
    """
    return rows.select_for_update() if sees_the_past(connections[rows.db]) else rows


def in_callers_transaction(using: str) -> bool:
    """Tell whether the caller opened a transaction. Asked once, where the call comes in: deeper down it is always ours."""
    return bool(transaction.get_connection(using).in_atomic_block)
