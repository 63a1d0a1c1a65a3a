"""The clock keeps time: it rings again for what nobody picked up, rescues what its runner left, settles what is overdue,
and begins what a schedule says.

It executes no step. Any number of clocks may run: each of their writes is conditional.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from django.db import close_old_connections, router
from django.db.models import Q

from .. import conf, moments, registry, store
from ..actors import Actor, ActorType, acting, this_process
from ..exceptions import Conflict, LeaseLost, StateDamaged
from ..models import Run, RunQuerySet, Timeline
from ..placements import Bell
from ..state import CLAIMABLE, StepStatus
from ..store import Ring
from . import bells, elsewhere
from .advanced import By
from .family import hear, unheard
from .known import Known
from .patience import conflict_if_transient
from .pause import hold_new_names
from .renames import bring_up_all
from .rescue import rescue, settle_overdue
from .runner import Runner
from .sightings import CLOCK, Presence
from .slots import call_up_all
from .ticks import keep_schedules, skip_removed
from .unique import Holders

logger = logging.getLogger("django_timelines")
BATCH = 500
SOON = timedelta(seconds=1)
HEAD_START = timedelta(seconds=2)  # twice the longest sleep of a clock of newer code
LONGEST_SLEEP = 1.0  # seconds; a new due time may be nearer than all that were known
AGAIN = timedelta(minutes=1)  # how soon it looks once more at what new code asks for
ROLLOUT = 2 * elsewhere.LONG  # after it began; so long an old process may leave something that is to be looked at again
SHORTEST_SLEEP = 0.05  # seconds; what could not be moved is looked at again
_WITH_DEADLINE = (StepStatus.WAITING, *CLAIMABLE)


def keep_time(stop: threading.Event) -> None:
    """Tick until stopped, sleeping until the next due time or a second at most."""
    clock, said = Clock(router.db_for_write(Timeline), looks_again=True), ""
    with acting(clock.actor):
        while not stop.is_set():
            close_old_connections()
            pause = LONGEST_SLEEP
            try:
                pause = 0.0 if clock.turn() >= BATCH else clock.until_next()
            except BaseException as error:  # whatever it is, also a listener's SystemExit: the clock goes on
                if repr(error) != said:
                    logger.warning(
                        "The clock could not look and tries again. (Is the database migrated?)", exc_info=True
                    )
                said = repr(error)
            finally:
                close_old_connections()
            stop.wait(pause)


class Clock:
    """A clock, and what it knows from turn to turn.

    While it could not write, or stood still, others may have been without a heartbeat, too. Then, and when it begins, it rescues
    nothing until whoever is alive has had the time for one. One that does not look again (``looks_again``) knows of no such time.
    """

    def __init__(self, using: str, *, looks_again: bool = False) -> None:
        self.actor = this_process(ActorType.CLOCK, "clock")
        self._using = using
        self._known = Known(head_start=HEAD_START)
        self._presence = Presence(using, CLOCK)
        self._chores: list[Callable[[str], object]] = [
            bring_up_all,
            hold_new_names,
            Holders().take_some,
            call_up_all,
        ]
        self._done: dict[Callable[[str], object], datetime] = {}
        self._began = moments.now()
        self._looked = -math.inf if looks_again else time.monotonic()
        self._rescues_from = 0.0

    def turn(self) -> int:
        """Do what a clock has to do now; return how many runs it looked at, a batch at most.

        What fails of that which new code asks for is raised once all else is done.
        """
        lease = conf.lease().total_seconds()
        noted = self._presence.note(lease / 6)  # first: what could not write has not looked
        self._known.rescues = self._rescues(lease)
        try:
            error = self._catch_up()
            if noted:
                store.delete_ended_leases(self._using)
                skip_removed(self._using, moments.now())
            looked_at = tick(self._using, self.actor, self._known)
            if error is not None:
                raise error
            return looked_at
        finally:
            self._looked = time.monotonic()

    def _rescues(self, lease: float) -> bool:
        at, longest = time.monotonic(), max(lease / 4, 2 * LONGEST_SLEEP)  # less than this ends no lease that is kept
        if at - self._looked > longest:
            self._rescues_from = at + lease / 3
        return at >= self._rescues_from

    def _catch_up(self) -> Exception | None:
        """Do what new code asks for, each until there is nothing left to do; what fails is tried again at the next turn.

        Old processes may be up still, and leave more of it. So it is looked at again each minute, for as long as a rollout takes.
        """
        at, error = moments.now(), None
        if abs(at - self._began) < ROLLOUT:
            done = [chore for chore, when in self._done.items() if abs(at - when) >= AGAIN]
            self._chores += [chore for chore in done if chore not in self._chores]
        for chore in [*self._chores]:
            try:
                if not chore(self._using):
                    self._chores.remove(chore)
                    self._done[chore] = at
            except Exception as raised:
                error = error or raised
        return error

    def until_next(self) -> float:
        """Return for how many seconds there is nothing to do, as far as is known."""
        return _until_next(self._using, self._known)


def tick(using: str, actor: Actor | None = None, known: Known | None = None) -> int:
    """Look at all that is to be looked at by now, a batch at most; return how many there were."""
    by = By(actor or this_process(ActorType.CLOCK, "clock"))
    at, paused = moments.now(), store.paused(using)
    if store.EVERYTHING in paused:
        return 0
    known = known or Known()
    runs = _runs(using, at, known, paused).with_timelines()
    looked_at = list(runs.filter(ring__lte=at).order_by("ring")[:BATCH])
    if ended := store.with_ended_lease(using, BATCH):  # of these some were claimed by who is ahead of us, and so noted
        far = moments.now() + conf.lease()
        looked_at += runs.filter(pk__in=ended, status=StepStatus.RUNNING, ring__gt=far, rings=0)
    due = [run for run in looked_at if not _look(run, at, by, known)]
    with suppress(Conflict), conflict_if_transient(using):  # the next look is soon
        ring_again(using, due, at, known.deaf)
    if any(declaration.limited for declaration in registry.everything().values()):
        call_up_all(using)
    hear_all(using, Runner(by.actor, "", using), at - SOON)
    keep_schedules(using, by.actor, at, paused, known)
    return len(looked_at)


def hear_all(using: str, runner: Runner, before: datetime | None = None) -> list[Bell]:
    """Let timelines take what they were told (by this time) and nobody took; return what is for a runner to answer."""
    answers: list[Bell] = []
    for timeline in unheard(using, before):
        try:
            with conflict_if_transient(using), store.alone_with(using, timeline):
                answers += hear(timeline, runner)
        except Conflict:
            continue
        except (Exception, LeaseLost):
            logger.exception("Timeline %s could not take what it was told.", timeline)
    return answers


def settle_due_deadlines(using: str) -> None:
    """Settle what is overdue by now, but for the timelines of workflows that are paused."""
    by, at = By(this_process(ActorType.CLOCK, "clock")), moments.now()
    runs = Run.objects.using(using).filter(until__lte=at, status__in=_WITH_DEADLINE, ring__isnull=False)
    for run in runs.exclude(timeline__workflow__in=store.paused(using)).with_timelines():
        with suppress(Conflict), damage_logged():  # what was settled before it may have settled it, too
            settle_overdue(run, by)


@contextmanager
def damage_logged() -> Iterator[None]:
    """Let a timeline whose stored state is damaged keep nobody from the others: it is logged, with how to mend it."""
    try:
        yield
    except StateDamaged as damaged:
        logger.error("%s", damaged)


def _runs(using: str, at: datetime, known: Known, paused: Collection[str]) -> RunQuerySet:
    """Return the open runs but for those of paused workflows, those with a live lease, and those that wait for a placement which
    this clock cannot ring now.

    A lease's end is the database's to tell, whose clock may differ from ours; and nothing is noted of what has one: it would be a
    write to a row that a long body's completion is to write.
    """
    known.forget(at)
    runs = Run.objects.using(using).exclude(
        store.with_live_lease(using) if known.rescues else Q(status=StepStatus.RUNNING)
    )
    if paused:
        runs = runs.exclude(timeline__workflow__in=paused)
    if not known.deaf:
        return runs
    overdue = Q(until__lte=at)
    return runs.exclude(~overdue, placement__in=known.deaf, status__in=CLAIMABLE)


def _look(run: Run, at: datetime, by: By, known: Known) -> bool:
    """Rescue it, or settle that it is overdue; return False if it is to be rung for."""
    is_overdue = run.until is not None and run.until <= at and run.status in _WITH_DEADLINE
    if run.status in CLAIMABLE and not is_overdue:
        return False
    using = run.timeline.using
    if run.status != StepStatus.RUNNING and not is_overdue:  # its deadline was forgotten, and nothing else comes
        store.rang(using, [Ring(run, 0, run.placement, run.until if run.status in _WITH_DEADLINE else None)])
        return True
    try:
        with conflict_if_transient(using), store.alone_with(using, run.timeline_id):
            if is_overdue:
                settle_overdue(run, by, known)
            rescued = not is_overdue and rescue(run, by, known)
        if rescued:
            logger.warning("Rescued %s of timeline %s: its runner went away.", run, run.timeline_id)
    except Conflict:
        pass  # somebody moved it: good; or the next look will tell
    except (Exception, LeaseLost):
        _give_up(run, at)
    return True


def ring_again(using: str, runs: Sequence[Run], at: datetime, deaf: dict[str, datetime]) -> None:
    """Ring for due runs, ever more rarely, where the settings place them now; or see that this clock cannot.

    It is noted first and rung then: of clocks that look together one rings, and one that dies in between delays the runs to
    the next ring. What nobody could hear is put back as it was, for a clock that can ring there.
    """
    rings, others, before = list[Ring](), list[Ring](), {run.pk: run.ring or at for run in runs}
    for run in runs:
        again = bells.next_ring(run.rings, at)
        try:
            placement = bells.retry_placement_of(run.timeline.workflow, run.step)
        except Exception:
            _give_up(run, at)
            continue
        if placement not in deaf and not bells.hears(placement):
            deaf[placement] = at + conf.FIRST_RING
        if placement not in deaf:
            rings.append(Ring(run, 1, placement, min(again, run.until or again)))
        elif run.placement != placement:  # so that the next look leaves it out
            others.append(Ring(run, 0, placement, before[run.pk]))
    for ring in store.rang(using, rings) if rings else ():
        run, placement = ring.run, ring.placement
        bell = Bell(run.timeline_id.hex, run.step, run.item, run.fence, using, placement)
        if placement in deaf or not bells.ring(bell):
            deaf.setdefault(placement, moments.now() + conf.FIRST_RING)  # to learn that may have taken long
            others.append(Ring(run, -1, placement, before[run.pk]))
    store.put_back(using, others)


def _give_up(run: Run, at: datetime) -> None:
    """Say what went wrong, and do not look at it again at once: it would keep the clock from the others."""
    logger.exception("The clock could not look at %s of timeline %s.", run, run.timeline_id)
    store.rang(run.timeline.using, [Ring(run, 1, run.placement, bells.next_ring(run.rings, at))])


def _until_next(using: str, known: Known) -> float:
    at, paused = moments.now(), store.paused(using)
    if store.EVERYTHING in paused:
        return LONGEST_SLEEP
    soon = _runs(using, at, known, paused).filter(ring__lte=at + timedelta(seconds=LONGEST_SLEEP))
    next_ring = soon.order_by("ring").values_list("ring", flat=True).first()
    if next_ring is None:
        return LONGEST_SLEEP
    return max(SHORTEST_SLEEP, (next_ring - moments.now()).total_seconds())
