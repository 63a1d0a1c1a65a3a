"""One timeline at a time for a value: ``unique=``. A row holds the value from the commit that sets it to the one that ends it.

A row that nobody is entitled to (the timeline has ended under code that had no ``unique=``, or has another value by what the
class says now) is found when it is in the way, and then it goes.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import Error, InterfaceError, OperationalError, connections
from django.utils.translation import gettext as _

from .. import moments, registry, store
from ..exceptions import NotUnique, Rejected, ValueTaken, ValueUnknown
from ..models import Timeline, TimelineQuerySet, UniqueValue
from ..registry import Declaration
from ..state import ENDED, TimelineStatus
from ..store import Change, Snapshot
from .elsewhere import LONG
from .errors import described
from .values import digest_of, value_of

logger = logging.getLogger("django_timelines")
BATCH = 500  # open timelines of which one look of a clock asks for the value
SPAN = 5_000  # and that it goes past, if nothing has changed
NOT_ENDED = [status for status in TimelineStatus if status not in ENDED]
UNKNOWN = uuid.UUID(int=0)  # stands for a value that the class's function could not say; no digest is like it


def note_value(declaration: Declaration, change: Change) -> None:
    """Let the change take and free what its events say of the class's unique value; ``ValueUnknown`` if that cannot be said."""
    before, after = change.before, change.after
    if "ended" in before.state or "reopened" in after.state:  # what is undone after its end is no second one
        return
    if "ended" in after.state:
        change.frees_value = bool(before.head)  # whatever it was: older code may have had another
        return
    if before.head and before.state["fields"] == after.state["fields"]:
        return
    was, now = _digest_or(UNKNOWN, declaration, before) if before.head else None, _digest_to_take(declaration, after)
    if was != now:
        change.frees_value, change.taken_value = bool(before.head), now


def see_who_has(taken: ValueTaken, using: str) -> None:
    """Raise ``NotUnique`` if a timeline is in the way. If only a row was left there, it goes: write again."""
    declaration, connection = registry.get(taken.workflow), connections[using]
    old_reads = connection.vendor == "mysql" and connection.in_atomic_block  # REPEATABLE READ would not show it
    holder = store.holder_of(using, taken.digest, lock=old_reads)
    if holder is None:
        return
    other = store.find(using, {"id": holder}, lock=old_reads, shared=True)
    # while nobody can say what the other one has, it has what it took
    if other and other.status not in ENDED and _digest_or(taken.digest, declaration, other) == taken.digest:
        raise NotUnique(_sentence(declaration), other.id) from None
    UniqueValue.objects.using(using).filter(digest=taken.digest, timeline=holder).delete()
    logger.warning("Timeline %s no longer has the unique value that it held: it is free.", holder)


def rejection_of(run: Mapping[str, Any]) -> Rejected:
    """Return what a rejected run says to whoever called."""
    if "other" in run:
        return NotUnique(run["errors"], uuid.UUID(run["other"]))
    return Rejected(run["errors"])


def take_all(using: str) -> None:
    """Let open timelines hold the value that they have by what their class says now: of several the first."""
    holders = Holders()
    while holders.take_some(using):
        pass


class Holders:
    """The open timelines, which are to hold the value that they have by what their class says now, as a clock looks at them.

    What one of them held before it keeps: processes of the old code go by that, and it is in nobody's way. At first all are
    looked at; then those that changed since this began, and those that were told that another one holds the value.
    """

    def __init__(self) -> None:
        self._began = moments.now() - LONG  # a change is of when it was made, and may be committed later
        self._is_first = True
        self._after: dict[str, uuid.UUID] = {}  # by class, how far the look has come
        self._told = set[uuid.UUID]()

    def take_some(self, using: str) -> bool:
        """Let so many hold theirs; return whether some were left to look at. If none was, the next look begins anew."""
        for declaration in registry.everything().values():
            if declaration.unique is not None and self._take_next(declaration, using):
                return True
        self._after.clear()
        self._is_first = False
        return False

    def _take_next(self, declaration: Declaration, using: str) -> bool:
        rows, after = Timeline.objects.using(using).order_by("id"), self._after.get(declaration.label, UNKNOWN)
        left = rows.filter(workflow__in=declaration.names, id__gt=after)
        seen = _open(left, BATCH if self._is_first else SPAN)
        if not seen:
            return False
        changed = left.filter(id__lte=seen[-1], changed_at__gte=self._began)
        found = seen if self._is_first else _open(changed, BATCH)
        held: dict[uuid.UUID, set[uuid.UUID]] = {id: set() for id in (*found, *self._told.intersection(seen))}
        for id, digest in UniqueValue.objects.using(using).filter(timeline__in=held).values_list("timeline", "digest"):
            held[id].add(digest)
        for timeline in rows.filter(id__in=held):
            self._take(declaration, timeline, held[timeline.id], using)
        self._after[declaration.label] = found[-1] if len(found) == BATCH else seen[-1]
        return True

    def _take(self, declaration: Declaration, timeline: Timeline, held: set[uuid.UUID], using: str) -> None:
        snapshot = store.snapshot_of(timeline, using)
        if "reopened" in snapshot.state or "ended" in snapshot.state:
            return
        digest = _digest_of_open(declaration, snapshot)
        if digest == UNKNOWN:
            if not held:
                self._tell("The function in unique= raised on %s, which holds no value until it is amended.", timeline)
        elif digest and digest not in held and not _takes(timeline, digest, using):
            self._tell("%s has not ended, and another one holds the value that is to be unique.", timeline)

    def _tell(self, words: str, timeline: Timeline) -> None:
        if timeline.id not in self._told:
            logger.warning(words, timeline)
        self._told.add(timeline.id)


def _open(rows: TimelineQuerySet, most: int) -> list[uuid.UUID]:
    """Return the keys of the first that have not ended. For each status an index has them in order, without those that have."""
    alike = [rows.filter(status=status).values_list("id", flat=True)[:most] for status in NOT_ENDED]
    return sorted(id for ids in alike for id in ids)[:most]


def _takes(timeline: Timeline, digest: uuid.UUID, using: str) -> bool:
    """Let a timeline hold its value, unless another one has it; return whether it does."""
    while not store.take_value(using, digest, timeline.id):
        try:
            see_who_has(ValueTaken(timeline.workflow, digest), using)
        except NotUnique as taken:
            return taken.timeline == timeline.id
    return True


def _digest(declaration: Declaration, snapshot: Snapshot) -> uuid.UUID | None:
    if declaration.unique is None:
        return None
    value = value_of(declaration, declaration.unique, snapshot)
    return None if value is None else digest_of(declaration, "unique", value)


def _digest_to_take(declaration: Declaration, snapshot: Snapshot) -> uuid.UUID | None:
    try:
        return _digest(declaration, snapshot)
    except (InterfaceError, OperationalError):  # the database is away, whatever is to be taken
        raise
    except Exception as error:
        told = described(error)
        said = f"The function in unique= of {declaration.label} raised {told['type']}: {told['message']}"
        raise ValueUnknown(said) from error


def _digest_or(otherwise: uuid.UUID, declaration: Declaration, snapshot: Snapshot) -> uuid.UUID | None:
    """Return the digest, or this one where the class's function goes wrong: what it reads of an old state may be gone."""
    try:
        return _digest(declaration, snapshot)
    except Error:  # of the database, which is not about the state
        raise
    except Exception:
        return otherwise


def _digest_of_open(declaration: Declaration, snapshot: Snapshot) -> uuid.UUID | None:
    """Return the digest, or ``UNKNOWN``. What the database says to one timeline's state keeps nobody from the others."""
    try:
        return _digest_or(UNKNOWN, declaration, snapshot)
    except (InterfaceError, OperationalError):  # it says so to all
        raise
    except Error:
        return UNKNOWN


def _sentence(declaration: Declaration) -> str:
    by = declaration.unique
    words: dict[str, Any] = {"workflow": declaration.title}
    if by is None or by.function is not None:
        return _("There is such a “%(workflow)s” under way already.") % words
    words["fields"] = ", ".join(name.replace("_", " ") for name in by.fields)
    return _("There is a “%(workflow)s” of the same %(fields)s under way already.") % words
