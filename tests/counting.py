"""Counting what is read of a database, whichever it is: rows, by the table that a query names first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

_STATE = re.compile(r'django_timelines_timeline["`]?\.["`]?(state|fields)\b')
_TABLE = re.compile(r'FROM\s+["`]?(\w+)')


@contextmanager
def rows_read(using: str = "default") -> Iterator[Counter[str]]:
    """Count the rows that queries answer meanwhile, by table without its prefix; statements of all sorts as ``statements``,
    and rows of which one brings a timeline's state or fields as ``states``.
    """
    found: Counter[str] = Counter()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        found["statements"] += 1
        table = _TABLE.search(sql)
        if sql.lstrip().startswith("SELECT") and table:
            rows = _answered(context, sql, params)
            found[table[1].removeprefix("django_timelines_")] += rows
            found["states"] += rows if _STATE.search(sql) else 0
        return result

    with connections[using].execute_wrapper(count):
        yield found


@contextmanager
def work_done(using: str = "default") -> Iterator[Counter[str]]:
    """Count the work of statements meanwhile, as ``steps`` of a thousand instructions each. Only SQLite tells; elsewhere: 0."""
    found: Counter[str] = Counter()
    connection = connections[using]
    connection.ensure_connection()
    if connection.vendor != "sqlite":
        yield found
        return
    connection.connection.set_progress_handler(lambda: found.update(steps=1), 1_000)
    try:
        yield found
    finally:
        connection.connection.set_progress_handler(None, 0)


def _answered(context: Any, sql: str, params: Any) -> int:
    connection = context["connection"]
    if connection.vendor != "sqlite":
        return int(context["cursor"].cursor.rowcount)
    with connection.wrap_database_errors:  # SQLite cannot tell before the last row is fetched
        whole = f"SELECT count(*) FROM ({sql.replace('%s', '?')})"  # noqa: S608 (as Django asked it)
        asked = connection.connection.cursor().execute(whole, params or ())
    return int(asked.fetchone()[0])
