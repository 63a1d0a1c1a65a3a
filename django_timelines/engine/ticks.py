"""Schedules: at a tick the clock begins a timeline, which others execute.

Any number of clocks may look. Each of them moves the schedule's row on by a conditional update, in the transaction that begins
the timeline; and the timeline's key names the tick, so that there is never a second one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Set
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from .. import moments, registry, store
from ..actors import Actor
from ..databases import is_transient
from ..exceptions import Conflict, Refused
from ..models import Schedule, Timeline
from ..registry import Declaration
from ..schedules import Missed, Overlap
from ..schedules import Schedule as Declared
from ..state import ENDED
from . import call
from .asked import Options
from .elsewhere import ROLLOUT
from .errors import MESSAGE_LIMIT, described
from .known import Known, type_times
from .patience import conflict_if_transient

logger = logging.getLogger("django_timelines")
ON_TIME = timedelta(minutes=1)  # a tick that the clock comes to later than that was missed
AGAIN = timedelta(minutes=1)  # after which a tick is tried again that could not begin its timeline
MOST = 100  # ticks of a schedule that one look takes, and that wait in its queue


class ScheduleStatus(StrEnum):
    """A closed list."""

    ON = "on"
    """It has a next tick."""
    PAUSED = "paused"
    """A person said that it begins nothing for now."""
    FAILING = "failing"
    """A tick could not begin its timeline; it is tried again each minute."""
    GONE = "not in the code"
    """The class has it no longer, so it begins nothing."""


class TickOutcome(StrEnum):
    """What came of a tick. A closed list."""

    STARTED = "started"
    SKIPPED = "skipped"
    """It was missed, and the schedule says ``missed="skip"``."""
    REFUSED = "refused"
    """The timeline of the tick before was open."""
    QUEUED = "queued"
    """It waits for the end of the one before."""


def keep_schedules(using: str, actor: Actor, at: datetime, paused: Set[str], known: Known) -> None:
    """Begin what is to begin by now. A workflow that is paused keeps its ticks: they count as missed once it is resumed."""
    declarations = [one for one in registry.everything().values() if one.schedules]
    if not declarations:
        return
    rows = {(row.workflow, row.name): row for row in Schedule.objects.using(using)}
    for declaration in declarations:
        if paused & {*declaration.names}:
            continue
        for declared in declaration.schedules.values():
            row = next((rows[name, declared.name] for name in declaration.names if (name, declared.name) in rows), None)
            with _looking_at(declaration.label, using):
                _keep(using, declaration, declared, row, actor, at, known)


def skip_removed(using: str, at: datetime) -> None:
    """Skip what came of schedules that the code no longer has, so that one that is put back begins nothing of long ago.

    Code of another release may have them: ticks of the last hour, and what fails or finds its queue full, are left to that.
    """
    late = Schedule.objects.using(using).filter(ring__lte=at - ROLLOUT, paused_at=None)
    removed = [row for row in late if find_declared(row) is None and len(row.queue) < MOST]
    paused = store.paused(using) if removed else set()
    for row in removed:
        if paused.isdisjoint((row.workflow, store.EVERYTHING)):
            with _looking_at(row.workflow, using):
                next_tick = Declared(row.cron, row.tz).after(at)
                _move(row, next_tick=next_tick, ring=next_tick, queue=[])


def find_declared(row: Schedule) -> tuple[Declaration, Declared] | None:
    """Return what the code says of a schedule, or None if it has it no longer."""
    declaration = registry.find(row.workflow)
    declared = declaration.schedules.get(row.name) if declaration else None
    return (declaration, declared) if declaration and declared else None


def status_of(row: Schedule) -> ScheduleStatus:
    """Say in a word where a schedule stands."""
    if find_declared(row) is None:
        return ScheduleStatus.GONE
    if row.paused_at is not None:
        return ScheduleStatus.PAUSED
    return ScheduleStatus.FAILING if row.error else ScheduleStatus.ON


def pause(row: Schedule, actor: Actor) -> bool:
    """Begin nothing at its ticks until ``resume``; return whether it was not paused yet."""
    rows = Schedule.objects.using(row._state.db).filter(pk=row.pk, paused_at=None)
    now = {"paused_at": moments.now(), "paused_by": str(actor)[:200]}
    return bool(rows.update(version=F("version") + 1, **now))


def resume(row: Schedule) -> bool:
    """Go on with the first tick from now on: what came while it was paused is skipped. Return whether it was paused."""
    found = find_declared(row)
    if found is None:
        raise Refused(
            _("The code has no such schedule any more: %(schedule)s.") % {"schedule": row}, "unknown_schedule"
        )
    next_tick = found[1].after(moments.now())
    rows = Schedule.objects.using(row._state.db).filter(pk=row.pk, paused_at__isnull=False)
    now = {"paused_at": None, "paused_by": "", "next_tick": next_tick, "ring": next_tick, "error": ""}
    return bool(rows.update(version=F("version") + 1, **now))


@contextmanager
def _looking_at(workflow: str, using: str) -> Iterator[None]:
    """Let what is wrong with one schedule keep the clock from nothing else."""
    try:
        with conflict_if_transient(using):
            yield
    except Conflict:
        pass  # another clock was there, or the next look will tell
    except Exception:
        logger.exception("The clock could not look at a schedule of %s.", workflow)


def _keep(
    using: str,
    declaration: Declaration,
    declared: Declared,
    row: Schedule | None,
    actor: Actor,
    at: datetime,
    known: Known,
) -> None:
    key = (declaration.label, declared.name, declared.cron, declared.tz)
    if row is None or not _has_times(row, declared):
        since = row and key in known.kept and _since_others_kept(row, declared, key, known)
        _plan(using, declaration, declared, row, since or at)
        if row is None:
            return
        row.refresh_from_db(using)
    for _number in range(MOST):
        if row.paused_at is not None or not _has_times(row, declared) or (row.error and row.ring > at):
            break
        if not (row.queue or row.next_tick <= at) or not _look(declaration, declared, row, actor, at):
            break
        row.refresh_from_db(using)
    if (row.next_tick > at and _has_times(row, declared)) or (row.paused_at is not None and key in known.kept):
        known.kept[key] = at


def _has_times(row: Schedule, declared: Declared) -> bool:
    return (row.cron, row.tz) == (declared.cron, declared.tz)


def _since_others_kept(row: Schedule, declared: Declared, key: type_times, known: Known) -> datetime:
    """Return how far a schedule was kept by these times when a clock of another release, which runs still, gave it others.

    It goes on from there: planned from now on, each of the two would pass over what is due by the times of the other.
    """
    if key not in known.told:
        said = "Two releases keep %s: it has %s (%s) here, and %s (%s) elsewhere. End the old clocks."
        logger.warning(said, row, declared.cron, declared.tz, row.cron, row.tz)
        known.told.add(key)
    kept = known.kept[key]
    return max(kept, row.last_tick or kept)  # the times of both may have that tick


def _plan(using: str, declaration: Declaration, declared: Declared, row: Schedule | None, since: datetime) -> None:
    """Take a schedule in that is new, or whose times are: it begins with the first tick from then on."""
    next_tick = declared.after(since)
    says = {"cron": declared.cron, "tz": declared.tz, "next_tick": next_tick, "ring": next_tick}
    if row is not None:
        _move(row, **says)
        return
    Schedule.objects.using(using).get_or_create(workflow=declaration.label, name=declared.name, defaults=says)


def _look(declaration: Declaration, declared: Declared, row: Schedule, actor: Actor, at: datetime) -> bool:
    """Do the next thing that is to be done about a schedule; return whether there may be more."""
    is_open = _is_open(row) and declared.overlap != Overlap.ALLOW
    if row.queue and not is_open:
        first, *rest = row.queue
        return _begin(declaration, declared, row, moments.from_text(first), actor, {"queue": rest})
    if row.next_tick > at:
        return False
    tick = row.next_tick if declared.missed == Missed.ALL else declared.newest(row.next_tick, at)
    next_tick = declared.after(tick)
    moves: dict[str, Any] = {"last_tick": tick, "next_tick": next_tick, "ring": next_tick}
    if declared.missed == Missed.SKIP and at - tick > ON_TIME and not _was_tried(row, tick):
        return _move(row, **moves, outcome=TickOutcome.SKIPPED)
    if not is_open:
        return _begin(declaration, declared, row, tick, actor, moves)
    if declared.overlap == Overlap.QUEUE:
        if len(row.queue) >= MOST:
            return False  # it is to come still, and once there is room it was missed
        return _move(row, **moves, queue=[*row.queue, moments.to_text(tick)], outcome=TickOutcome.QUEUED)
    logger.warning("%s begins nothing at %s: the timeline of the tick before is open.", row, tick)
    return _move(row, **moves, outcome=TickOutcome.REFUSED)


def _was_tried(row: Schedule, tick: datetime) -> bool:
    """Tell whether the last try, which could not begin a timeline, was at this tick: a clock has come to it then."""
    return bool(row.error) and row.ring - AGAIN >= tick


def _is_open(row: Schedule) -> bool:
    if row.timeline is None:
        return False
    newest = Timeline.objects.using(row._state.db).filter(pk=row.timeline)
    return newest.exclude(status__in=ENDED).exists()


def _begin(
    declaration: Declaration, declared: Declared, row: Schedule, tick: datetime, actor: Actor, moves: dict[str, Any]
) -> bool:
    """Begin the timeline of a tick and move the row on, in one transaction; return False if another clock was first."""
    using = str(row._state.db)
    key = " ".join(part for part in ("schedule", row.name, moments.to_text(tick)) if part)
    try:
        given = declared.input_at(tick)
        with transaction.atomic(using=using):
            if not _move(row, **moves, outcome=TickOutcome.STARTED):
                return False
            said = {"name": row.name, "tick": moments.to_text(tick)}
            begun = call.started_with(declaration, key, using) or call.start(
                declaration, Options(key, actor, schedule=said), (), given
            )
            Schedule.objects.using(using).filter(pk=row.pk).update(timeline=begun.id)
    except (Exception, SystemExit) as error:
        if isinstance(error, Conflict) or is_transient(error):
            raise
        _note(declaration, row, error)
        return False
    return True


def _note(declaration: Declaration, row: Schedule, error: BaseException) -> None:
    """Say why a tick could not begin its timeline. It is tried again in a minute; nothing of it is lost."""
    entry = declaration.graph.entry.name
    told = described(error)
    message = "" if declaration.secrets(entry) else f": {told['message']}"
    said = f"{told['type'].rpartition('.')[2]}{message}"[:MESSAGE_LIMIT]
    if said != row.error:
        logger.error("%s could not begin a timeline: %s", row, said)
    _move(row, error=said, ring=moments.now() + AGAIN)


def _move(row: Schedule, **changes: Any) -> bool:
    """Write the row if nobody has written it since it was read. An error that is not among the changes is over."""
    rows = Schedule.objects.using(row._state.db).filter(pk=row.pk, version=row.version, paused_at=None)
    return bool(rows.update(version=row.version + 1, **{"error": "", **changes}))
