"""The only writer. A ``Change`` is all that one commit writes to one timeline; ``commit`` writes it or raises.

The timeline's row goes first: its head is the version, checked by the write itself. It changes with every event, so two
who read the same head cannot both write. Then the open runs, with their fences; then the inserts.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BinaryField, BooleanField, JSONField, Model
from django.db.models.expressions import RawSQL

from .databases import later
from .exceptions import Conflict, LeaseLost, Unknown
from .models import Event, Lease, Run, SealedInput, Sighting, Timeline
from .state import type_state

type_row = dict[str, Any]
type_name = tuple[str, str]  # a run on its timeline: step, item


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A timeline as somebody last knew it. ``head`` 0: not stored yet."""

    id: uuid.UUID
    workflow: str
    using: str
    head: int
    status: str
    state: type_state
    correlation: uuid.UUID
    key: str = ""
    digest: uuid.UUID | None = None
    started_by: str = ""


@dataclass(slots=True)
class Change:
    """What one commit writes. ``runs``: name → (fence before, row after), either of them None."""

    before: Snapshot
    after: Snapshot
    at: datetime
    events: list[type_row] = field(default_factory=list)
    runs: dict[type_name, tuple[int | None, type_row | None]] = field(default_factory=dict)
    moved: tuple[type_name, type_name] | None = None  # a runner goes on: its row and lease pass to the next step
    leased: list[type_name] = field(default_factory=list)
    released: list[type_name] = field(default_factory=list)
    sealed: list[type_row] = field(default_factory=list)
    unsealed: list[type_name] = field(default_factory=list)
    holder: str = ""
    lease_seconds: float = 0


_READ = "id, workflow, head, status, state, correlation, {key}, digest, started_by"


def load(id: uuid.UUID, using: str, *, lock: bool = False) -> Snapshot:
    """Read a timeline; ``Unknown`` if it is not there. ``lock`` takes its row, which also reads past an old snapshot."""
    snapshot = find(using, {"id": id}, lock=lock)
    if snapshot is None:
        raise Unknown(f"There is no timeline {id}.", "unknown_timeline")
    return snapshot


def find(using: str, where: type_row, *, lock: bool = False) -> Snapshot | None:
    """Read the timeline with these values (its ``id``, or ``digest``), or None. Without a model instance: it is read often."""
    connection = connections[using]
    columns = _columns(using, Timeline)
    found = " AND ".join(f"{columns[name][0]} = %s" for name in where)
    listed = _READ.format(key=columns["key"][0])
    locked = " FOR UPDATE" if lock and connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {listed} FROM {Timeline._meta.db_table} WHERE {found}{locked}",  # noqa: S608 (names are ours)
            [columns[name][1](value) for name, value in where.items()],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    id, workflow, head, status, state, correlation, key, digest, started_by = row
    read: type_state = json.loads(state) if isinstance(state, str | bytes) else state
    return Snapshot(
        _uuid(id), workflow, using, head, status, read, _uuid(correlation), key, digest and _uuid(digest), started_by
    )


def _uuid(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def snapshot_of(timeline: Timeline, using: str | None = None) -> Snapshot:
    """Return what a timeline's row says."""
    return Snapshot(
        timeline.id,
        timeline.workflow,
        using or timeline.using,
        timeline.head,
        timeline.status,
        timeline.state,
        timeline.correlation,
        timeline.key,
        timeline.digest,
        timeline.started_by,
    )


def commit(change: Change) -> None:
    """Write the change, in the open transaction or in one of its own. ``Conflict``: somebody else wrote the timeline first.

    The conflict is raised outside the atomic block, before which nothing was written: an outer transaction stays usable.
    """
    connection = connections[change.after.using]
    with transaction.atomic(using=change.after.using, savepoint=False):
        fits = _write_timeline(connection, change)
        if fits:
            _write_runs(connection, change)
            _insert(connection, Event, change.events)
            _write_sealed(connection, change)
    if not fits:
        raise Conflict(f"Timeline {change.before.id} went on since event {change.before.head}. Begin again.")


def _write_timeline(connection: BaseDatabaseWrapper, change: Change) -> bool:
    after = change.after
    row: type_row = {"head": after.head, "status": after.status, "state": after.state, "changed_at": change.at}
    if change.before.head:
        return _update(connection, Timeline, row, {"id": after.id, "head": change.before.head})
    row |= {"id": after.id, "workflow": after.workflow, "key": after.key, "digest": after.digest}
    row |= {"correlation": after.correlation, "started_by": after.started_by, "started_at": change.at}
    _insert(connection, Timeline, [row])
    return True


def _write_runs(connection: BaseDatabaseWrapper, change: Change) -> None:
    id = change.after.id
    for step, item in change.released:
        _delete_lease(connection, id, step, item)
    passed_on = change.moved[1] if change.moved else None
    opened = []
    for name, (fence, row) in change.runs.items():
        if name == passed_on:
            continue
        where = {"timeline": id, "step": name[0], "item": name[1], "fence": fence}
        if change.moved and name == change.moved[0]:
            row = change.runs[change.moved[1]][1]
        if fence is None:
            opened.append(row or {})
        elif not (_update(connection, Run, row, where) if row else _delete(connection, Run, where)):
            raise LeaseLost(f"{name[0]} of timeline {id} belongs to a newer event than {fence}.")
    _insert(connection, Run, opened)
    for step, item in change.leased:
        _insert_lease(connection, id, step, item, change.holder, change.lease_seconds)


def _write_sealed(connection: BaseDatabaseWrapper, change: Change) -> None:
    for step, item in change.unsealed:
        _delete(connection, SealedInput, {"timeline": change.after.id, "step": step, "item": item})
    _insert(connection, SealedInput, change.sealed)


type_columns = dict[
    str, tuple[str, Callable[[Any], Any]]
]  # of a model, by field: the quoted name, and what adapts a value


@cache
def _columns(alias: str, model: type[Model]) -> type_columns:
    """Return how this database takes the model's fields, worked out once: it is half the cost of a short statement."""
    connection = connections[alias]
    columns: type_columns = {}
    for column in model._meta.concrete_fields:
        name = connection.ops.quote_name(str(column.column))
        columns[column.name] = (name, _adapter(column, alias, connection.vendor))
    return columns


def _adapter(column: Any, alias: str, vendor: str) -> Callable[[Any], Any]:
    if isinstance(column, JSONField):
        return partial(json.dumps, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    if vendor == "postgresql" and not isinstance(column, BinaryField):
        return _as_it_is  # psycopg takes what we have: str, int, UUID and aware datetime
    return lambda value: column.get_db_prep_save(value, connections[alias])


def _as_it_is(value: Any) -> Any:
    return value


def _insert(connection: BaseDatabaseWrapper, model: type[Model], rows: Sequence[type_row]) -> None:
    if not rows:
        return
    columns, names = _columns(connection.alias, model), list(rows[0])
    values = [columns[name][1](row[name]) for row in rows for name in names]
    places = f"({', '.join(['%s'] * len(names))})"
    listed = ", ".join(columns[name][0] for name in names)
    sql = f"INSERT INTO {model._meta.db_table} ({listed}) VALUES {', '.join([places] * len(rows))}"  # noqa: S608 (names are ours)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _update(connection: BaseDatabaseWrapper, model: type[Model], row: type_row, where: type_row) -> bool:
    columns = _columns(connection.alias, model)
    sets = ", ".join(f"{columns[name][0]} = %s" for name in row)
    found = " AND ".join(f"{columns[name][0]} = %s" for name in where)
    values = [columns[name][1](value) for part in (row, where) for name, value in part.items()]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model._meta.db_table} SET {sets} WHERE {found}", values)  # noqa: S608
        return bool(cursor.rowcount == 1)


def _delete(connection: BaseDatabaseWrapper, model: type[Model], where: type_row) -> bool:
    columns = _columns(connection.alias, model)
    found = " AND ".join(f"{columns[name][0]} = %s" for name in where)
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {model._meta.db_table} WHERE {found}",  # noqa: S608
            [columns[name][1](value) for name, value in where.items()],
        )
        return bool(cursor.rowcount == 1)


_RUN_ID = "SELECT id FROM django_timelines_run WHERE timeline_id = %s AND step = %s AND item = %s"


def _insert_lease(
    connection: BaseDatabaseWrapper, id: uuid.UUID, step: str, item: str, holder: str, seconds: float
) -> None:
    expires, ahead = later(connection, seconds)
    sql = (
        f"INSERT INTO django_timelines_lease (run_id, holder, expires) SELECT id, %s, {expires} "  # noqa: S608
        "FROM django_timelines_run WHERE timeline_id = %s AND step = %s AND item = %s"
    )
    key = _columns(connection.alias, Timeline)["id"][1](id)
    with connection.cursor() as cursor:
        cursor.execute(sql, [holder, ahead, key, step, item])


def _delete_lease(connection: BaseDatabaseWrapper, id: uuid.UUID, step: str, item: str) -> None:
    key = _columns(connection.alias, Timeline)["id"][1](id)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM django_timelines_lease WHERE run_id IN ({_RUN_ID})", [key, step, item])  # noqa: S608


def heartbeat(using: str, holders: Sequence[str], seconds: float) -> int:
    """Lengthen the leases of these holders; return how many there were."""
    connection = connections[using]
    expires, ahead = later(connection, seconds)
    places = ", ".join(["%s"] * len(holders))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE django_timelines_lease SET expires = {expires} WHERE holder IN ({places})",  # noqa: S608
            [ahead, *holders],
        )
        return int(cursor.rowcount)


def leases(using: str, runs: Sequence[uuid.UUID]) -> dict[uuid.UUID, datetime | None]:
    """Return which of these runs have a lease: when it ends, or None if it has ended, by the database's clock."""
    now, ahead = later(connections[using])
    live = RawSQL(f"expires > {now}", [ahead], output_field=BooleanField())  # noqa: S611 (one placeholder, ours)
    rows = Lease.objects.using(using).filter(run__in=runs).values_list("run_id", "expires", live)
    return {run: expires if is_live else None for run, expires, is_live in rows}


def rang(using: str, run: uuid.UUID, rings: int, more: int, placement: str, next_ring: datetime) -> None:
    """Note that a bell was rung again, and when to look next, unless another clock did; no event and no fence changes."""
    rows = Run.objects.using(using).filter(pk=run, rings=rings)
    rows.update(rings=rings + more, placement=placement, ring=next_ring)


def sighted(using: str, name: str, at: datetime) -> None:
    """Note that a clock or an embedded worker was seen."""
    Sighting.objects.using(using).update_or_create(name=name, defaults={"at": at})
