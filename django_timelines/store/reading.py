"""Reading a timeline without a model instance: it is read often."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..exceptions import Unknown
from ..models import Pause, Run, Timeline, UniqueValue
from ..state import loaded, with_fields
from ..statements import matching, type_row
from .change import Snapshot, lease_lost

EVERYTHING = ""  # the workflow of a pause of everything
_READ = "id, workflow, head, status, state, fields, correlation, {key}, digest, started_by, "
_HELD = "EXISTS (SELECT 1 FROM django_timelines_pause p WHERE p.workflow IN ('', django_timelines_timeline.workflow))"


def load(id: uuid.UUID, using: str, *, lock: bool = False) -> Snapshot:
    """Read a timeline; ``Unknown`` if it is not there. ``lock`` takes its row, which also reads past an old snapshot."""
    snapshot = find(using, {"id": id}, lock=lock)
    if snapshot is None:
        raise Unknown(f"There is no timeline {id}.", "unknown_timeline")
    return snapshot


def find(using: str, where: type_row, *, lock: bool = False, shared: bool = False) -> Snapshot | None:
    """Read the timeline with these values (its ``id``, or ``digest``), or None. Without a model instance: it is read often.

    ``lock`` as for ``load``. ``shared``: for who was told that there is such a one already, and may be one of several.
    """
    connection = connections[using]
    found, wanted = matching(using, Timeline, where)
    listed = _READ.format(key=connection.ops.quote_name("key")) + _HELD
    locked = _lock(connection, shared=shared) if lock else ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {listed} FROM {Timeline._meta.db_table} WHERE {found}{locked}", wanted)  # noqa: S608
        row = cursor.fetchone()
    if row is None:
        return None
    id, workflow, head, status, state, fields, correlation, key, digest, started_by, held = row
    read = with_fields(loaded(_json(state)), _json(fields), _uuid(id))
    unique = _uuid(digest) if digest else None
    return Snapshot(
        _uuid(id), workflow, using, head, status, read, _uuid(correlation), key, unique, started_by, bool(held)
    )


def holder_of(using: str, digest: uuid.UUID, *, lock: bool = False) -> uuid.UUID | None:
    """Return which timeline has a unique value by its row, or None. ``lock`` reads past an old snapshot."""
    connection = connections[using]
    found, wanted = matching(using, UniqueValue, {"digest": digest})
    locked = _lock(connection, shared=True) if lock else ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT timeline_id FROM {UniqueValue._meta.db_table} WHERE {found}{locked}", wanted)  # noqa: S608
        row = cursor.fetchone()
    return _uuid(row[0]) if row else None


def _lock(connection: BaseDatabaseWrapper, *, shared: bool) -> str:
    """Return how a SELECT ends that takes its row.

    MariaDB gives a lock of the duplicate to each who is told of one: if they all ask for it alone, only one of them gets on.
    """
    if shared and connection.vendor == "mysql":
        return " LOCK IN SHARE MODE"
    return " FOR UPDATE" if connection.features.has_select_for_update else ""


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value


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


def paused(using: str) -> set[str]:
    """Return the workflows that are paused, ``EVERYTHING`` among them if everything is."""
    with connections[using].cursor() as cursor:  # without the ORM: each call asks
        cursor.execute(f"SELECT workflow FROM {Pause._meta.db_table}")  # noqa: S608
        return {workflow for (workflow,) in cursor.fetchall()}


def cursor_of(using: str, timeline: uuid.UUID, step: str, fence: int) -> Any:
    """Return the cursor of an open run, or None; ``LeaseLost`` if it went on to a newer event."""
    runs = Run.objects.using(using).filter(timeline=timeline, fence=fence)
    for cursor in runs.values_list("cursor", flat=True):
        return cursor
    raise lease_lost(timeline, step, fence)
