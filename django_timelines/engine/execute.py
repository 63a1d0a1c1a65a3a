"""Run an attempt's body and have its outcome appended. The same in a request and in a worker.

Of every line here ask what happens if the process dies in it. An attempt is claimed in a commit of its own or in the one
before it, under a lease; an exactly-once body shares its transaction with its completion; everything else is recorded in
one commit after the body. What is not recorded is found by the clock, once the lease has run out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from django.core.exceptions import ValidationError
from django.db import Error, InterfaceError, OperationalError, connections

from ..actors import Cause, in_step
from ..databases import is_transient, noting_rollback
from ..exceptions import LeaseLost, NotOpened, NotUnique, PermanentFailure, Rejected, ValueUnknown
from ..placements import INLINE, stopping
from ..state import run_key
from ..steps import Delivery
from . import bells, leaks
from .advanced import Advance
from .batches import Batches
from .block import Block
from .body import Failed, run_body, type_ended
from .claim import prepare
from .errors import as_failure, rejected_with, told
from .interrupt import Again, AtCheckpoint, Cancelled, Interrupted, TimedOut
from .leases import keeper
from .patience import LONGEST, LONGEST_PAUSE, Patience
from .record import Stale, check_ours, record, record_superseded, too_late
from .runner import Held, Runner, load
from .sealing import secrets_of
from .stopping import give_back, give_back_in_time, may_be_stopped

logger = logging.getLogger("django_timelines")
OPTIMISTIC_RUNS = 3  # the third run of a body takes the timeline's row first
MOST_OVERTAKEN = 10  # runs of a body in one attempt: from the third on hardly anybody but itself changes its fields


def execute(held: Held, runner: Runner) -> tuple[Advance | None, type_ended | None]:
    """Run one attempt to its recorded end. ``(None, None)``: it belongs to somebody else now, and what it wrote is undone."""
    leased = not held.pending and not runner.in_transaction
    try:
        with keeper.keep(runner.using, runner.by().holder, held.step.timeout) if leased else nullcontext():
            # in a transaction of the caller's the body's savepoint comes first
            failed = None if runner.in_transaction else _unprepared(held)
            if failed is not None:
                return record(held, failed, runner), failed
            if held.step.delivery is Delivery.EXACTLY_ONCE:
                return _exactly_once(held, runner)
            return _outside(held, runner)
    except LeaseLost as lost:
        logger.warning("%s", lost)
    except Interrupted as interrupted:
        is_ours = interrupted.ends(runner)
        if is_ours or not (held.pending or runner.in_transaction):  # of which nothing is left
            _give_back(held, runner, interrupted)
        if isinstance(interrupted, Cancelled):
            raise asyncio.CancelledError from None
        if not is_ours:
            raise
    return None, None


def _give_back(held: Held, runner: Runner, interrupted: Interrupted) -> None:
    """Give an interrupted attempt back; of a worker that ends soon or not at all, and without a word on its own connections."""
    said = {"between_items": isinstance(interrupted, AtCheckpoint), "in_time": interrupted.in_time}
    if stopping.is_set():
        leaks.let_go()
        give_back_in_time((held, runner), **said)
    else:
        leaks.mend()
        give_back(held, runner, **said)


def _unprepared(held: Held) -> Failed | None:
    """See that the next run of the body has its input; return why not: a type that changed, a row that is gone."""
    try:
        if held.given is None:
            prepare(held)
    except Exception as error:
        hidden = held.declaration.secrets(held.step.name) and not (isinstance(error, NotOpened) or is_transient(error))
        if hidden:
            error = ValueError(f"The stored input no longer fits ({type(error).__name__}).")
        return Failed(as_failure(error), in_time=True)
    return None


def _run(held: Held, runner: Runner, batches: Batches) -> type_ended:
    """Run the body, for as long as its step's ``timeout=`` and the worker's life allow. Its lease is kept as long, each time."""
    keeper.keep_on(runner.by().holder, held.step.timeout)
    limited = held.step.timeout or runner.placement != INLINE
    try:
        cause = Cause(held.snapshot.id, held.fence, held.snapshot.correlation, not batches.are_outside)
        with in_step(cause), may_be_stopped(held, runner) if limited else nullcontext():
            return run_body(held.declaration, held.seen, held.name, held.attempt, held.given or {}, batches)
    except TimedOut as late:
        if not late.ends(runner):
            raise
        error = TimeoutError(f"It did not end within its timeout of {held.step.timeout}.")
        hidden = secrets_of(held.declaration, held.name, held.given or {})
        return Failed(error, hidden, late.guard_passed, in_time=late.in_time, interrupted=True, links=late.links)


def _outside(held: Held, runner: Runner) -> tuple[Advance, type_ended]:
    """Run a body whose effects lie outside: how it ended is noted even if the attempt was taken from it meanwhile."""
    ended = _run(held, runner, Batches(held, runner))
    if isinstance(ended, Failed):
        _mend_after(ended, runner)
    try:
        try:
            return record(held, ended, runner), ended
        except (NotUnique, ValueUnknown) as error:  # as if the body had said it at its end
            ended = _not_to_take(held, error)
            return record(held, ended, runner), ended
        except Error as error:
            # the connection went away while the body worked: the effect is there, so say it on a new one, which Django may
            # have opened by itself as it rolled back
            if not leaks.mend() and not isinstance(error, OperationalError | InterfaceError):
                raise
            return _on_a_new_connection(partial(record, held, ended, runner), runner), ended
    except LeaseLost:
        record_superseded(held, ended, runner)
        raise


def _on_a_new_connection(record: Callable[[], Advance], runner: Runner) -> Advance:
    """Record it once there is a server again: one that restarts is back within seconds. Else the effect may happen twice."""
    since = time.monotonic()
    while True:
        try:
            return record()
        except (OperationalError, InterfaceError):
            if runner.in_transaction or time.monotonic() - since > LONGEST:
                raise
            leaks.mend()
            time.sleep(LONGEST_PAUSE)


class _RollBack(Exception):
    """Takes a body's outcome out of the transaction that must not commit."""

    def __init__(self, ended: type_ended) -> None:
        self.ended = ended


@dataclass
class _Try:
    """One run of an exactly-once body in its transaction, and what it recorded."""

    ended: type_ended | None = None
    result: Advance | None = None


def _exactly_once(held: Held, runner: Runner) -> tuple[Advance | None, type_ended | None]:
    with ExitStack() as leases:  # of an attempt that begins with its first batch
        return _in_transaction(held, runner, leases)


def _in_transaction(held: Held, runner: Runner, leases: ExitStack) -> tuple[Advance | None, type_ended | None]:
    runs, overtaken, patience = 0, 0, Patience()
    while True:
        runs += 1
        one, block = _Try(), Block(runner)
        alone = not connections[runner.using].in_atomic_block
        try:
            with block:
                if runs >= OPTIMISTIC_RUNS and not held.pending:
                    held = _afresh(held, lock=True)
                one.ended = ended = _unprepared(held) or _run_in(block, held, runner, leases)
                if isinstance(ended, Failed):
                    raise ended.error if told(partial(is_transient, ended.error), False) else _RollBack(ended)
                one.result = record(held, ended, runner, may_rerun=True, alone=alone)
            return one.result, ended
        except (NotUnique, ValueUnknown) as error:
            ended = _not_to_take(held, error)
        except _RollBack as rolled_back:
            ended = rolled_back.ended
        except Stale as stale:
            overtaken += 1
            if not stale.is_committed and overtaken < MOST_OVERTAKEN:
                held = _afresh(held)
                continue
            assert one.ended is not None
            ended = one.ended if stale.is_committed else _overtakes_itself(held, stale)
        except Exception as error:
            if block.committed and one.result is not None:
                return _after_broken_hook(one.result, held), one.ended
            if not isinstance(error, Error) or (runner.in_transaction and is_transient(error)):
                raise  # a deadlock in the caller's transaction is for the caller to begin again
            if patience.outlasts(error):
                held = _afresh(held)
                continue
            # the commit itself said no: a deferred constraint, a transaction that the body broke
            ended = Failed(error, secrets_of(held.declaration, held.name, held.given or {}))
        _mend_after(ended, runner)
        if held.pending and isinstance(ended, Failed) and ended.rejection is not None:
            assert isinstance(ended.error, ValidationError)
            # nothing was written, so nothing is left behind
            raise ended.error if isinstance(ended.error, NotUnique) else Rejected(ended.error)
        return record(held, ended, runner), ended


def _mend_after(ended: type_ended, runner: Runner) -> None:
    """Close the connections that the body broke. If the caller's transaction is lost with one, the caller is told why."""
    leaks.mend(inside=isinstance(ended, Failed) and ended.interrupted)
    connection = connections[runner.using]
    if connection.in_atomic_block and connection.needs_rollback and isinstance(ended, Failed):
        raise ended.error


def _not_to_take(held: Held, error: NotUnique | ValueUnknown) -> Failed:
    """Return the failure of a body whose timeline, or the one that it begins, cannot have its value of ``unique=``."""
    hidden = secrets_of(held.declaration, held.name, held.given or {})
    if isinstance(error, ValueUnknown) and error.__cause__ is not None:
        return Failed(as_failure(error.__cause__), hidden)
    return Failed(error, hidden, rejection=rejected_with(error, hidden))


def _overtakes_itself(held: Held, stale: Stale) -> Failed:
    error = PermanentFailure(
        f"{', '.join(stale.fields)} was changed each time the body ran, which changes it too. If the body calls a step of its "
        "own timeline by another object, let it assign the field instead."
    )
    return Failed(error, secrets_of(held.declaration, held.name, held.given or {}))


def _run_in(block: Block, held: Held, runner: Runner, leases: ExitStack) -> type_ended:
    """Run the body in a transaction of ours, which it may commit batch by batch."""
    try:
        with noting_rollback(connections[runner.using], block.note_rollback):
            ended = _run(held, runner, Batches(held, runner, block, leases))
    except Again as again:
        raise again.error from None
    if block.rolled_back is not None:
        raise block.rolled_back
    if block.broken is not None:  # whatever the body made of it
        return Failed(block.broken, secrets_of(held.declaration, held.name, held.given or {}))
    return ended


def _after_broken_hook(result: Advance, held: Held) -> Advance:
    """Go on although a hook that the body gave to ``on_commit`` raised: the commit stands. It kept our bells from ringing."""
    logger.exception("A hook that %s gave to on_commit failed, after the commit.", run_key(*held.name))
    for bell in result.bells:
        bells.ring(bell)
    return result


def _afresh(held: Held, *, lock: bool = False) -> Held:
    """Return the attempt as its body is to run again: nothing of it is left, so what it goes on from is read once more.

    What it was given, too: it may have changed that.
    """
    if held.pending:
        return replace(held, given=None)
    snapshot = load(held.snapshot.id, held.snapshot.using, lock=lock, names=[held.name])
    name = check_ours(held, snapshot)
    if held.declaration.is_behind(snapshot.state):
        raise too_late(snapshot, in_time=True)
    return replace(held, snapshot=snapshot, name=name, given=None)
