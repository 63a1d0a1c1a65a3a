"""What is noted beside the events: no head moves and no fence changes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connections, transaction

from ..databases import begin_writing
from ..models import Notice, Run, Sighting, UniqueValue
from ..state import CLAIMABLE
from ..statements import insert, insert_new, send, type_row, update
from .change import lease_lost

PAUSES = (0.01, 0.03, 0.1, 0.3)  # seconds between the tries at a row that somebody else holds


def note(using: str, timeline: uuid.UUID, step: str, fence: int, row: type_row) -> None:
    """Note on an open run how far it has come; ``LeaseLost`` if it went on to a newer event.

    The run's row is taken until the commit: whoever gives the attempt to somebody else waits, and then finds the cursor.
    """
    where = {"timeline": timeline, "fence": fence}
    send(connections[using], [update(using, Run, row, where, lease_lost(timeline, step, fence))])


def await_slot(using: str, timeline: uuid.UUID, fence: int, digest: uuid.UUID, ring: datetime) -> None:
    """Note that a due run waits for a slot of this limit, unless it went on."""
    rows = Run.objects.using(using).filter(timeline=timeline, fence=fence)
    rows.update(awaits=digest, rings=0, ring=ring)


def ring_soon(using: str, timeline: uuid.UUID, fence: int, at: datetime) -> None:
    """Note that a due run, whose bell somebody heard in vain, is to be rung for as if that had never been, unless it went on."""
    due = Run.objects.using(using).filter(timeline=timeline, fence=fence, status__in=CLAIMABLE, awaits=None)
    due.filter(ring__isnull=False).update(rings=0, ring=at)


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
    next: datetime | None


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
        alike: dict[tuple[int, str, datetime | None], list[uuid.UUID]] = {}
        for one in ours:
            alike.setdefault((one.run.rings + one.more, one.placement, one.next), []).append(one.run.pk)
        for (times, placement, next), ids in alike.items():
            rows.filter(pk__in=ids).update(rings=times, placement=placement, ring=next)
    for one in ours:
        one.run.rings, one.run.placement, one.run.ring = one.run.rings + one.more, one.placement, one.next
    return ours


def put_back(using: str, rings: Sequence[Ring]) -> None:
    """Note these as they were before their bells were rung, which nobody could hear, unless their runs went on.

    A row that somebody holds is tried again: left out, it would be looked at no sooner than at its next ring, by the clock of the
    one that noted it, which may be wrong. Another clock holds it for a moment; whoever holds it for longer moves the run.
    """
    left = list(rings)
    for pause in (*PAUSES, None):
        written = {one.run.pk for one in rang(using, left)} if left else set()
        noted = {one.run.pk: (one.run.fence, one.run.rings) for one in left if one.run.pk not in written}
        now = Run.objects.using(using).filter(pk__in=noted).values_list("pk", "fence", "rings") if noted else ()
        held = {pk for pk, *rest in now if noted[pk] == (*rest,)}
        left = [one for one in left if one.run.pk in held]
        if not left or pause is None:
            return
        time.sleep(pause)


def forget_deadline(run: Run, ring: datetime | None) -> None:
    """Let an open run have no deadline any more, and be looked at by then, unless somebody has moved it."""
    Run.objects.using(run._state.db).filter(pk=run.pk, fence=run.fence).update(until=None, ring=ring)


def sighted(using: str, name: str, at: datetime) -> None:
    """Note that a clock or a follower was seen. All clocks write this row: it is held for no longer than a statement takes."""
    rows = Sighting.objects.using(using)
    if not rows.filter(name=name).update(at=at):
        rows.bulk_create([Sighting(name=name, at=at)], ignore_conflicts=True)
