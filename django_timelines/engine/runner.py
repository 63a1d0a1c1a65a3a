"""Who executes, and what it holds: the values that claim, execute and record hand to one another."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from django.db import connections, transaction

from .. import conf, store
from ..actors import Actor, Cause, current_through, current_trace
from ..databases import sees_the_past
from ..events import ENDINGS, EventType, NewEvent
from ..exceptions import Conflict, ValueTaken
from ..items import with_all, with_names
from ..placements import INLINE, stopping
from ..registry import Declaration
from ..signals import appended, step_blocked, timeline_ended
from ..state import RunName, fold, run_key, type_state
from ..steps import Delivery, Step
from ..store import Change, Snapshot
from . import bells, slots
from .advanced import Advance, By
from .patience import Patience, conflict_if_transient
from .unique import see_who_has


@dataclass
class Runner:
    """Who executes, where, and whether inside a transaction that the caller opened."""

    actor: Actor
    placement: str
    using: str
    in_transaction: bool = False
    cause: Cause | None = None  # the step whose body asked for it
    raises: bool = False  # an unexpected error, once it is recorded: its caller sees the traceback
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    since: float = field(default_factory=time.monotonic)

    def by(self, cause: int | None = None, *, leased: bool = True) -> By:
        """Return whose events these are."""
        holder = f"{str(self.actor)[:160]} {self.holder}" if leased else ""
        theirs = self.cause if cause is None else None
        sequence, timeline = (theirs.sequence, theirs.timeline) if theirs else (cause, None)
        return By(self.actor, self.placement, current_trace(), sequence, timeline, current_through(), holder)

    def takes(self, placement: str, step: Step[...]) -> bool:
        """Tell whether it goes on with a next step: placed here, or inline, for as long as that is quick."""
        if self.in_transaction and step.delivery is not Delivery.EXACTLY_ONCE:
            return False
        if stopping.is_set() and self.placement != INLINE:
            return False
        if placement == INLINE:
            return True
        return placement == self.placement and time.monotonic() - self.since < conf.QUICK


@dataclass
class Held:
    """An attempt that a runner holds. ``pending``: events that its outcome will be appended after, not written yet."""

    declaration: Declaration
    snapshot: Snapshot
    name: RunName
    attempt: int = 1
    input: dict[str, Any] | None = field(default=None, repr=False)  # of its call, as it is stored; None: read it there
    pending: list[NewEvent] = field(default_factory=list)
    sealed: dict[str, Any] = field(default_factory=dict, repr=False)
    then: dict[str, Any] = field(default_factory=dict, repr=False)  # an undo: the fields as its step left them
    base: dict[str, Any] = field(default_factory=dict, repr=False)  # what the fields were that its batches changed
    given: dict[str, Any] | None = field(default=None, repr=False)  # what the next run of its body gets, and may change
    broken: Exception | None = None  # what a function raised that was asked before the attempt
    progressed: bool = False  # a batch of this attempt is committed

    @property
    def step(self) -> Step[...]:
        """The step that it is an attempt at."""
        return self.declaration.step(self.name[0])

    @property
    def seen(self) -> Snapshot:
        """The timeline as the body sees it."""
        if not self.pending and not self.then:
            return self.snapshot
        return replace(self.snapshot, state={**self._state, "fields": {**self._state["fields"], **self.then}})

    @property
    def fence(self) -> int:
        """The sequence that proves that the attempt is ours."""
        return int(self._state["runs"][run_key(*self.name)]["fence"])

    @cached_property
    def _state(self) -> type_state:
        return fold(self.snapshot.state, self.pending, self.snapshot.head + 1) if self.pending else self.snapshot.state


def load(
    id: uuid.UUID, using: str, *, lock: bool = False, names: Iterable[RunName] = (), whole: bool = False
) -> Snapshot:
    """Read a timeline, with these of its items or with all; a read that the database wants begun again is."""
    patience, names = Patience(), list(names)
    while True:
        try:
            with conflict_if_transient(using):
                snapshot = store.load(id, using, lock=lock)
                return with_all(snapshot) if whole else with_names(snapshot, names) if names else snapshot
        except Conflict as conflict:
            patience.after(conflict)
            lock = lock or sees_the_past(connections[using])  # else it would see the same again


def knowing(snapshot: Snapshot, name: RunName) -> Snapshot:
    """Return the timeline with this run, as it was; or as it is, if it went on meanwhile."""
    try:
        return with_names(snapshot, [name])
    except Conflict:
        inside = connections[snapshot.using].in_atomic_block
        return load(snapshot.id, snapshot.using, lock=inside, names=[name])


def commit(result: Advance, *, alone: bool = False) -> None:
    """Write the change; bells and hints leave with the commit, of the outermost transaction if there is one.

    ``NotUnique``: it was to take a value for which there is another timeline; nothing was written.
    ``alone``: that one is ours.
    """
    change, after = result.change, result.after
    while True:
        try:
            with conflict_if_transient(after.using):
                store.commit(change, alone=alone)
            break
        except ValueTaken as taken:
            see_who_has(taken, after.using)
    bells.ring_after_commit(result.bells, after.using)
    if change.freed:
        freed = {uuid.UUID(digest) for digest, _number in change.freed}
        transaction.on_commit(partial(slots.call_up, after.using, freed), using=after.using)
    hint: Callable[[], Any] = partial(
        appended.send_robust,
        None,
        timeline=after.id,
        sequence=after.head,
        using=after.using,
        more=result.taken is not None,
    )
    transaction.on_commit(hint, using=after.using)
    _tell(change)


def _tell(change: Change) -> None:
    """Send the signals that these events are worth, after the commit, to those who listen."""
    after = change.after
    told = {"timeline": after.id, "workflow": after.workflow, "using": after.using}
    for event in change.events:
        if event["type"] == EventType.STEP_BLOCKED and step_blocked.has_listeners():
            blocked = {"step": event["step"], "item": event["item"], "reason": event["data"].get("reason", "")}
            transaction.on_commit(partial(step_blocked.send_robust, None, **told, **blocked), using=after.using)
        elif event["type"] in ENDINGS and timeline_ended.has_listeners():
            ended = partial(timeline_ended.send_robust, None, **told, status=after.status)
            transaction.on_commit(ended, using=after.using)
