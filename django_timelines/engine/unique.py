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
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from .. import registry, store
from ..exceptions import NotUnique, Rejected, ValueTaken, ValueUnknown
from ..models import Timeline, UniqueValue
from ..registry import Declaration
from ..state import ENDED
from ..store import Change, Snapshot
from .errors import described
from .values import digest_of, value_of

logger = logging.getLogger("django_timelines")
BATCH = 500
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
    rows = UniqueValue.objects.using(using).filter(digest=taken.digest)
    for row in rows.select_for_update() if old_reads else rows:
        other = store.find(using, {"id": row.timeline_id}, lock=old_reads)
        # while nobody can say what the other one has, it has what it took
        if other and other.status not in ENDED and _digest_or(taken.digest, declaration, other) == taken.digest:
            raise NotUnique(_sentence(declaration), other.id) from None
        UniqueValue.objects.using(using).filter(digest=row.digest, timeline=row.timeline_id).delete()
        logger.warning("Timeline %s no longer has the unique value that it held: it is free.", row.timeline_id)


def rejection_of(run: Mapping[str, Any]) -> Rejected:
    """Return what a rejected run says to whoever called."""
    if "other" in run:
        return NotUnique(run["errors"], uuid.UUID(run["other"]))
    return Rejected(run["errors"])


def take_all(using: str) -> None:
    """Let open timelines that are older than their class's ``unique=`` hold their value: of several the first."""
    holders = Holders()
    while holders.take_some(using):
        pass


class Holders:
    """The open timelines that are to hold their value, and what is known of them from look to look."""

    def __init__(self) -> None:
        self._after: dict[str, uuid.UUID] = {}  # by class, the last that was looked at
        self._told = set[uuid.UUID]()  # of these it was said that they hold none

    def take_some(self, using: str) -> bool:
        """Let so many hold theirs; return whether some were left to look at. If none was, the next look begins anew."""
        for label, declaration in registry.everything().items():
            if declaration.unique is None:
                continue
            theirs = UniqueValue.objects.using(using).filter(timeline=OuterRef("pk"))
            left = Timeline.objects.using(using).filter(workflow__in=declaration.names).exclude(status__in=ENDED)
            left = left.filter(id__gt=self._after[label]) if label in self._after else left
            found = list(left.exclude(Exists(theirs)).order_by("id")[:BATCH])
            for timeline in found:
                self._take(declaration, timeline, using)
            if found:
                self._after[label] = found[-1].id
                return True
        self._after.clear()
        return False

    def _take(self, declaration: Declaration, timeline: Timeline, using: str) -> None:
        snapshot = store.snapshot_of(timeline, using)
        digest = None if "reopened" in snapshot.state else _digest_of_open(declaration, snapshot)
        if digest == UNKNOWN:
            self._tell("The function in unique= raised on %s, which holds no value until it is amended.", timeline)
        elif digest and not store.take_value(using, digest, timeline.id):
            self._tell("%s has not ended, and another one holds the value that is to be unique.", timeline)

    def _tell(self, words: str, timeline: Timeline) -> None:
        if timeline.id not in self._told:
            logger.warning(words, timeline)
        self._told.add(timeline.id)


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
