"""A ``Change`` is all that one commit writes to one timeline; ``commit`` writes it or raises.

The timeline's row goes first: its head is the version, checked by the write itself. It changes with every event, so two
who read the same head cannot both write. Then the open runs, with their fences; then the inserts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import following, postgresql
from ..databases import later
from ..exceptions import Conflict, LeaseLost, ValueTaken
from ..models import Event, Item, Lease, News, Notice, Run, SealedInput, Slot, Timeline, UniqueValue
from ..state import RunName, stored
from ..statements import (
    Statement,
    delete,
    delete_all,
    insert,
    insert_new,
    matching,
    send,
    type_row,
    update,
    update_all,
    upsert,
)
from .change import Change, lease_lost


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
            gone.append(fence)
        if name in change.leased:
            leased.append({"id": (row or {})["id"]} if fence is None else known)
    lease = {"holder": change.holder, "seconds": change.lease_seconds}
    return {
        "timeline": _timeline_row(change) if not change.before.head else _moved_row(change),
        "released": change.released,
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
    gone: dict[str, list[str]] = {}
    for step, item, _round in change.items_gone:
        gone.setdefault(step, []).append(item)
    for step, items in gone.items():
        yield from delete_all(alias, Item, {"timeline": id, "step": step}, "item", items)
    yield from upsert(alias, Item, change.items)
    yield from insert(alias, Event, [change.shared | event for event in change.events])
    yield from delete_all(alias, SealedInput, {"timeline": id}, "sequence", change.unsealed)
    yield from insert(alias, SealedInput, change.sealed)
    for child in change.children:
        yield from insert(alias, Timeline, [_timeline_row(child)])
        yield from _rest(connection, child)
    yield from delete_all(alias, Notice, {}, "id", change.heard)
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


_OF_ONE = ("fence", "item")  # of a run that goes on as it is


def _runs(connection: BaseDatabaseWrapper, change: Change) -> Iterator[Statement]:
    alias, id = change.after.using, change.after.id
    for released in change.released:
        yield _release(connection, id, released)
    where: type_row = {"timeline": id}
    opened: list[type_row] = []
    gone: dict[int, str] = {}  # the step by its fence
    alike: dict[tuple[Any, ...], list[int]] = {}
    for name, fence, row in _rows(change):
        if fence is None:
            opened.append(row or {})
        elif row and row["fence"] == fence:  # paused, say, and many others with it
            alike.setdefault(tuple(pair for pair in row.items() if pair[0] not in _OF_ONE), []).append(fence)
        elif row:
            yield update(alias, Run, row, where | {"fence": fence}, lease_lost(id, name.step, fence))
        else:
            gone[fence] = name.step
    for pairs, fences in alike.items():
        overtaken = lease_lost(id, dict(pairs)["step"], fences[0])
        yield from update_all(alias, Run, dict(pairs), where, "fence", fences, overtaken)
    for fence, step in [*gone.items()][:1]:
        yield from delete_all(alias, Run, where, "fence", [*gone], lease_lost(id, step, fence))
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
