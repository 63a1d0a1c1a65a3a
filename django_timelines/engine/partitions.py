"""Events by month, on PostgreSQL: one partition each, which pruning drops as a whole.

A timeline's key begins with the time when it began (UUIDv7), and an event's with its timeline's, so that all events of a timeline
are in one partition. What began before the events were partitioned stays together in the first one.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.utils.translation import gettext as _

from .. import moments
from ..databases import lacks_privilege
from ..exceptions import Conflict, Refused
from ..models import Event, Timeline, first_id_at
from .keeping import BESIDE, are_needed
from .patience import conflict_if_transient

AHEAD = 3  # months beyond this one
LONGEST_WAIT = "2s"  # for the lock on all events: behind whoever waits for it, all others do
TABLE = Event._meta.db_table
LATER = f"{TABLE}_later"  # what comes when nobody has made its month
FIRST = uuid.UUID(int=0)
_BOUNDS = re.compile(r"FROM \((?:MINVALUE|'(?P<first>[^']+)')\) TO \('(?P<end>[^']+)'\)")
_CONSTRAINTS = (
    "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE conrelid = %s::regclass AND contype IN ('p', 'f') ORDER BY contype DESC"
)
_PARTITIONS = (
    "SELECT relname, pg_get_expr(relpartbound, pg_class.oid) FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid "
    "WHERE inhparent = %s::regclass"
)
_LEFT_BEHIND = (
    "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend "
    "WHERE refclassid = 'pg_class'::regclass AND refobjid = %(table)s::regclass AND classid IN "
    "('pg_policy'::regclass, 'pg_publication_rel'::regclass, 'pg_rewrite'::regclass, 'pg_trigger'::regclass) "
    "UNION SELECT 'row-level security' FROM pg_class WHERE oid = %(table)s::regclass AND relrowsecurity ORDER BY 1"
)
_OWNER = "SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass"
_PRIVILEGES = (
    "SELECT privilege_type || columns, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, "
    "CASE WHEN is_grantable THEN 'WITH GRANT OPTION' ELSE '' END FROM "
    "(SELECT coalesce(relacl, acldefault('r', relowner)), '' FROM pg_class WHERE oid = %(table)s::regclass UNION ALL "
    "SELECT attacl, format(' (%%I)', attname) FROM pg_attribute WHERE attrelid = %(table)s::regclass AND attacl IS NOT NULL) "
    "AS granted (acl, columns), aclexplode(acl)"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """The events of the timelines whose keys are at least ``first`` and below ``end``."""

    table: str
    first: uuid.UUID
    end: uuid.UUID


@dataclass(frozen=True, slots=True)
class Partitioned:
    """The tables of the partitions that are new, and of the months that have none because events of theirs are elsewhere."""

    made: list[str]
    not_made: list[str]


def partition(using: str) -> Partitioned:
    """Partition the events by month, if they are not, and make the partitions of this month and the next that are missing.

    What is there becomes the first partition as it is, which holds up all writers for one scan of it. ``Refused`` unless it is
    PostgreSQL, while somebody reads or writes events for long, a backup say, by a role that may not, and while a view, trigger,
    policy or publication of the site's hangs on the table: it would stay with what is there.
    """
    if connections[using].vendor != "postgresql":
        raise Refused(
            _("Only PostgreSQL partitions events. Pruning works as it is on other databases."), "not_applicable"
        )
    try:
        with conflict_if_transient(using), _refused_if_forbidden():
            return _partition(using)
    except Conflict as conflict:
        said = _("Somebody reads or writes events for long, and all others would wait. Make the partitions later.")
        raise Refused(said, "taken") from conflict


def _partition(using: str) -> Partitioned:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        _wait_no_longer(cursor)
        cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        months = _months(moments.now())
        done = Partitioned([] if _is_partitioned(cursor) else [_begin(cursor, months[1])], [])
        for month in _missing(using, months):
            if Event.objects.using(using).filter(timeline__gte=month.first, timeline__lt=month.end).exists():
                done.not_made.append(month.table)
            else:
                _make(cursor, month)
                done.made.append(month.table)
    return done


def partitions(using: str) -> list[Partition]:
    """Return the partitions of months, the oldest first; none unless the events are partitioned."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS, [TABLE])
        found = [(table, _BOUNDS.search(bounds)) for table, bounds in cursor.fetchall()]
    months = [
        Partition(table, uuid.UUID(bounds["first"]) if bounds["first"] else FIRST, uuid.UUID(bounds["end"]))
        for table, bounds in found
        if bounds
    ]
    return sorted(months, key=lambda one: one.end)


def drop_ended(using: str, before: datetime) -> Iterator[int]:
    """Drop each partition all of whose timelines may be pruned, and these with it; yield how many there were.

    One that is in use, or that another role owns, stays: what is left is deleted row by row.
    """
    for one in partitions(using):
        if one.end > first_id_at(before):
            return
        with suppress(_InUse, Conflict, Refused), conflict_if_transient(using), _refused_if_forbidden():
            if gone := _drop(using, one, before):
                yield gone


class _InUse(Exception):
    """Somebody still needs a timeline of the partition."""


def _drop(using: str, one: Partition, before: datetime) -> int:
    """Drop it with its timelines. Asked twice: before the lock, which holds up who reads and writes events, and under it."""
    timelines = Timeline.objects.using(using).filter(id__gte=one.first, id__lt=one.end)
    if are_needed(timelines, before):
        raise _InUse
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        _wait_no_longer(cursor)
        cursor.execute(
            f"DROP TABLE IF EXISTS {connections[using].ops.quote_name(one.table)}"
        )  # another pruning may be first
        if are_needed(timelines, before):
            raise _InUse
        for model in BESIDE:
            model.objects.using(using).filter(timeline__gte=one.first, timeline__lt=one.end)._raw_delete(using)
        return int(timelines._raw_delete(using))


@contextmanager
def _refused_if_forbidden() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        if not lacks_privilege(error):
            raise
        said = _(
            "The database forbids it (%(error)s). Let the role do it that owns the table of events and may make tables."
        )
        raise Refused(said % {"error": str(error).strip()}, "not_allowed") from error


def _wait_no_longer(cursor: Any) -> None:
    cursor.execute(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}'")


def _is_partitioned(cursor: Any) -> bool:
    cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass", [TABLE])
    return bool(cursor.fetchone()[0])


def _begin(cursor: Any, end: datetime) -> str:
    """Let the table be the first partition of a new one, which has its name, constraints, owner and privileges."""
    _refuse_if_some_stay_behind(cursor)
    old = f"{TABLE}_before"
    cursor.execute(_CONSTRAINTS, [TABLE])
    constraints = cursor.fetchall()
    cursor.execute(f"ALTER TABLE {TABLE} RENAME TO {old}")
    for name, kind, _definition in constraints:
        if kind == "p":  # an index, whose name is its schema's
            cursor.execute(f'ALTER TABLE {old} RENAME CONSTRAINT "{name}" TO "{name}_before"')
    cursor.execute(
        f"CREATE TABLE {TABLE} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (timeline_id)"
    )
    _belong_like(cursor, TABLE, old)
    for name, _kind, definition in constraints:
        cursor.execute(f'ALTER TABLE {TABLE} ADD CONSTRAINT "{name}" {definition}')
    cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO (%s)", [first_id_at(end)])
    cursor.execute(
        f"CREATE TABLE {LATER} PARTITION OF {TABLE} DEFAULT"
    )  # nothing is refused if nobody makes the next ones
    _belong_like(cursor, LATER, TABLE)
    return old


def _refuse_if_some_stay_behind(cursor: Any) -> None:
    cursor.execute(_LEFT_BEHIND, {"table": TABLE})
    if things := ", ".join(thing for (thing,) in cursor.fetchall()):
        said = _(
            "These would stay with the events of until now: %(things)s. Take them away, make the partitions, and put them back."
        )
        raise Refused(said % {"things": things}, "not_applicable")


def _belong_like(cursor: Any, new: str, other: str) -> None:
    """Give a new table the owner and the privileges of another, and none that new tables have by default.

    A backup reads partitions by themselves, so that they need privileges of their own.
    """
    cursor.execute(_OWNER, [other])
    cursor.execute(f"ALTER TABLE {new} OWNER TO {cursor.fetchone()[0]}")
    cursor.execute(_PRIVILEGES, {"table": new})
    for grantee in {grantee for _privilege, grantee, _option in cursor.fetchall()}:
        cursor.execute(f"REVOKE ALL ON {new} FROM {grantee}")
    cursor.execute(_PRIVILEGES, {"table": other})
    for privilege, grantee, option in cursor.fetchall():
        cursor.execute(f"GRANT {privilege} ON {new} TO {grantee} {option}")


def _missing(using: str, months: list[datetime]) -> list[Partition]:
    """Return the partitions of these months, the last of which is the end, that overlap none that is there."""
    known = partitions(using)
    wanted = [
        Partition(f"{TABLE}_{month:%Y_%m}", first_id_at(month), first_id_at(after)) for month, after in pairwise(months)
    ]
    return [one for one in wanted if not any(one.first < other.end and other.first < one.end for other in known)]


def _make(cursor: Any, month: Partition) -> None:
    bounds = [month.first, month.end]
    cursor.execute(f"CREATE TABLE {month.table} PARTITION OF {TABLE} FOR VALUES FROM (%s) TO (%s)", bounds)
    _belong_like(cursor, month.table, TABLE)


def _months(at: datetime) -> list[datetime]:
    """Return the first moments of this month, of those ahead, and of the one after."""
    months = [at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)]
    while len(months) < AHEAD + 2:
        months.append((months[-1] + timedelta(days=32)).replace(day=1))
    return months
