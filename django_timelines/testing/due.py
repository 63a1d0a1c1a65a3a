"""Running what is due, in the test's own thread, as the workers and the clock of a site would."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from django.db import Error, connections, router
from django.db.models import F, Q, QuerySet

from .. import conf, moments, store
from ..actors import ActorType, acting, this_process
from ..engine import clock, execute
from ..engine.advanced import By
from ..engine.answer import run_from
from ..engine.batches import Batches
from ..engine.body import Failed, asks_first
from ..engine.claim import claim
from ..engine.follow import follow_all
from ..engine.projecting import begin_new
from ..engine.rescue import rescue
from ..engine.runner import Runner
from ..engine.slots import call_up_all
from ..exceptions import TimelinesError
from ..items import with_names
from ..models import Run, Timeline
from ..placements import INLINE
from ..registry import Declaration
from ..state import CLAIMABLE, RunName, StepStatus, run_key
from ..steps import Step
from ..store import Snapshot
from .patching import wrapped

TOO_MANY = 10_000
EVER = datetime(1970, 1, 1, tzinfo=UTC)  # a test's projections react to all that happens in it


def drain(using: str | None = None) -> int:
    """Run all that is due, in this thread, until nothing is; return how many attempts were claimed. Projections follow.

    What an unexpected error in a body raised is recorded and then raised, as in ``with recorded_errors()`` it is not.
    Waits, backoffs, deadlines and leases that end in the future stay there: ``travel`` first. The timelines' clock stands
    still meanwhile: of what begins to wait while it is drained nothing is run, however short the wait or slow the test.
    What this code cannot go on with stays due: newer code calls its steps by other names, or its stored state is damaged.
    """
    with moments.standing_still():
        return _drain(using or router.db_for_write(Timeline))


def _drain(using: str) -> int:
    begin_new(using, since=EVER)
    left = set[uuid.UUID]()
    for looked_at in range(TOO_MANY):
        keep_time(using)
        run = next_due(using, left=left)
        while run is None and follow_all(using, raises=conf.raises_errors()):
            run = next_due(using, left=left)  # a reaction may have made something due
        if run is None:
            return looked_at - len(left)
        carry_out(run, using)
        if Run.objects.using(using).filter(pk=run.pk, fence=run.fence, status__in=CLAIMABLE, awaits=None).exists():
            left.add(run.pk)
    raise TimelinesError(f"After {TOO_MANY:,} attempts something is still due: a step seems to make itself due again.")


def keep_time(using: str) -> None:
    """Settle what is overdue by now, and rescue what its runner left, as a clock does: nothing of what is paused."""
    actor, paused = this_process(ActorType.CLOCK, "clock"), store.paused(using)
    if store.EVERYTHING in paused:
        return
    while clock.hear_all(using, Runner(actor, "", using)):
        pass
    clock.settle_due_deadlines(using)
    call_up_all(using, ring=False)
    runs = Run.objects.using(using).filter(status=StepStatus.RUNNING, ring__lte=moments.now())
    left = list(runs.exclude(timeline__workflow__in=paused).with_timelines())
    live = store.leases(using, [run.id for run in left]) if left else {}
    for run in left:
        if live.get(run.id) is None:
            with clock.damage_logged():
                rescue(run, By(actor))


def next_due(using: str, family: uuid.UUID | None = None, left: Collection[uuid.UUID] = ()) -> Run | None:
    """Return the run that has been due for longest, of all timelines or of those with this correlation id, but for those left."""
    runs = _due(using).exclude(pk__in=left)
    return (runs.filter(timeline__correlation=family) if family else runs).first()


def questions(declaration: Declaration, snapshot: Snapshot, step: str = "") -> list[Run]:
    """Return the due runs of a timeline, or of one step, that are to ask when they are due: no body runs in such an attempt."""
    runs = _due(snapshot.using).filter(timeline=snapshot.id, step__in=[step] if step else declaration.steps)
    state = with_names(snapshot, [RunName(run.step, run.item) for run in runs]).state
    return [run for run in runs if asks_first(declaration.step(run.step), state["runs"][run_key(run.step, run.item)])]


def _due(using: str) -> QuerySet[Run]:
    """Return the runs that are due, of what is not paused, first those that have been for longest."""
    paused, due = store.paused(using), Q(due=None) | Q(due__lte=moments.now())
    if store.EVERYTHING in paused:
        return Run.objects.none()
    runs = Run.objects.using(using).filter(due, status__in=CLAIMABLE, ring__isnull=False)
    runs = runs.exclude(timeline__workflow__in=paused)
    runs = runs.exclude(awaits__isnull=False, rings=0)  # for whom there is no slot
    return runs.order_by(F("due").asc(nulls_first=True), "id")


def carry_out(run: Run, using: str, *, alone: bool = False) -> None:
    """Answer the bell of a due run, as a worker would. ``alone``: without going on with what that makes due."""
    placement = run.placement if run.placement not in ("", INLINE) else "drain"
    actor = this_process(ActorType.WORKER, placement)
    with acting(actor), wrapped(execute, "run_body", _outside_apart):
        runner = (_Alone if alone else Runner)(actor, placement, using, raises=conf.raises_errors())
        run_from(claim(run.timeline_id, RunName(run.step, run.item), run.fence, runner), runner)


class _Alone(Runner):
    """A runner that executes one attempt."""

    def takes(self, placement: str, step: Step[...]) -> bool:
        """Leave the next step to others."""
        return False


def _outside_apart(run_body: Callable[..., Any]) -> Callable[..., Any]:
    """Let a database error of a body outside break no transaction of the test's, which a site does not have around it."""

    def run(declaration: Declaration, seen: Any, name: RunName, attempt: int, given: Any, batches: Batches) -> Any:
        if not batches.are_outside:
            return run_body(declaration, seen, name, attempt, given, batches)
        savepoints = _Savepoints()
        with wrapped(batches, "commit", savepoints.around_commit):
            ended = run_body(declaration, seen, name, attempt, given, batches)
        savepoints.end(failed=isinstance(ended, Failed))
        return ended

    return run


class _Savepoints:
    """What the test's transactions come back to: where the body began, or has committed a batch.

    They are none of ``atomic()``: a body cannot iterate inside a block that is newer than itself.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        inside = [one for one in connections.all(initialized_only=True) if one.in_atomic_block]
        self._made = [(one, savepoint) for one in inside if (savepoint := one.savepoint())]

    def around_commit(self, commit: Callable[..., None]) -> Callable[..., None]:
        def commit_and_begin_anew(*batch: Any) -> None:
            commit(*batch)
            self.end()
            self._begin()

        return commit_and_begin_anew

    def end(self, *, failed: bool = False) -> None:
        """Keep what was written since. If the body failed, what an error lets nobody keep is taken back."""
        for connection, savepoint in self._made:
            try:
                connection.savepoint_commit(savepoint)
            except Error:
                if not failed:
                    raise
                connection.needs_rollback = False
                connection.savepoint_rollback(savepoint)
