"""Claim an attempt, run its body, append its outcome, and go on with what that made due. The same in a request and in a worker.

Of every line here ask what happens if the process dies in it. An attempt is claimed in a commit of its own or in the one
before it, under a lease; an exactly-once body shares its transaction with its completion; everything else is recorded in
one commit after the body. What is not recorded is found by the clock, once the lease has run out.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, connections, transaction

from .. import conf, moments, registry, store
from ..actors import Actor, ActorType, acting, current, current_trace, this_process
from ..databases import begin_writing
from ..events import EventType, NewEvent
from ..exceptions import Conflict, LeaseLost, Rejected, TimelinesError, Unknown
from ..models import Event, SealedInput
from ..placements import INLINE, Bell
from ..registry import Declaration
from ..signals import appended
from ..state import StepStatus, fold, is_open, run_key, type_run
from ..steps import Delivery, Step
from ..store import Snapshot, type_name
from . import bells
from .advance import Advance, By, advance
from .body import Completed, Failed, NotTaken, run_body, type_ended
from .cancel import cancellation
from .failure import after_failure
from .leases import keeper
from .sealing import open_sealed, sealed_row

logger = logging.getLogger("django_timelines")
OPTIMISTIC_RUNS = 3  # the third run of a body takes the timeline's row first


@dataclass
class Runner:
    """Who executes, where, and whether inside a transaction that the caller opened."""

    actor: Actor
    placement: str
    using: str
    in_transaction: bool = False
    raises: bool = False  # an unexpected error, once it is recorded: its caller sees the traceback
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    since: float = field(default_factory=time.monotonic)

    def by(self, cause: int | None = None, *, leased: bool = True) -> By:
        """Return whose events these are."""
        holder = f"{self.actor} {self.holder}"[:200] if leased else ""
        return By(self.actor, self.placement, current_trace(), cause, holder)

    def takes(self, placement: str, step: Step[Any]) -> bool:
        """Tell whether it goes on with a next step: placed here, or inline, for as long as that is quick."""
        if self.in_transaction and step.delivery is not Delivery.EXACTLY_ONCE:
            return False
        if placement == INLINE:
            return True
        return placement == self.placement and time.monotonic() - self.since < conf.QUICK


@dataclass
class Held:
    """An attempt that a runner holds. ``pending``: events that its outcome will be appended after, not written yet."""

    declaration: Declaration
    snapshot: Snapshot
    name: type_name
    attempt: int = 1
    given: dict[str, Any] | None = None  # the input; None: read it from the call
    pending: list[NewEvent] = field(default_factory=list)
    sealed: dict[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> Step[Any]:
        """The step that it is an attempt at."""
        return self.declaration.step(self.name[0])

    @property
    def seen(self) -> Snapshot:
        """The timeline as the body sees it."""
        if not self.pending:
            return self.snapshot
        state = fold(self.snapshot.state, self.pending, self.snapshot.head + 1)
        return replace(self.snapshot, state=state)

    @property
    def fence(self) -> int:
        """The sequence that proves that the attempt is ours."""
        return int(self.seen.state["runs"][run_key(*self.name)]["fence"])


def answer(timeline: str, step: str, item: str, fence: int, using: str, placement: str, trace: str = "") -> None:
    """Answer a bell: claim the attempt it was rung for and go on from there. An unknown or old one is logged and dropped."""
    actor = current() if placement == INLINE else this_process(ActorType.WORKER, placement)
    with acting(actor, trace):
        runner = Runner(actor, placement, using)
        run_from(claim(uuid.UUID(timeline), (step, item), fence, runner), runner)


def claim(timeline: uuid.UUID, name: type_name, fence: int, runner: Runner) -> Held | None:
    """Take the attempt if it is due and still the one that was meant. Its lease begins with this commit."""
    while True:
        try:
            snapshot = store.load(timeline, runner.using)
        except Unknown as error:
            _drop(timeline, name, str(error))
            return None
        run = snapshot.state["runs"].get(run_key(*name))
        why_not = _why_not(run, fence)
        if why_not or run is None:
            _drop(timeline, name, why_not)
            return None
        declaration = registry.find(snapshot.workflow)
        try:
            if declaration is None or name[0] not in declaration.steps:
                commit(advance(None, snapshot, [_lost_its_code(snapshot, name)], runner.by()))
                return None
            started = NewEvent(EventType.ATTEMPT_STARTED, *name, attempt=run["attempt"] + 1)
            result = advance(declaration, snapshot, [started], runner.by(run["fence"]))
            commit(result)
            return Held(declaration, result.after, name, run["attempt"] + 1)
        except Conflict:
            continue  # somebody else wrote the timeline; look again


def _why_not(run: type_run | None, fence: int) -> str:
    if run is None:
        return "it has no such run"
    if run["fence"] != fence or run["status"] not in (StepStatus.DUE, StepStatus.RETRYING):
        return f"the run is at event {run['fence']} and {run['status']}"
    if "due" in run and moments.from_text(run["due"]) > moments.now():
        return f"it is due at {run['due']}"
    return ""


def _drop(timeline: uuid.UUID, name: type_name, why: str) -> None:
    logger.info("Dropped a bell for %s of timeline %s: %s.", run_key(*name), timeline, why)


def _lost_its_code(snapshot: Snapshot, name: type_name) -> NewEvent:
    message = f"The code has no step {snapshot.workflow}.{name[0]} any more."
    data = {"reason": "unknown_step", "error": {"type": "", "message": message, "traceback": ""}}
    return NewEvent(EventType.STEP_BLOCKED, *name, data=data)


def run_from(held: Held | None, runner: Runner) -> Snapshot | None:
    """Execute the attempt and what it makes due for this runner, one after the other; return where the timeline stands."""
    snapshot: Snapshot | None = None
    unexpected: Exception | None = None
    waiting: list[Bell] = []
    while held is not None:
        result, ended = execute(held, runner)
        if result is None:
            break
        snapshot = result.after
        if isinstance(ended, Failed) and is_unexpected(ended.error, held.step):
            unexpected = unexpected or ended.error
        held = _next(held.declaration, result, runner, waiting)
    if unexpected is not None and runner.raises:
        raise unexpected
    return snapshot


def go_on(declaration: Declaration, result: Advance, runner: Runner) -> Snapshot:
    """After a commit: run what it made due for whoever made it due."""
    return run_from(_next(declaration, result, runner, []), runner) or result.after


def _next(declaration: Declaration, result: Advance, runner: Runner, waiting: list[Bell]) -> Held | None:
    """Return the attempt to go on with: the one that the last commit claimed, or the next that waits for this runner."""
    waiting += result.inline
    if result.taken is not None:
        return Held(declaration, result.after, result.taken)
    while waiting:
        bell = waiting.pop(0)
        if runner.in_transaction:
            transaction.on_commit(partial(answer, **bell.as_json()), using=runner.using)
        elif held := claim(result.after.id, (bell.step, bell.item), bell.fence, runner):
            return held
    return None


def is_unexpected(error: Exception, step: Step[Any]) -> bool:
    """Tell whether nobody said that this error may come: neither the body, by raising one of ours, nor ``Retry(on=…)``."""
    if isinstance(error, TimelinesError | ValidationError):
        return False
    return step.retry.on is Exception or not isinstance(error, step.retry.on)


def execute(held: Held, runner: Runner) -> tuple[Advance | None, type_ended | None]:
    """Run one attempt to its recorded end. ``(None, None)``: it belongs to somebody else now, and what it wrote is undone."""
    leased = not held.pending and not runner.in_transaction
    try:
        with keeper.keep(runner.using, runner.by().holder) if leased else nullcontext():
            if held.given is None:
                try:
                    held.given = _input(held)
                except Exception as error:  # a type that changed, a row that is gone: the attempt's own failure
                    return _record(held, Failed(error), runner), Failed(error)
            if held.step.delivery is Delivery.EXACTLY_ONCE:
                return _exactly_once(held, runner)
            ended = run_body(held.declaration, held.seen, held.name, held.attempt, held.given)
            return _record(held, ended, runner), ended
    except LeaseLost as lost:
        logger.warning("%s", lost)
        return None, None


class _RollBack(Exception):
    """Takes a body's outcome out of the transaction that must not commit."""

    def __init__(self, ended: type_ended) -> None:
        self.ended = ended


class _Stale(Exception):
    """A field that the body changed was changed meanwhile: run it again on what is true now."""


def _exactly_once(held: Held, runner: Runner) -> tuple[Advance | None, type_ended]:
    runs = 0
    while True:
        runs += 1
        try:
            with transaction.atomic(using=runner.using):
                if not runner.in_transaction:
                    begin_writing(connections[runner.using])
                if runs >= OPTIMISTIC_RUNS:
                    held = _afresh(held, lock=True)
                ended = run_body(held.declaration, held.seen, held.name, held.attempt, held.given or {})
                if isinstance(ended, Failed):
                    raise _RollBack(ended)
                return _record(held, ended, runner, may_rerun=True), ended
        except _RollBack as rolled_back:
            ended = rolled_back.ended
        except _Stale:
            held = _afresh(held)
            continue
        except Conflict:
            raise
        except (
            DatabaseError
        ) as error:  # the commit itself said no: a deferred constraint, a transaction that the body broke
            ended = Failed(error)
        if held.pending and isinstance(ended, Failed) and isinstance(ended.error, ValidationError):
            raise Rejected(ended.error)  # nothing was written, so nothing is left behind
        return _record(held, ended, runner), ended


def _afresh(held: Held, *, lock: bool = False) -> Held:
    snapshot = store.load(held.snapshot.id, held.snapshot.using, lock=lock)
    _check_ours(held, snapshot)
    return replace(held, snapshot=snapshot)


def _check_ours(held: Held, snapshot: Snapshot) -> None:
    run = snapshot.state["runs"].get(run_key(*held.name), {})
    if run.get("fence") != held.fence:
        raise LeaseLost(
            f"{held.name[0]} of timeline {snapshot.id}: event {run.get('fence')} has overtaken the attempt of event {held.fence}."
        )


def _record(held: Held, ended: type_ended, runner: Runner, *, may_rerun: bool = False) -> Advance:
    """Append the outcome. If the timeline went on meanwhile, only the append is done again, never the body."""
    snapshot = held.snapshot
    while True:
        result = advance(
            held.declaration,
            snapshot,
            [*held.pending, *_outcome(held, ended, snapshot)],
            runner.by(None if held.pending else held.fence),
            take=runner.takes,
            passing=held.name,
        )
        run = result.after.state["runs"][run_key(*held.name)]
        if held.sealed and is_open(run):
            result.change.sealed.append(sealed_row(snapshot, held.name, run["call"], held.sealed))
        try:
            commit(result)
            return result
        except Conflict:
            if held.pending:
                raise  # the call itself must be judged again
            inside = connections[runner.using].in_atomic_block
            snapshot = store.load(snapshot.id, snapshot.using, lock=inside)
            _check_ours(held, snapshot)
            if may_rerun and _overtaken(held, ended, snapshot):
                raise _Stale from None


def _overtaken(held: Held, ended: type_ended, now: Snapshot) -> list[str]:
    """Return the fields that the body changed and somebody else changed since it was claimed."""
    if not isinstance(ended, Completed):
        return []
    then, fields = held.snapshot.state["fields"], now.state["fields"]
    return [name for name in ended.changes if fields.get(name) != then.get(name)]


def _outcome(held: Held, ended: type_ended, snapshot: Snapshot) -> list[NewEvent]:
    state = fold(snapshot.state, held.pending, snapshot.head + 1)
    if isinstance(ended, Failed):
        return after_failure(held.declaration, state, held.name, held.attempt, ended)
    if isinstance(ended, NotTaken):
        return [NewEvent(EventType.STEP_NOT_TAKEN, *held.name, attempt=held.attempt)]
    if overtaken := _overtaken(held, ended, snapshot):
        theirs = {name: snapshot.state["fields"].get(name) for name in overtaken}
        data = {"reason": "conflict", "changes_kept_back": ended.changes, "theirs": theirs}
        return [NewEvent(EventType.STEP_BLOCKED, *held.name, data=data, attempt=held.attempt)]
    completed = NewEvent(EventType.STEP_COMPLETED, *held.name, data={"changes": ended.changes}, attempt=held.attempt)
    events = [*ended.recorded, completed]
    if ended.cancel_reason is not None:
        after = fold(state, events, snapshot.head + 1)
        events.append(cancellation(held.declaration, after, ended.cancel_reason))
    return events


def _input(held: Held) -> dict[str, Any]:
    """Return the input of the call that this attempt is for, decoded. A step that runs by itself has none."""
    call = held.snapshot.state["runs"][run_key(*held.name)].get("call")
    if not call:
        return {}
    using = held.snapshot.using
    data = Event.objects.using(using).values_list("data", flat=True).get(timeline=held.snapshot.id, sequence=call)
    given = dict(data.get("input", {}))
    if data.get("sealed"):
        row = SealedInput.objects.using(using).get(timeline=held.snapshot.id, sequence=call)
        given |= open_sealed(bytes(row.sealed))
    inputs = held.declaration.inputs[held.step.name]
    return {name: inputs[name].decode(value) for name, value in given.items() if name in inputs}


def commit(result: Advance) -> None:
    """Write the change; bells and hints leave with the commit, of the outermost transaction if there is one."""
    change, after = result.change, result.after
    store.commit(change)
    bells.ring_after_commit(result.bells, after.using)
    hint: Callable[[], Any] = partial(
        appended.send_robust, None, timeline=after.id, sequence=after.head, using=after.using
    )
    transaction.on_commit(hint, using=after.using)
