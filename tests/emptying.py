"""Make a database what it was when it was migrated, by deleting the rows that were written since."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import connections, transaction

KEPT = frozenset({"django_content_type", "auth_permission"})  # what was migrated put rows there


def emptied(case: Any) -> None:
    """Empty the databases of a test with transactions of its own; take the place of ``_fixture_teardown``."""
    for alias in case._databases_names(include_mirrors=False):
        empty(alias)


def empty(alias: str) -> None:
    """Delete all rows, in one transaction."""
    connection, tables = connections[alias], _tables(alias)
    with connection.constraint_checks_disabled(), transaction.atomic(using=alias), connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'EXISTS(SELECT 1 FROM {table})' for table in tables)}")  # noqa: S608
        for table, written in zip(tables, cursor.fetchone(), strict=True):
            if written:
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608 (names are the database's)


@cache
def _tables(alias: str) -> list[str]:
    found = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
    return [connections[alias].ops.quote_name(name) for name in sorted(set(found) - KEPT)]
