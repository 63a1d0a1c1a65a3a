"""The only writer. A ``Change`` is all that one commit writes to one timeline; ``commit`` writes it or raises.

The timeline's row goes first: its head is the version, checked by the write itself. It changes with every event, so two
who read the same head cannot both write. Then the open runs, with their fences; then the inserts.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Exists, OuterRef, Q
from django.db.models.expressions import RawSQL

from . import following, postgresql
from .databases import begin_writing, later
from .exceptions import Conflict, LeaseLost, Unknown, ValueTaken
from .models import Event, Item, Lease, News, Notice, Pause, Run, SealedInput, Sighting, Slot, Timeline, UniqueValue
from .state import RunName, StepStatus, loaded, stored, type_state
from .statements import Statement, delete, insert, insert_new, matching, send, type_row, update, upsert

type_slot = Sequence[Any]  # of a limit: its digest as hex, and the slot's number
EVERYTHING = ""  # the workflow of a pause of everything


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
    is_held: bool = False  # its workflow, or everything, was paused when it was read


@dataclass(slots=True)
class Change:
    """What one commit writes. ``runs``: name → (fence before, row after), either of them None. A row is known by its fence."""

    before: Snapshot
    after: Snapshot
    at: datetime
    events: list[type_row] = field(default_factory=list)
    shared: type_row = field(default_factory=dict)  # what its events have in common, unless one says otherwise
    runs: dict[RunName, tuple[int | None, type_row | None]] = field(default_factory=dict)
    moved: tuple[RunName, RunName] | None = None  # a runner goes on: its row and lease pass to the next step
    items: list[type_row] = field(default_factory=list)  # of items: where they stand now
    items_gone: list[RunName] = field(default_factory=list)
    leased: list[RunName] = field(default_factory=list)
    released: list[int] = field(default_factory=list)  # the fences before of those whose lease ends
    notices: list[type_row] = field(default_factory=list)
    heard: list[uuid.UUID] = field(default_factory=list)  # the notices that are taken with it
    children: list[Change] = field(default_factory=list)  # timelines that begin with it
    sealed: list[type_row] = field(default_factory=list)
    unsealed: list[int] = field(default_factory=list)  # the calls whose secrets are done with, by sequence
    slots: list[type_row] = field(default_factory=list)  # what the attempts that it starts hold of their limits
    freed: list[type_slot] = field(default_factory=list)  # and what those held that it ends
    frees_value: bool = False  # the one for which it was the only timeline of its class
    taken_value: uuid.UUID | None = None  # the one for which it is from now on; its digest
    holder: str = ""
    lease_seconds: float = 0


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
    read: type_state = loaded(_json(state)) | {"fields": _json(fields)}
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


def commit(change: Change, *, alone: bool = False) -> None:
    """Write the change, in the open transaction or in one of its own. ``Conflict``: somebody else wrote the timeline first.

    The conflict is raised outside the atomic block, before which nothing was written: an outer transaction stays usable. So it
    does when a slot or a unique value (``ValueTaken``) is taken: what was written before that goes back to a savepoint.
    ``alone``: the open transaction is ours and outermost.
    """
    alias, id = change.after.using, change.after.id
    connection = connections[alias]
    if postgresql.is_spoken(connection) and not _is_rare(change):
        _commit_at_once(connection, change, alone=alone)
        return
    fits, may_fail = True, change.slots or any(one.taken_value for one in (change, *change.children))
    with transaction.atomic(using=alias, savepoint=bool(may_fail)):
        first: list[Statement] = []
        if change.before.head:
            fits = _move_head(connection, change)
        else:
            first = insert(alias, Timeline, [_timeline_row(change)])
        if fits:
            send(connection, [*first, *_rest(connection, change)])
    if not fits:
        raise Conflict(f"Timeline {id} went on since event {change.before.head}. Begin again.")


def _commit_at_once(connection: BaseDatabaseWrapper, change: Change, *, alone: bool) -> None:
    alone = alone or not connection.in_atomic_block
    with transaction.atomic(using=connection.alias, savepoint=False):
        known = change.after.id, change.before.head
        fits = postgresql.write(connection, _document(change), known, alone=alone)
    if not fits:
        head = (
            Timeline.objects.using(connection.alias).filter(pk=change.after.id).values_list("head", flat=True).first()
        )
        if head == change.before.head:
            raise LeaseLost(f"A run of timeline {change.after.id} belongs to a newer event than was known.")
        raise Conflict(f"Timeline {change.after.id} went on since event {change.before.head}. Begin again.")


def _is_rare(change: Change) -> bool:
    """Tell whether it touches what few steps do, or gives a lease back and takes it again, which needs an order."""
    others = change.sealed, change.unsealed, change.notices, change.heard, change.children
    held = change.slots, change.freed, change.frees_value, change.taken_value
    return any(others) or any(held) or any(change.runs[name][0] in change.released for name in change.leased)


def _document(change: Change) -> dict[str, Any]:
    """Sort what is written by what is done with it. A lease names its run's row: by its id where it is new, else by its fence."""
    opened, changed, gone = [], [], []
    leased = []
    for name, fence, row in _rows(change):
        known = {"old_fence": fence}
        if fence is None:
            opened.append(row or {})
        elif row:
            changed.append(known | row | {"anew": "cursor" in row})
        else:
            gone.append(known)
        if name in change.leased:
            leased.append({"id": (row or {})["id"]} if fence is None else known)
    released = [{"old_fence": fence} for fence in change.released]
    lease = {"holder": change.holder, "seconds": change.lease_seconds}
    return {
        "timeline": _timeline_row(change) if not change.before.head else _moved_row(change),
        "fences": changed + gone,
        "released": released,
        "changed": changed,
        "gone": gone,
        "opened": opened,
        "items": change.items,
        "items_gone": [{"step": step, "item": item} for step, item, _round in change.items_gone],
        "leased": leased,
        "lease": lease,
        "events": change.events,
        "shared": change.shared,
        "news": _news(change),
    }


def _rows(change: Change) -> Iterator[tuple[RunName, int | None, type_row | None]]:
    """Yield each run's name, fence before and row after; a runner's row that passes to its next step has that one's values."""
    for name, (fence, row) in change.runs.items():
        if change.moved and name == change.moved[1]:
            yield name, change.runs[change.moved[0]][0], row
        elif not change.moved or name != change.moved[0]:
            yield name, fence, row


def _rest(connection: BaseDatabaseWrapper, change: Change) -> Iterator[Statement]:
    alias, id = change.after.using, change.after.id
    yield from _of_limits(change)
    yield from _runs(connection, change)
    for step, item, _round in change.items_gone:
        yield delete(alias, Item, {"timeline": id, "step": step, "item": item})
    yield from upsert(alias, Item, change.items)
    yield from insert(alias, Event, [change.shared | event for event in change.events])
    for call in change.unsealed:
        yield delete(alias, SealedInput, {"timeline": id, "sequence": call})
    yield from insert(alias, SealedInput, change.sealed)
    for child in change.children:
        yield from insert(alias, Timeline, [_timeline_row(child)])
        yield from _rest(connection, child)
    for notice in change.heard:
        yield delete(alias, Notice, {"id": notice})
    yield from insert(alias, Notice, change.notices)
    yield from insert(alias, News, _news(change))


def _of_limits(change: Change) -> Iterator[Statement]:
    alias, id, value = change.after.using, change.after.id, change.taken_value
    for digest, number in change.freed:
        yield delete(alias, Slot, {"digest": uuid.UUID(digest), "number": number})
    for slot in change.slots:
        yield insert_new(
            alias, Slot, slot, Conflict(f"Slot {slot['number']} of {slot['digest']} is taken. Look again.")
        )
    if change.frees_value:
        yield delete(alias, UniqueValue, {"timeline": id})
    if value is not None:
        yield insert_new(
            alias, UniqueValue, {"digest": value, "timeline": id}, ValueTaken(change.after.workflow, value)
        )


def _news(change: Change) -> list[type_row]:
    """Tell the projections that follow such events. Those that this code does not know find them without being told."""
    followers = following.followers(change.after.workflow, [event["type"] for event in change.events])
    return [{"projection": label, "timeline": change.after.id, "at": change.at} for label in followers]


def _move_head(connection: BaseDatabaseWrapper, change: Change) -> bool:
    after = change.after
    statement = update(after.using, Timeline, _moved_row(change), {"id": after.id, "head": change.before.head})
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.values)
        return bool(cursor.rowcount == 1)


def _moved_row(change: Change) -> type_row:
    """Return what is written of a timeline that was there: its fields only if they are others now."""
    before, after = change.before, change.after
    row = {"head": after.head, "status": after.status, "state": stored(after.state), "changed_at": change.at}
    return row if after.state["fields"] == before.state["fields"] else row | {"fields": after.state["fields"]}


def _timeline_row(change: Change) -> type_row:
    after = change.after
    names = ("id", "workflow", "head", "status", "key", "digest", "correlation", "started_by")
    row = {name: getattr(after, name) for name in names} | {"started_at": change.at, "changed_at": change.at}
    row |= {"state": stored(after.state), "fields": after.state["fields"]}
    parent = after.state.get("parent")
    return row | {"parent": uuid.UUID(parent["timeline"]) if parent else None}


def _runs(connection: BaseDatabaseWrapper, change: Change) -> Iterator[Statement]:
    alias, id = change.after.using, change.after.id
    for released in change.released:
        yield _release(connection, id, released)
    opened: list[type_row] = []
    for name, fence, row in _rows(change):
        where = {"timeline": id, "fence": fence}
        overtaken = _overtaken(id, name.step, fence)
        if fence is None:
            opened.append(row or {})
        elif row:
            yield update(alias, Run, row, where, overtaken)
        else:
            yield delete(alias, Run, where, overtaken)
    yield from insert(alias, Run, opened)
    for name in change.leased:
        yield _lease(connection, change, (change.runs[name][1] or {})["fence"])


def _lease(connection: BaseDatabaseWrapper, change: Change, fence: int) -> Statement:
    expires, ahead = later(connection, change.lease_seconds)
    found, wanted = matching(connection.alias, Run, {"timeline": change.after.id, "fence": fence})
    sql = f"INSERT INTO {Lease._meta.db_table} (run_id, holder, expires) SELECT id, %s, {expires} "
    sql += f"FROM {Run._meta.db_table} WHERE {found}"
    if connection.vendor == "postgresql":
        sql += " ON CONFLICT (run_id) DO UPDATE SET holder = EXCLUDED.holder, expires = EXCLUDED.expires"
    return Statement(sql, [change.holder, ahead, *wanted])


def _release(connection: BaseDatabaseWrapper, id: uuid.UUID, fence: int) -> Statement:
    found, wanted = matching(connection.alias, Run, {"timeline": id, "fence": fence})
    runs = f"SELECT id FROM {Run._meta.db_table} WHERE {found}"  # noqa: S608
    may_be = f" AND {postgresql.IN_NO_SNAPSHOT}" if connection.vendor == "postgresql" else ""
    return Statement(f"DELETE FROM {Lease._meta.db_table} WHERE run_id IN ({runs}){may_be}", wanted)  # noqa: S608


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
    held = Lease.objects.using(using).filter(run__in=runs, run__status=StepStatus.RUNNING)
    rows = held.values_list("run_id", "expires", _is_live(using))
    return {run: expires if is_live else None for run, expires, is_live in rows}


def with_live_lease(using: str) -> Q:
    """Return the condition for open runs that are being executed, under a lease that has not ended by the database's clock."""
    live = Lease.objects.using(using).filter(_is_live(using), run=OuterRef("pk"))
    return Q(Exists(live), status=StepStatus.RUNNING)


def _is_live(using: str) -> RawSQL:
    now, ahead = later(connections[using])
    return RawSQL(f"expires > {now}", [ahead], output_field=BooleanField())  # noqa: S611 (one placeholder, ours)


def sweep_leases(using: str) -> None:
    """Delete the leases that were left behind, and have ended: of runs that nobody executes, or that are no longer open."""
    running = Run.objects.using(using).filter(pk=OuterRef("run_id"), status=StepStatus.RUNNING)
    left = Lease.objects.using(using).exclude(_is_live(using)).exclude(Exists(running))
    left.order_by()._raw_delete(using)


def cursor_of(using: str, timeline: uuid.UUID, step: str, fence: int) -> Any:
    """Return the cursor of an open run, or None; ``LeaseLost`` if it went on to a newer event."""
    runs = Run.objects.using(using).filter(timeline=timeline, fence=fence)
    for cursor in runs.values_list("cursor", flat=True):
        return cursor
    raise _overtaken(timeline, step, fence)


def note(using: str, timeline: uuid.UUID, step: str, fence: int, row: type_row) -> None:
    """Note on an open run how far it has come; ``LeaseLost`` if it went on to a newer event.

    The run's row is taken until the commit: whoever gives the attempt to somebody else waits, and then finds the cursor.
    """
    where = {"timeline": timeline, "fence": fence}
    send(connections[using], [update(using, Run, row, where, _overtaken(timeline, step, fence))])


def _overtaken(timeline: uuid.UUID, step: str, fence: int | None) -> LeaseLost:
    return LeaseLost(f"{step} of timeline {timeline} belongs to a newer event than {fence}.")


def await_slot(using: str, timeline: uuid.UUID, fence: int, digest: uuid.UUID, ring: datetime) -> None:
    """Note that a due run waits for a slot of this limit, unless it went on."""
    rows = Run.objects.using(using).filter(timeline=timeline, fence=fence)
    rows.update(awaits=digest, rings=0, ring=ring)


def paused(using: str) -> set[str]:
    """Return the workflows that are paused, ``EVERYTHING`` among them if everything is."""
    with connections[using].cursor() as cursor:  # without the ORM: each call asks
        cursor.execute(f"SELECT workflow FROM {Pause._meta.db_table}")  # noqa: S608
        return {workflow for (workflow,) in cursor.fetchall()}


def take_value(using: str, digest: uuid.UUID, timeline: uuid.UUID) -> bool:
    """Let a timeline hold a unique value unless another does; return whether it does."""
    statement = insert_new(using, UniqueValue, {"digest": digest, "timeline": timeline})
    with connections[using].cursor() as cursor:
        cursor.execute(statement.sql, statement.values)
        return bool(cursor.rowcount == 1)


def take_notices(using: str, taken: Sequence[uuid.UUID], answers: Sequence[type_row]) -> None:
    """Take notices that change nothing, and answer."""
    with transaction.atomic(using=using):
        Notice.objects.using(using).filter(id__in=taken).delete()
        send(connections[using], insert(using, Notice, answers))


@dataclass(frozen=True, slots=True)
class Ring:
    """What is noted of an open run, as it was read: that its bell is rung ``more`` times, where, and when to look next."""

    run: Run
    more: int
    placement: str
    next: datetime


def rang(using: str, rings: Sequence[Ring]) -> list[Ring]:
    """Note all of these that no other clock has noted first, and of which the run did not go on; return those.

    No event and no fence changes. The rows are as they were read, and then as they were written. However many there are, these
    are two statements, and one more for each other number of rings, placement or time.
    """
    connection = connections[using]
    rows = Run.objects.using(using)
    with transaction.atomic(using=using):
        begin_writing(connection)
        skips = connection.features.has_select_for_update_skip_locked  # who has one notes it
        found = rows.select_for_update(skip_locked=skips).filter(pk__in=[one.run.pk for one in rings])
        now = {id: (fence, times) for id, fence, times in found.order_by("pk").values_list("pk", "fence", "rings")}
        ours = [one for one in rings if now.get(one.run.pk) == (one.run.fence, one.run.rings)]
        alike: dict[tuple[int, str, datetime], list[uuid.UUID]] = {}
        for one in ours:
            alike.setdefault((one.run.rings + one.more, one.placement, one.next), []).append(one.run.pk)
        for (times, placement, next), ids in alike.items():
            rows.filter(pk__in=ids).update(rings=times, placement=placement, ring=next)
    for one in ours:
        one.run.rings, one.run.placement, one.run.ring = one.run.rings + one.more, one.placement, one.next
    return ours


def sighted(using: str, name: str, at: datetime) -> None:
    """Note that a clock or an embedded worker was seen."""
    Sighting.objects.using(using).update_or_create(name=name, defaults={"at": at})
