"""What following and rebuilding share: the projection's row, which one of several holds, and its handlers, which are called."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.models import F
from django.db.transaction import TransactionManagementError

from .. import following as known
from .. import moments
from ..actors import Actor, ActorType, acting
from ..answers import answered
from ..databases import is_transient, noting_rollback
from ..events import EventType
from ..exceptions import Conflict
from ..following import Following
from ..models import Projection
from ..signals import projection_stopped
from . import leaks
from .bells import next_ring
from .errors import can_be_shown, described, told
from .patience import Patience, conflict_if_transient
from .places import StoredEvent

logger = logging.getLogger("django_timelines")
ABORTED = 3  # of libpq: PQTRANS_INERROR


class HandlerFailed(Exception):
    """A method of a projection raised. ``number``: how many events of the batch were handed over before; ``event``: None if it
    was given none.
    """

    def __init__(self, number: int, event: StoredEvent[Any] | None, method: str) -> None:
        super().__init__(f"{method} failed" + (f" at event {event.sequence} of {event.timeline}." if event else "."))
        self.number, self.event, self.method = number, event, method
        self.row: Projection | None = None  # as it was when the turn was taken in which that happened


def begin_new(using: str, since: datetime | None = None) -> None:
    """Give each projection of the code that has none yet a row: it reacts to what happens from now on, or since then."""
    now, rows, labels = moments.now(), Projection.objects.using(using), known.labels()
    patience = Patience()
    while labels and (new := set(labels).difference(rows.values_list("label", flat=True))):
        fresh = [Projection(label=label, since=since or now, walk=now) for label in sorted(new)]
        try:
            with conflict_if_transient(using):
                rows.bulk_create(fresh, ignore_conflicts=True)
            return
        except Conflict as conflict:  # several at once, of which MariaDB lets one begin again
            patience.after(conflict)


@contextmanager
def turn(
    following: Following, using: str, events: Sequence[StoredEvent[Any]] = (), *, waits: bool = False
) -> Iterator[Projection | None]:
    """Hold the projection's row, as ``take`` does, for one transaction, in which these events are followed."""
    row = None
    try:
        with blamed_at_commit(events), transaction.atomic(using=using):
            row = take(following, using, waits=waits)
            yield row
    except HandlerFailed as failure:
        failure.row = row
        raise


def take(following: Following, using: str, *, waits: bool = False) -> Projection | None:
    """Lock the projection's row for the transaction; None if somebody else has it and we do not wait."""
    rows, features = Projection.objects.using(using).filter(label=following.label), connections[using].features
    if not features.has_select_for_update:
        rows.update(tries=F("tries"))  # SQLite has one writer: be it, before anything is read
        return rows.first()
    skips = features.has_select_for_update_skip_locked and not waits
    return rows.select_for_update(skip_locked=skips).first()


def hand_over(
    following: Following,
    using: str,
    events: Sequence[StoredEvent[Any]],
    erased: Collection[uuid.UUID],
    since: datetime | None = None,
) -> None:
    """Call the handlers. Reactions are to what happened ``since``; None: to nothing.

    Of an erased timeline only the erasure is handed over: what its events said is gone.
    """
    with blamed("__init__"):
        projection = following.projection(using)
    handlers = {
        type: [(getattr(projection, one.method), one) for one in several] for type, several in following.by_type.items()
    }
    actor = Actor(ActorType.SYSTEM, following.label, f"projection {following.label}")
    with acting(actor), _seeing_whether_it_stands(using) as check:
        for number, event in enumerate(events):
            if event.timeline in erased and event.type != EventType.ERASED:
                continue
            reacts = since is not None and event.at >= since
            for method, handler in handlers.get(event.type, ()):
                if handler.is_reaction and not reacts:
                    continue
                if handler.takes(event.workflow, event.step):
                    with blamed(handler.method, number, event):
                        given = event if handler.says is None else event.read_as(handler.says)
                        answered(f"{following.label}.{handler.method}", method(given))
                        check()
        with blamed("flush", len(events)):
            projection.flush()
            check()


@contextmanager
def _seeing_whether_it_stands(using: str) -> Iterator[Callable[[], None]]:
    """Yield what sees that the transaction can still be written in, whatever a method has made of an error of the database's."""
    connection, lost, before = connections[using], list[DatabaseError](), leaks.marks()

    def check() -> None:
        if lost:
            raise lost[0]  # of what was written before nothing is left: all is begun again
        if leaked := leaks.put_back(before):
            raise TransactionManagementError(
                f"It left a transaction open in {' and '.join(map(repr, leaked))}. End what it begins: with atomic()."
            )
        raw: Any = connection.connection
        is_aborted = connection.vendor == "postgresql" and raw is not None and raw.info.transaction_status == ABORTED
        if is_aborted or connection.needs_rollback:
            raise TransactionManagementError(
                "It caught an error of the database's, after which nothing more can be written in this transaction. Put "
                "what may fail into a transaction.atomic() block of its own, and catch the error around that."
            )

    try:
        with noting_rollback(connection, lost.append):
            yield check
    finally:  # also where a method raises before it ends what it began
        leaks.put_back(before)


@contextmanager
def blamed(method: str, number: int = 0, event: StoredEvent[Any] | None = None) -> Iterator[None]:
    """Raise ``HandlerFailed`` for what this method raises, unless all is begun again, or ends."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Conflict | KeyboardInterrupt) or is_transient(error):
            raise
        raise HandlerFailed(number, event, method) from error


@contextmanager
def blamed_at_commit(events: Sequence[StoredEvent[Any]]) -> Iterator[None]:
    """Raise ``HandlerFailed`` for what the database finds wrong with the rows only at the commit: a foreign key to no row, say.

    Of several events, any may be to blame: it is of the second half of them, until the first half has been followed alone.
    """
    try:
        yield
    except IntegrityError as error:
        half = len(events) // 2
        raise HandlerFailed(half, events[half] if events else None, "the commit") from error


def note(following: Following, using: str, failure: HandlerFailed) -> None:
    """Write down where the projection has stopped, and why. It is tried again ever more rarely: the code may be mended.

    Unless somebody else has had a turn since: how that ended is what holds.
    """
    error, event = failure.__cause__, failure.event
    said = described(error if isinstance(error, Exception) else RuntimeError(told(lambda: repr(error), "")))
    row = failure.row
    assert row is not None
    tries, rows = row.tries, Projection.objects.using(using).filter(label=row.label, tries=row.tries)
    is_noted = rows.filter(followed_at=row.followed_at, rebuilt_at=row.rebuilt_at).update(
        error=f"{failure} {said['type']}: {said['message']}\n\n{said['traceback']}",
        stopped_timeline=event.timeline if event else None,
        stopped_sequence=event.sequence if event else None,
        tries=tries + 1,
        retry=next_ring(tries, moments.now()),
    )
    if not is_noted:
        return
    shown = error if error is not None and can_be_shown(error) else None
    logger.error("The projection %s has stopped: %s", following.label, failure, exc_info=shown)
    if not tries:
        projection_stopped.send_robust(None, projection=following.label, error=said["message"], using=using)
