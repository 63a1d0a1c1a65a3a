"""How PostgreSQL writes a change: one statement, so that a commit is one round trip and asks nothing first.

The timeline's row is moved if its head and the fences of its runs are what the writer knew; everything else hangs on that, so
that a conflict has written nothing. Rows travel as one JSON document: the text of the statement depends only on which tables it
touches, and is prepared where the connection's ``OPTIONS`` set ``prepare_threshold``. Fences travel beside it: how many runs a
document names the database cannot know when it plans, and it would read all that are open, of ten thousand items, to find one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from .models import Event, Item, Lease, News, Run, Timeline
from .statements import type_row

_TYPES = {"UUIDField": "uuid", "JSONField": "jsonb", "DateTimeField": "timestamptz"}
_NUMBERS = ("PositiveIntegerField", "PositiveSmallIntegerField")


def is_spoken(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether this form can be used: PostgreSQL, by psycopg 3."""
    return connection.vendor == "postgresql" and _is_psycopg_3()


@cache
def _is_psycopg_3() -> bool:
    from django.db.backends.postgresql.psycopg_any import is_psycopg3  # there only with a driver for PostgreSQL

    return bool(is_psycopg3)


def write(connection: BaseDatabaseWrapper, document: type_row, known: tuple[UUID, int], *, alone: bool) -> bool:
    """Write what the document says; return whether the timeline had the ``known`` head (0: it is new).

    ``alone``: nobody else's transaction is open. Then, where nothing was sent since it began, the statement commits itself: no
    BEGIN and no COMMIT cross the wire.
    """
    parts = [name for name in _PARTS if document.get(name)] + [
        name for name in (_FIELDS,) if name in document["timeline"]
    ]
    id, head = known
    gone, released = document.pop("gone"), document.pop("released")
    fences = [row["old_fence"] for row in document["changed"]] + gone
    values = {"document": _encode(document), "id": id, "head": head}
    values |= {"fences": _array(fences), "gone": _array(gone), "released": _array(released)}
    connection.ensure_connection()
    raw: Any = connection.connection
    itself = alone and raw.info.transaction_status == _idle()
    with _committing_itself(connection, raw) if itself else nullcontext(), cursor_of(connection) as cursor:
        cursor.execute(_sql(not head, tuple(parts), max(map(len, (fences, gone, released))) <= 1), values)
        return bool(cursor.fetchone()[0])


@contextmanager
def _committing_itself(connection: BaseDatabaseWrapper, raw: Any) -> Iterator[None]:
    with connection.wrap_database_errors:
        raw.autocommit = True
    try:
        yield
    finally:
        if not raw.closed:
            raw.autocommit = connection.autocommit


def cursor_of(connection: BaseDatabaseWrapper) -> Any:
    """Return a cursor that binds on the server, which prepares. Where queries are logged, Django's own: it knows what it sent."""
    if connection.queries_logged:
        return connection.cursor()
    connection.ensure_connection()
    import psycopg

    cursor: Any = psycopg.Cursor(connection.connection)
    return connection.make_cursor(cursor)


@cache
def _idle() -> Any:
    import psycopg

    return psycopg.pq.TransactionStatus.IDLE


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else value.hex if isinstance(value, UUID) else str(value)


def _array(fences: list[int]) -> str:
    return f"{{{','.join(map(str, fences))}}}"


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_text).encode


@cache
def _columns(model: type[Model]) -> dict[str, tuple[str, str]]:
    """Return the columns of a model by field, each with its type."""
    found = {}
    for field in model._meta.concrete_fields:
        kind = field.get_internal_type() if not field.is_relation else "UUIDField"
        found[field.name] = (str(field.column), _TYPES.get(kind, "int" if kind in _NUMBERS else "text"))
    return found


def _record(model: type[Model], *, without: tuple[str, ...] = ()) -> str:
    """Return the columns of a model as a definition of records, by field name."""
    return ", ".join(f'"{name}" {kind}' for name, (_column, kind) in _columns(model).items() if name not in without)


def _listed(model: type[Model], *, without: tuple[str, ...] = ()) -> str:
    return ", ".join(f'"{column}"' for name, (column, _kind) in _columns(model).items() if name not in without)


def _values(model: type[Model], *, without: tuple[str, ...] = ()) -> str:
    return ", ".join(f'n."{name}"' for name in _columns(model) if name not in without)


_OF_A_WALK = ("cursor", "progress")  # written between commits; here they only begin anew
_OLD = '"old_fence" int'
_SAME = 'r."timeline_id" = moved."id" AND r."fence" = n."old_fence" AND r."fence" = ANY(%(fences)s::int[])'
_OF_SEVERAL, _OF_ONE = re.compile(r"= ANY\(%\((\w+)\)s::int\[\]\)"), r"= (%(\1)s::int[])[1]"
"""How a run is looked up by its fence. One is the rule, and equality what every plan finds it by."""


def _insert(model: type[Model], part: str, *, without: tuple[str, ...] = ()) -> str:
    listed, values = _listed(model, without=without), _values(model, without=without)
    return (
        f"INSERT INTO {model._meta.db_table} ({listed}) SELECT {values} "  # noqa: S608 (names are ours)
        f"FROM moved, d, jsonb_to_recordset(d.doc->'{part}') AS n({_record(model, without=without)})"
    )


IN_NO_SNAPSHOT = "current_setting('transaction_isolation') = 'read committed'"
"""Elsewhere a lease that a heartbeat has lengthened since the snapshot cannot be deleted. It is left, and proves nothing."""


def _released() -> str:
    return (
        f"DELETE FROM {Lease._meta.db_table} l USING moved, {Run._meta.db_table} r "  # noqa: S608
        f"WHERE l.run_id = r.id AND r.timeline_id = moved.id AND r.fence = ANY(%(released)s::int[]) AND {IN_NO_SNAPSHOT}"
    )


def _changed() -> str:
    kept = ("id", "timeline", *_OF_A_WALK)
    sets = [f'"{column}" = n."{name}"' for name, (column, _kind) in _columns(Run).items() if name not in kept]
    sets += [f'"{name}" = CASE WHEN n."anew" THEN NULL ELSE r."{name}" END' for name in _OF_A_WALK]
    return (
        f"UPDATE {Run._meta.db_table} r SET {', '.join(sets)} FROM moved, d, "  # noqa: S608
        f"jsonb_to_recordset(d.doc->'changed') AS n({_record(Run, without=kept)}, {_OLD}, anew bool) WHERE {_SAME}"
    )


def _gone() -> str:
    return (
        f"DELETE FROM {Run._meta.db_table} r USING moved "  # noqa: S608
        "WHERE r.timeline_id = moved.id AND r.fence = ANY(%(gone)s::int[])"
    )


def _items() -> str:
    taken = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in ("index", "status", "head", "state"))
    return f"{_insert(Item, 'items')} ON CONFLICT (timeline_id, step, item) DO UPDATE SET {taken}"


def _items_gone() -> str:
    return (
        f"DELETE FROM {Item._meta.db_table} i USING moved, d, "  # noqa: S608
        "jsonb_to_recordset(d.doc->'items_gone') AS n(step text, item text) "
        "WHERE i.timeline_id = moved.id AND i.step = n.step AND i.item = n.item"
    )


def _leased() -> str:
    expires = "STATEMENT_TIMESTAMP() + make_interval(secs => (d.doc->'lease'->>'seconds')::float)"
    return (
        f"INSERT INTO {Lease._meta.db_table} (run_id, holder, expires) "  # noqa: S608
        f"SELECT COALESCE(n.id, r.id), d.doc->'lease'->>'holder', {expires} FROM moved CROSS JOIN d CROSS JOIN LATERAL "
        f"jsonb_to_recordset(d.doc->'leased') AS n(id uuid, {_OLD}) LEFT JOIN {Run._meta.db_table} r ON {_SAME} "
        "ON CONFLICT (run_id) DO UPDATE SET holder = EXCLUDED.holder, expires = EXCLUDED.expires"
    )


def _appended() -> str:
    """Insert the events; what they have in common is said once."""
    kinds = _columns(Event)
    common = ("timeline", "at", "actor_type", "actor_id", "actor_label", "placement", "trace")
    own = ", ".join(f'"{name}" {kind}' for name, (_column, kind) in kinds.items() if name not in common)
    shared = ", ".join(f'"{name}" {kinds[name][1]}' for name in common)
    values = ", ".join(
        'COALESCE(n."at", s."at")' if name == "at" else f'{"s" if name in common else "n"}."{name}"' for name in kinds
    )
    return (
        f"INSERT INTO {Event._meta.db_table} ({_listed(Event)}) SELECT {values} "  # noqa: S608 (names are ours)
        f"FROM moved, d, jsonb_to_record(d.doc->'shared') AS s({shared}), "
        f"jsonb_to_recordset(d.doc->'events') AS n({own}, \"at\" timestamptz)"
    )


_PARTS: dict[str, Callable[[], str]] = {
    "released": _released,
    "changed": _changed,
    "gone": _gone,
    "opened": lambda: _insert(Run, "opened"),
    "items_gone": _items_gone,
    "items": _items,
    "leased": _leased,
    "events": _appended,
    "news": lambda: _insert(News, "news", without=("id",)),
}


@cache
def _sql(begins: bool, parts: tuple[str, ...], of_one: bool) -> str:
    sql = f"WITH {', '.join(_clauses(begins, parts))} SELECT count(*) FROM moved"  # noqa: S608
    return _OF_SEVERAL.sub(_OF_ONE, sql) if of_one else sql


def _clauses(begins: bool, parts: tuple[str, ...]) -> Iterator[str]:
    yield "d AS MATERIALIZED (SELECT %(document)s::jsonb AS doc)"
    yield f"moved AS ({_begun() if begins else _moved(parts)} RETURNING {_ID})"
    for part in parts:
        if part == _FIELDS:
            continue
        yield f"{part}_ AS ({_PARTS[part]()})"


_FIELDS = "fields"  # of the timeline's row, where they have changed
_ID = f"{Timeline._meta.db_table}.id"


def _begun() -> str:
    table = Timeline._meta.db_table
    return (
        f"INSERT INTO {table} ({_listed(Timeline)}) SELECT {_values(Timeline)} FROM d, "  # noqa: S608
        f"jsonb_to_record(d.doc->'timeline') AS n({_record(Timeline)})"
    )


def _moved(parts: tuple[str, ...]) -> str:
    table, moves = Timeline._meta.db_table, ["head", "status", "state", "changed_at"]
    moves += ["fields"] if _FIELDS in parts else []
    fenced = "changed" in parts or "gone" in parts
    sets = ", ".join(f'"{name}" = n."{name}"' for name in moves)
    columns = ", ".join(f'"{name}" {_columns(Timeline)[name][1]}' for name in moves)
    ours = (
        f"AND cardinality(%(fences)s::int[]) = (SELECT count(*) FROM {Run._meta.db_table} r "  # noqa: S608
        f"WHERE r.timeline_id = {table}.id AND r.fence = ANY(%(fences)s::int[]))"
    )
    return (
        f"UPDATE {table} SET {sets} FROM d, jsonb_to_record(d.doc->'timeline') AS n({columns}) "  # noqa: S608
        f"WHERE {table}.id = %(id)s AND {table}.head = %(head)s {ours if fenced else ''}"
    )
