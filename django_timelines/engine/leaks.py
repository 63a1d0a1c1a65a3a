"""What a body leaves behind on its database connections: a transaction that it opened and did not end, a connection it broke."""

from __future__ import annotations

import secrets

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

type_marks = dict[str, tuple[int, bool, bool]]


def marks() -> type_marks:
    """Return how deep in transactions each connection of this thread is."""
    return {connection.alias: _mark(connection) for connection in connections.all(initialized_only=True)}


def put_back(before: type_marks) -> list[str]:
    """Leave every connection as deep as it was; return those on which a transaction was left open. What it wrote rolls back."""
    leaked = []
    for connection in connections.all(initialized_only=True):
        then = before.get(connection.alias, (0, False, connection.settings_dict["AUTOCOMMIT"]))
        is_there = connection.connection is not None or connection.in_atomic_block != then[1]
        if _mark(connection) != then and is_there:
            leaked.append(connection.alias)
            _unwind(connection, *then)
    return leaked


def mend(*, suspected: bool = False, inside: bool = False) -> bool:
    """Close the connections that no longer answer; tell if there was one.

    The next statement opens a new one. ``suspected``: ask only those on which an error occurred, as Django does between two
    requests. Nobody does that between two RQ jobs: after a restart of the database a worker that does not fork would fail each.

    ``inside``: also those on which a transaction is open, unless it is to be rolled back anyway. Django refuses all that follows
    in a transaction whose connection is closed.
    """
    broken = False
    for connection in connections.all(initialized_only=True):
        if connection.connection is None or (suspected and not connection.errors_occurred):
            continue
        if connection.in_atomic_block and (not inside or connection.needs_rollback):
            continue
        if _answers(connection):
            connection.errors_occurred = False
        else:
            broken = True
            connection.close()
            if pool := getattr(connection, "pool", None):
                pool.check()  # a restart of the database has broken those that it keeps, too
    return broken


def let_go() -> None:
    """Close the connections, and ask none whether it answers: that may take for ever. The next statement opens a new one."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _answers(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether it answers what it is asked: an interrupted body of a driver in Python may have left an answer unread."""
    asked = secrets.randbelow(2**53)
    try:
        with connection.cursor() as cursor:  # is_usable() of SQLite says yes without looking
            cursor.execute(f"SELECT {asked}")
            return bool(cursor.fetchone() == (asked,))
    except Exception:  # an InterfaceError is no DatabaseError, and what cannot be parsed is neither
        return False


def _mark(connection: BaseDatabaseWrapper) -> tuple[int, bool, bool]:
    return (
        len(connection.savepoint_ids),
        connection.in_atomic_block,
        connection.autocommit or connection.connection is None,
    )


def _unwind(connection: BaseDatabaseWrapper, depth: int, in_block: bool, autocommit: bool) -> None:
    del connection.savepoint_ids[depth:]
    del connection.atomic_blocks[depth + 1 if in_block else 0 :]
    if not in_block:
        connection.in_atomic_block = False
        connection.run_on_commit = []
        if connection.closed_in_transaction:  # as Django has it at the end of atomic(): close() would do nothing
            connection.connection, connection.closed_in_transaction = None, False
        connection.close()
