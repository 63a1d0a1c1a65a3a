"""So many attempts at once: ``limit=``. A slot is a row with a unique number, held from the claim's commit to the attempt's end.

An attempt that finds none stays due, and its run notes which limit it waits for. The oldest runs come first: whoever is younger
leaves free slots to them. When a slot is free the first of them is called up, by a bell; who does not come within seconds (its
workers are away) keeps nobody else waiting. The clock calls up, too: a process may die before it could. An attempt that needs
two slots takes both or none, and waits at one limit at a time, so that the other does not stand idle for it. Where two limits
cross, younger ones could pass it for ever, at each while it waits at the other: for the one of a class that waits longest a
slot is kept at both.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from django.db.models import Q, QuerySet

from .. import conf, moments, registry, store
from ..models import Run, RunQuerySet, Slot, Timeline, first_id_at
from ..placements import Bell
from ..registry import Declaration
from ..state import CLAIMABLE, RunName
from ..statements import type_row
from ..store import Snapshot
from . import bells, elsewhere
from .values import digest_of, value_of

logger = logging.getLogger("django_timelines")
LONG = timedelta(minutes=1)  # after which a run that needs two slots has one kept
MANY = 100  # limits that one look of the clock sees to, and runs that are called up at once where there is no limit any more


@dataclass(frozen=True, slots=True)
class Wanted:
    """A limit that an attempt comes under: its digest, and how many slots it has."""

    digest: uuid.UUID
    number: int


def wanted(declaration: Declaration, snapshot: Snapshot, step: str) -> list[Wanted]:
    """Return the limits that an attempt at this step comes under now, in an order that all who take slots keep to."""
    found = {}
    for counted in declaration.limited.get(step, ()):
        value = value_of(declaration, counted.per, snapshot) if counted.per else ""
        if value is not None:
            found[digest_of(declaration, "limit", counted.scope, value)] = counted.number
    return [Wanted(digest, found[digest]) for digest in sorted(found)]


def is_limited(declaration: Declaration, snapshot: Snapshot, step: str) -> bool:
    """Tell whether an attempt at this step needs a slot; if nobody can tell, its attempt will say why."""
    try:
        return step in declaration.limited and bool(wanted(declaration, snapshot, step))
    except Exception:
        return True


def choose(snapshot: Snapshot, name: RunName, fence: int, limits: list[Wanted]) -> list[type_row] | None:
    """Return a free slot of each limit, for the attempt to take with its claim. None: it has to wait, and that is noted."""
    run = (
        Run.objects.using(snapshot.using).filter(timeline=snapshot.id, step=name[0], item=name[1], fence=fence).first()
    )
    if run is None:
        return None
    chosen: list[type_row] = []
    kept = _kept(snapshot.using, snapshot.workflow, run)
    for limit in limits:
        number = _free(snapshot.using, limit, run, kept)
        if number is None:
            _wait(run, snapshot.using, limit, limits)
            return None
        chosen.append(
            {"digest": limit.digest, "number": number, "timeline": snapshot.id, "step": name[0], "item": name[1]}
        )
    return chosen


def call_up(using: str, digests: Iterable[uuid.UUID], *, ring: bool = True) -> None:
    """Ring for as many of those that wait longest for these limits as there are free slots."""
    for digest in digests:
        try:
            _call_up(using, digest, ring=ring)
        except Exception:
            logger.warning("Could not call up who waits for a slot; the clock will.", exc_info=True)


def call_up_all(using: str, *, ring: bool = True) -> None:
    """Do it for the limits that somebody waits for; of very many for some, whichever: they come up again."""
    call_up(using, islice(_awaited(using), MANY), ring=ring)


def standing(timeline: Timeline, run: Run) -> tuple[int, int]:
    """Return how many slots of the limit that a run waits for are held, and how many it has; 0 if it has gone."""
    if run.awaits is None:
        return 0, 0
    number = next((limit.number for limit in _limits_of(timeline, run) if limit.digest == run.awaits), 0)
    return _held(timeline.using, run.awaits).count(), number


def _free(using: str, limit: Wanted, run: Run, kept: frozenset[uuid.UUID]) -> int | None:
    """Return the number of a slot that this run may take now. ``kept``: the limits of which one is another run's.

    Where fewer slots are allowed than before, whoever comes takes the first that is free, so that two cannot be one too many.
    """
    held = set(_held(using, limit.digest).values_list("number", flat=True))
    left = limit.number - len(held) - (limit.digest in kept)
    if left <= 0 or _waiting(using, limit.digest).exclude(_passed_over()).filter(id__lt=run.id)[:left].count() == left:
        return None
    free = [number for number in range(limit.number) if number not in held]
    return free[0] if max(held, default=0) >= limit.number else random.choice(free)  # noqa: S311


def _kept(using: str, workflow: str, run: Run) -> frozenset[uuid.UUID]:
    """Return the limits of which a slot is kept for the run of this class that waits longest, if that is older than this one.

    It comes first at the limit at which it waits; this is about the other one that it comes under.
    """
    declaration = registry.find(workflow)
    if declaration is None or not declaration.limits_cross:
        return frozenset()
    waiting = Run.objects.using(using).filter(awaits__isnull=False, status__in=CLAIMABLE)
    older = waiting.filter(
        timeline__workflow__in=declaration.names, id__lt=min(run.id, first_id_at(moments.now() - LONG))
    )
    oldest = older.exclude(_passed_over()).select_related("timeline").order_by("id").first()
    if oldest is None:
        return frozenset()
    return frozenset(limit.digest for limit in _limits_of(oldest.timeline, oldest)) - {oldest.awaits}


def _wait(run: Run, using: str, limit: Wanted, limits: list[Wanted]) -> None:
    """Note what it waits for, and only then look once more: a slot may have been freed meanwhile, or it is left to others."""
    later = moments.now() + conf.LAST_RING
    store.await_slot(using, run.timeline_id, run.fence, limit.digest, min(later, run.until or later))
    call_up(using, [one.digest for one in limits])


def _call_up(using: str, digest: uuid.UUID, *, ring: bool) -> None:
    waiting = _waiting(using, digest).order_by("id")
    first = waiting.select_related("timeline").first()
    if first is None:
        return
    declaration = registry.find(first.timeline.workflow)
    if elsewhere.is_left(declaration, first.step, first.timeline.state, first):
        return
    number = next((limit.number for limit in _limits_of(first.timeline, first) if limit.digest == digest), None)
    left = MANY if number is None else number - _held(using, digest).count()
    left -= digest in _kept(using, first.timeline.workflow, first)
    if left > 0:  # those who were called up are among the oldest
        oldest, now = waiting.values_list("rings", "ring")[: MANY + (number or 0)], moments.now()
        left -= sum(rings == 1 and ring is not None and ring > now for rings, ring in oldest)
    for run in waiting.with_timelines().filter(rings=0)[: max(0, left)]:
        placement, at = bells.retry_placement_of(run.timeline.workflow, run.step), moments.now()
        if ring and not bells.can_ring(placement):
            continue  # it is left to who can
        again = bells.next_ring(0, at)
        if not store.rang(using, [store.Ring(run, 1, placement, min(again, run.until or again))]):
            continue  # somebody else was first, or the run went on
        bell = Bell(run.timeline_id.hex, run.step, run.item, run.fence, using, placement)
        if ring and not bells.ring(bell):
            store.put_back(using, [store.Ring(run, -1, placement, at)])  # for a clock that can


def _awaited(using: str) -> Iterator[uuid.UUID]:
    """Yield the limits that somebody waits for, from anywhere on. Each is looked up, however many wait for it."""
    begin, awaited = uuid.uuid4(), Run.objects.using(using).order_by("awaits").values_list("awaits", flat=True)
    for part in (awaited.filter(awaits__gt=begin), awaited.filter(awaits__lte=begin)):
        digest = part.first()
        while digest is not None:
            yield digest
            digest = part.filter(awaits__gt=digest).first()


def _limits_of(timeline: Timeline, run: Run) -> list[Wanted]:
    declaration = registry.find(timeline.workflow)
    if declaration is None:
        return []
    try:
        return wanted(declaration, store.snapshot_of(timeline), declaration.current(run.step))
    except Exception:
        return []  # its attempt will say why


def _held(using: str, digest: uuid.UUID) -> QuerySet[Slot]:
    return Slot.objects.using(using).filter(digest=digest)


def _waiting(using: str, digest: uuid.UUID) -> RunQuerySet:
    return Run.objects.using(using).filter(awaits=digest, status__in=CLAIMABLE)


def _called_up() -> Q:
    return Q(rings=1, ring__gt=moments.now())


def _passed_over() -> Q:
    return Q(rings__gt=0) & ~_called_up()
