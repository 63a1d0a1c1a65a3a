"""Statements as values, and how they are sent: one portable text for all databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BinaryField, BooleanField, CharField, IntegerField, JSONField, Model, TextField
from django.db.models.constants import OnConflict

type_row = dict[str, Any]
MOST_VALUES = 20_000  # of one statement
# the columns of a model by field: the quoted name, and what adapts a value
type_columns = dict[str, tuple[str, Callable[[Any], Any]]]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its parameters. ``or_else``: what to raise unless it changes so many rows."""

    sql: str
    values: list[Any]
    or_else: BaseException | None = None
    rows: int = 1


def send(connection: BaseDatabaseWrapper, statements: Sequence[Statement]) -> None:
    """Send them in order, inside the transaction that is open."""
    if not statements:
        return
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.sql, statement.values)
            _check(statement, cursor.rowcount)


def _check(statement: Statement, changed: int) -> None:
    if statement.or_else is not None and changed != statement.rows:
        raise statement.or_else


def insert(alias: str, model: type[Model], rows: Sequence[type_row]) -> list[Statement]:
    """Insert rows of the same fields, as many at a time as the database takes; no statement for no rows."""
    if not rows:
        return []
    batch = max(1, _most_values(alias) // len(rows[0]))
    return [_insert(alias, model, rows[first : first + batch]) for first in range(0, len(rows), batch)]


def _most_values(alias: str) -> int:
    """Return how many parameters a statement may have."""
    return min(connections[alias].features.max_query_params or MOST_VALUES, MOST_VALUES)


def _insert(alias: str, model: type[Model], rows: Sequence[type_row]) -> Statement:
    columns, names = columns_of(alias, model), list(rows[0])
    values = [columns[name][1](row[name]) for row in rows for name in names]
    places = f"({', '.join(['%s'] * len(names))})"
    listed = ", ".join(columns[name][0] for name in names)
    sql = f"INSERT INTO {model._meta.db_table} ({listed}) VALUES {', '.join([places] * len(rows))}"  # noqa: S608 (names are ours)
    return Statement(sql, values)


def upsert(alias: str, model: type[Model], rows: Sequence[type_row]) -> list[Statement]:
    """Insert rows of the same fields; one that is there by its primary key takes the values instead."""
    if not rows:
        return []
    unique = [str(field.column) for field in model._meta.pk_fields]
    taken = [str(field.column) for field in model._meta.concrete_fields if field.column not in unique]
    ours = connections[alias].ops.on_conflict_suffix_sql(model._meta.concrete_fields, OnConflict.UPDATE, taken, unique)
    return [replace(one, sql=f"{one.sql} {ours}") for one in insert(alias, model, rows)]


def insert_new(alias: str, model: type[Model], row: type_row, or_else: BaseException | None = None) -> Statement:
    """Insert the row unless one with its key is there; then the transaction stays usable."""
    (statement,) = insert(alias, model, [row])
    sql = statement.sql
    if connections[alias].vendor == "mysql":
        return Statement(sql.replace("INSERT", "INSERT IGNORE", 1), statement.values, or_else)
    return Statement(f"{sql} ON CONFLICT DO NOTHING", statement.values, or_else)


def update(
    alias: str, model: type[Model], row: type_row, where: type_row, or_else: BaseException | None = None
) -> Statement:
    """Update the row with these values."""
    columns = columns_of(alias, model)
    sets = ", ".join(f"{columns[name][0]} = %s" for name in row)
    found, wanted = matching(alias, model, where)
    values = [columns[name][1](value) for name, value in row.items()]
    return Statement(f"UPDATE {model._meta.db_table} SET {sets} WHERE {found}", values + wanted, or_else)  # noqa: S608


def update_each(alias: str, model: type[Model], rows: Sequence[tuple[type_row, type_row]]) -> None:
    """Update each of several rows by values of its own: what is set, and where, under the same names for all."""
    statements = [update(alias, model, row, where) for row, where in rows]
    if statements:
        with connections[alias].cursor() as cursor:
            cursor.executemany(statements[0].sql, [statement.values for statement in statements])


def delete(alias: str, model: type[Model], where: type_row, or_else: BaseException | None = None) -> Statement:
    """Delete the rows with these values."""
    found, wanted = matching(alias, model, where)
    return Statement(f"DELETE FROM {model._meta.db_table} WHERE {found}", wanted, or_else)  # noqa: S608


def delete_all(
    alias: str,
    model: type[Model],
    where: type_row,
    field: str,
    values: Sequence[Any],
    or_else: BaseException | None = None,
) -> list[Statement]:
    """Delete the rows of which a field has one of these values, as many at a time as the database takes."""
    found, wanted = matching(alias, model, where) if where else ("1 = 1", [])
    begun = Statement(f"DELETE FROM {model._meta.db_table} WHERE {found}", wanted, or_else)  # noqa: S608 (names are ours)
    return _of_all(alias, begun, columns_of(alias, model)[field], values)


def update_all(
    alias: str,
    model: type[Model],
    row: type_row,
    where: type_row,
    field: str,
    values: Sequence[Any],
    or_else: BaseException | None = None,
) -> list[Statement]:
    """Update the rows of which a field has one of these values, as many at a time as the database takes."""
    return _of_all(alias, update(alias, model, row, where, or_else), columns_of(alias, model)[field], values)


def _of_all(
    alias: str, begun: Statement, column: tuple[str, Callable[[Any], Any]], values: Sequence[Any]
) -> list[Statement]:
    statements, (name, adapted), batch = [], column, _most_values(alias) - len(begun.values)
    for first in range(0, len(values), batch):
        some = [adapted(value) for value in values[first : first + batch]]
        sql = f"{begun.sql} AND {name} IN ({', '.join(['%s'] * len(some))})"
        statements.append(Statement(sql, [*begun.values, *some], begun.or_else, len(some)))
    return statements


def matching(alias: str, model: type[Model], where: type_row) -> tuple[str, list[Any]]:
    """Return a condition on these values, and its parameters."""
    columns = columns_of(alias, model)
    found = " AND ".join(f"{columns[name][0]} = %s" for name in where)
    return found, [columns[name][1](value) for name, value in where.items()]


@cache
def columns_of(alias: str, model: type[Model]) -> type_columns:
    """Return how this database takes the model's fields, worked out once: it is half the cost of a short statement."""
    connection = connections[alias]
    columns: type_columns = {}
    for column in model._meta.concrete_fields:
        name = connection.ops.quote_name(str(column.column))
        columns[column.name] = (name, _adapter(column, alias, connection.vendor))
    return columns


def _adapter(column: Any, alias: str, vendor: str) -> Callable[[Any], Any]:
    if isinstance(column, JSONField):
        return (lambda value: None if value is None else _encode(value)) if column.null else _encode
    if vendor == "postgresql" and not isinstance(column, BinaryField):
        return _as_it_is  # psycopg takes what we have: str, int, UUID and aware datetime
    if isinstance(column, CharField | TextField | IntegerField | BooleanField):
        return _as_it_is  # what we write has the type already
    if vendor == "sqlite" and not isinstance(
        column, BinaryField
    ):  # where nothing is asked of the connection itself, which belongs to one thread
        # one commit writes the same few times and keys again and again
        return lru_cache(64)(partial(column.get_db_prep_save, connection=connections[alias]))
    return lambda value: column.get_db_prep_save(value, connections[alias])


def _as_it_is(value: Any) -> Any:
    return value


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
