"""Calls: a step is asked for, from a view, a link, the admin, a command or another step. The answer is the same everywhere."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, connections, router, transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import actors, conf, moments, registry, store
from ..actors import Actor
from ..databases import begin_writing, in_callers_transaction
from ..events import EventType, NewEvent
from ..exceptions import Conflict, Refused, Rejected
from ..items import with_names
from ..models import Timeline, new_id
from ..placements import INLINE
from ..registry import Declaration
from ..state import Outcome, RunName, StepStatus, empty, late_since, run_key, step_status, type_state
from ..steps import Delivery
from ..store import EVERYTHING, Snapshot
from . import bells
from .advance import advance
from .allowed import check_allowed
from .answer import go_on, run_from
from .asked import Input, Options, check_input, key_digest
from .assignee import from_outside, instead_of
from .history import as_it_ended
from .judge import Call, Verdict, judge, outcome_of
from .patience import Patience, conflict_if_transient
from .renames import brought_up
from .repeated import as_called_before
from .runner import Held, Runner, commit, knowing, load
from .sealing import sealed_row
from .slots import is_limited
from .unique import rejection_of

ATTEMPTS_AT_A_CONFLICT = 20
NOWHERE = ""  # where who begins a timeline executes nothing of it
OPTIMISTIC_CALLS = 3  # from then on the timeline's row is taken first
_FAILED = (StepStatus.RETRYING, StepStatus.BLOCKED, StepStatus.FAILED)


@sensitive_variables()
def start(declaration: Declaration, options: Options, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Snapshot:
    """Begin a timeline with its entry step. With a key that was used before: the timeline that it began."""
    using = router.db_for_write(Timeline)
    entry = declaration.step(declaration.graph.entry.name)
    if options.schedule is None:  # which the class itself names
        check_allowed(entry, None, options.actor)
    given = check_input(declaration, entry, args, kwargs)
    digest = key_digest(declaration.label, options.key) if options.key else None
    if known := started_with(declaration, options.key, using):
        return _same_start(known, RunName(entry.name), given, options)
    before, begun = _new(declaration, options, digest, using)
    runner = _runner(options.actor or actors.current(), using)
    if options.schedule:
        runner = replace(runner, placement=NOWHERE)
    patience = Patience()
    while True:
        try:
            after = _begin(declaration, before, begun, given, runner)
            actors.note_started(before.id)
            return after
        except (IntegrityError, Rejected, Conflict) as error:
            # two at once: the other was first, and its effects may be why we were rejected
            known = started_with(declaration, options.key, using, lock=runner.in_transaction)
            if known and known.id != before.id:
                return _same_start(known, RunName(entry.name), given, options)
            is_there = isinstance(error, IntegrityError) and not runner.in_transaction
            if is_there and (ours := store.find(using, {"id": before.id})):
                actors.note_started(ours.id)
                if runner.raises and step_status(ours.state, entry.name) in _FAILED:
                    raise  # what the body raised, which is recorded
                return ours  # the connection went away as it was committed, and nobody was told
            if not isinstance(error, Conflict):
                raise
            patience.after(error)


def _new(declaration: Declaration, options: Options, digest: uuid.UUID | None, using: str) -> tuple[Snapshot, NewEvent]:
    """Return a timeline that has no event yet, and its first."""
    actor, cause, id = options.actor or actors.current(), actors.current_cause(), new_id()
    is_theirs = actor.type == "user" and (cause is None or options.actor is not None)  # a body says whose it is
    before = Snapshot(
        id,
        declaration.label,
        using,
        0,
        "",
        empty(),
        cause.correlation if cause else id,
        options.key,
        digest,
        actor.id if is_theirs else "",
    )
    data: dict[str, Any] = {"fields": declaration.defaults()}
    data |= {"key": options.key} if options.key else {}
    data |= {"schedule": dict(options.schedule)} if options.schedule else {}
    return before, NewEvent(EventType.TIMELINE_STARTED, data=data, at=moments.now())


def _begin(declaration: Declaration, before: Snapshot, begun: NewEvent, given: Input, runner: Runner) -> Snapshot:
    entry = declaration.step(declaration.graph.entry.name)
    keyed = before.digest is not None and runner.in_transaction  # one that is not the first must leave it usable
    with transaction.atomic(using=before.using) if keyed else nullcontext():
        if entry.waits:
            called = given.event(RunName(entry.name))
            return _carry_out(declaration, before, RunName(entry.name), [begun, called], given, runner)
        due = declaration.graph.reach(declaration.graph.entry, before.state, moments.now())
        return _hand_over(declaration, before, [begun, *due], runner)


@sensitive_variables()
def call(
    declaration: Declaration,
    snapshot: Snapshot,
    name: RunName,
    options: Options,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> tuple[Outcome, Snapshot]:
    """Ask for a step; return the outcome and where the timeline stands then. ``Refused`` if the call is wrong."""
    step = declaration.step(name[0])
    check_allowed(step, declaration.workflow._from(snapshot), options.actor)
    given = check_input(declaration, step, args, kwargs)
    head, snapshot = snapshot.head, knowing(brought_up(declaration, snapshot), name)
    actor = options.actor or actors.current()
    early, caller = options.early or step.keeps_early, actor if options.outside else None
    asked = Call(name, given.digest, options.key, early, options.seen, head, options.link, caller)
    runner = _runner(actor, snapshot.using)
    fresh, patience = False, Patience()
    for tried in range(ATTEMPTS_AT_A_CONFLICT):
        try:
            if tried < OPTIMISTIC_CALLS or runner.in_transaction:
                return _try_call(declaration, snapshot, asked, given, runner, fresh=fresh)
            with conflict_if_transient(snapshot.using), transaction.atomic(using=snapshot.using):
                begin_writing(connections[snapshot.using])
                locked = with_names(store.load(snapshot.id, snapshot.using, lock=True), [name])
                _try_call(declaration, locked, asked, given, replace(runner, in_transaction=True), fresh=True)
            after = load(snapshot.id, snapshot.using, names=[name])  # an outside effect ran right after the commit
            ended = as_it_ended(locked, after, name)
            _raise_rejection(ended, name)
            return outcome_of(ended, RunName(*name[:2])), after
        except Rejected:
            latest = load(snapshot.id, snapshot.using, lock=runner.in_transaction, names=[name])
            if _is_same(declaration, latest, asked, given):  # the first of two at once is why the second was rejected
                return outcome_of(latest.state, name), latest
            raise
        except Conflict as conflict:
            if runner.in_transaction and fresh:
                raise
            patience.after(conflict)
            latest = load(snapshot.id, snapshot.using, lock=runner.in_transaction, names=[name])
            snapshot, fresh = knowing(brought_up(declaration, latest), name), True
    raise Conflict(f"Timeline {snapshot.id} is written by many at once. Call again.")


def _is_same(declaration: Declaration, snapshot: Snapshot, asked: Call, given: Input) -> bool:
    try:
        return _judged(declaration, snapshot, asked, given) is Verdict.SAME
    except Refused:
        return False


def _judged(declaration: Declaration, snapshot: Snapshot, asked: Call, given: Input) -> Verdict:
    try:
        return judge(declaration, snapshot.state, asked)
    except Refused:
        before = as_called_before(declaration, snapshot, asked, given)
        if before is asked:
            raise
    return judge(declaration, snapshot.state, before)


def _try_call(
    declaration: Declaration, snapshot: Snapshot, asked: Call, given: Input, runner: Runner, *, fresh: bool
) -> tuple[Outcome, Snapshot]:
    try:
        verdict = judge(declaration, snapshot.state, asked)
    except Refused:
        verdict = None
    if verdict is not Verdict.ACCEPT and not fresh:  # never say no on what may be old
        snapshot = load(snapshot.id, snapshot.using, names=[asked.name])
        verdict = _judged(declaration, snapshot, asked, given)
    elif verdict is None:
        verdict = _judged(declaration, snapshot, asked, given)
    step, runs = declaration.step(asked.name.step), snapshot.state["runs"]
    if verdict is Verdict.ACCEPT:
        late = late_since(snapshot.state, asked.name, moments.now())
        called = instead_of(given.event(asked.name, asked.key, late=late), runs, runner.actor)
        called = from_outside(called, step, runs, asked.caller)
        after = _carry_out(declaration, snapshot, asked.name, [called], given, runner)
        return outcome_of(as_it_ended(snapshot, after, asked.name), RunName(*asked.name[:2])), after
    if verdict is Verdict.KEEP:
        kept = from_outside(given.event(asked.name, asked.key, early=True), step, runs, asked.caller)
        after = _hand_over(declaration, snapshot, [kept], runner, asked.name, given)
    else:
        after = snapshot
    after = knowing(after, asked.name)
    return outcome_of(after.state, asked.name), after


def _runner(actor: Actor, using: str) -> Runner:
    return Runner(actor, INLINE, using, in_callers_transaction(using), actors.current_cause(), conf.raises_errors())


def _carry_out(
    declaration: Declaration, before: Snapshot, name: RunName, events: list[NewEvent], given: Input, runner: Runner
) -> Snapshot:
    """Run the called step here, or write down that it was called: where it runs is the settings' business."""
    placement = bells.placement_of(declaration.label, name[0], called=True)
    step = declaration.step(name[0])
    exactly_once = step.delivery is Delivery.EXACTLY_ONCE
    elsewhere = placement != INLINE or runner.placement == NOWHERE
    # one that needs a slot is written first, and then claimed as any that is due
    handed_over = elsewhere or is_limited(declaration, before, name[0]) or (runner.in_transaction and not exactly_once)
    if (
        handed_over or _is_paused(before) or declaration.is_behind(before.state)
    ):  # what comes next is newer code's to say
        after = _hand_over(declaration, before, events, runner, name, given)
        _raise_rejection(as_it_ended(before, after, name), name)
        return after
    started = NewEvent(EventType.ATTEMPT_STARTED, *name, attempt=1, at=moments.now())
    held = Held(declaration, before, name, 1, given.with_secrets, [*events, started], given.secrets)
    if not exactly_once:
        snapshot = _hand_over(declaration, before, [*events, started], runner, name, given)
        held = Held(declaration, snapshot, name, 1, given.with_secrets)
    after = knowing(run_from(held, runner) or load(before.id, before.using), name)
    _raise_rejection(as_it_ended(before, after, name), name)
    return after


def _is_paused(snapshot: Snapshot) -> bool:
    """Tell whether nothing may begin now. Asked at each call: the snapshot may be older than a pause of everything."""
    return bool(snapshot.state.get("paused") or store.paused(snapshot.using) & {EVERYTHING, snapshot.workflow})


def _hand_over(
    declaration: Declaration,
    before: Snapshot,
    events: list[NewEvent],
    runner: Runner,
    name: RunName | None = None,
    given: Input | None = None,
) -> Snapshot:
    """Append and let others go on: the bells ring after the commit; what is inline runs right after it."""
    result = advance(declaration, before, events, runner.by())
    if name is not None and given is not None and given.secrets:
        run = result.after.state["runs"][run_key(*name)]
        result.change.sealed.append(sealed_row(before, name, run["call"], given.secrets))
    commit(result)
    return go_on(declaration, result, runner)


def _raise_rejection(state: type_state, name: RunName) -> None:
    run = state["runs"].get(run_key(*name[:2]), {})
    if run.get("status") == StepStatus.WAITING and "errors" in run:
        raise rejection_of(run)


def started_with(declaration: Declaration, key: str, using: str, *, lock: bool = False) -> Snapshot | None:
    """Return the timeline that a start with this key began, under whichever name the workflow had then."""
    for label in declaration.names if key else ():
        if found := store.find(using, {"digest": key_digest(label, key)}, lock=lock, shared=True):
            return found
    return None


def _same_start(known: Snapshot, name: RunName, given: Input, options: Options) -> Snapshot:
    declaration, run = registry.get(known.workflow), known.state["runs"].get(run_key(*name), {})
    asked = as_called_before(declaration, known, Call(name, given.digest), given)
    if (
        run.get("status") == StepStatus.WAITING and "errors" in run
    ):  # the first input was rejected: this is the next call
        _outcome, known = call(declaration, known, name, Options("", options.actor), (), given.with_secrets)
    elif run.get("digest") not in (None, asked.digest):
        said = _("The key “%(key)s” began another timeline, with other input.")
        raise Refused(said % {"key": options.key}, "key_reused")
    actors.note_started(known.id)
    return known
