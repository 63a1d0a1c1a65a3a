"""Reading a timeline without a model instance: it is read often."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.db import connections

from ..exceptions import Unknown
from ..models import Pause, Run, Timeline
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


def find(using: str, where: type_row, *, lock: bool = False) -> Snapshot | None:
    """Read the timeline with these values (its ``id``, or ``digest``), or None. Without a model instance: it is read often."""
    connection = connections[using]
    found, wanted = matching(using, Timeline, where)
    listed = _READ.format(key=connection.ops.quote_name("key")) + _HELD
    locked = " FOR UPDATE" if lock and connection.features.has_select_for_update else ""
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
