"""Append how an attempt ended. If the timeline went on meanwhile, only the append is done again, never the body."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db import connections
from django.db.models import Q

from .. import store
from ..actors import Actor
from ..events import OUTCOMES, EventType, NewEvent
from ..exceptions import Conflict, LeaseLost
from ..items import with_all
from ..models import Event
from ..state import RunName, awaits_child, fold, is_open, name_at, run_key
from ..steps import Delivery
from ..store import Snapshot
from .advance import advance
from .advanced import Advance
from .assignee import still_waiting
from .body import Completed, Failed, NotTaken, Timed, type_ended
from .cancel import cancellation
from .failure import after_failure
from .family import begin_child
from .interrupt import Stopped
from .patience import Patience
from .runner import Held, Runner, commit, load
from .sealing import sealed_row


class Stale(Exception):
    """Fields that the body changed were changed meanwhile: run it again on what is true now.

    ``is_committed``: a batch that changed one too is committed, so that is no help. What is not committed rolls back.
    """

    def __init__(self, fields: list[str], *, is_committed: bool) -> None:
        self.fields = fields
        self.is_committed = is_committed


def record(held: Held, ended: type_ended, runner: Runner, *, may_rerun: bool = False, alone: bool = False) -> Advance:
    """Append the outcome. If the timeline went on meanwhile, only the append is done again, never the body.

    ``alone``: the body's transaction is the outermost one.
    """
    snapshot, name, patience = held.snapshot, held.name, Patience()
    if may_rerun:
        _check_fields(held, ended, snapshot)  # what its first batch found may be older than its claim
    while True:
        try:
            result = _advance(held, name, ended, snapshot, runner)
            commit(result, alone=alone)
            if held.base and _overtaken(held, ended, snapshot) and run_key(*name) in result.after.state["runs"]:
                _accept(held, name, result.after)
            return result
        except Conflict as conflict:
            if held.pending:
                raise  # the call itself must be judged again
            patience.after(conflict)
            inside = connections[runner.using].in_atomic_block
            snapshot = load(snapshot.id, snapshot.using, lock=inside, names=[held.name])
            name = check_ours(held, snapshot)
            if held.declaration.is_behind(snapshot.state):
                # what comes next is newer code's to say, so it executes it, too
                raise too_late(snapshot, in_time=_is_in_time(ended)) from conflict
            if may_rerun:
                _check_fields(held, ended, snapshot)


def too_late(snapshot: Snapshot, *, in_time: bool) -> Stopped:
    """Return what ends an attempt of code that newer code has overtaken. ``in_time``: nothing was done, or is left."""
    stopped = Stopped(f"Newer code calls steps or fields of timeline {snapshot.id} otherwise.")
    stopped.in_time = in_time
    return stopped


def _is_in_time(ended: type_ended) -> bool:
    return isinstance(ended, NotTaken | Timed) or (isinstance(ended, Failed) and ended.in_time)


def _advance(held: Held, name: RunName, ended: type_ended, snapshot: Snapshot, runner: Runner) -> Advance:
    if isinstance(ended, Completed) and ended.cancel is not None:
        snapshot = with_all(snapshot)
    result = advance(
        held.declaration,
        snapshot,
        [*held.pending, *_outcome(held, name, ended, snapshot)],
        runner.by(None if held.pending else held.fence),
        take=runner.takes,
        passing=name,
    )
    run = result.after.state["runs"].get(run_key(*name))  # none: it sent the work back, or was of an earlier round
    if isinstance(ended, Completed) and ended.child is not None and run and awaits_child(run):
        by = replace(runner.by(run["fence"], leased=False), cause_timeline=snapshot.id)
        child = ended.child
        result.take_in(begin_child(child.declaration, child.id, child.given, result.after, name, by))
    if held.sealed and run and is_open(run):
        result.change.sealed.append(sealed_row(snapshot, name, run["call"], held.sealed))
    return result


def _check_fields(held: Held, ended: type_ended, now: Snapshot) -> None:
    overtaken = _overtaken(held, ended, now)
    if overtaken:
        raise Stale(overtaken, is_committed=any(name in held.base for name in overtaken))


def _overtaken(held: Held, ended: type_ended, now: Snapshot) -> list[str]:
    """Return the fields that the body changed and somebody else changed since it was claimed, or since its first batch."""
    if not isinstance(ended, Completed):
        return []
    then, fields = held.snapshot.state["fields"] | held.base, now.state["fields"]
    return [name for name in ended.changes if fields.get(name) != then.get(name)]


def _accept(held: Held, name: RunName, after: Snapshot) -> None:
    """Take what the fields are now for what they were: both values are told, and who retries the step chooses the body's."""
    fence = after.state["runs"][run_key(*name)]["fence"]
    base = {field: after.state["fields"].get(field) for field in held.base}
    cursor = store.cursor_of(after.using, after.id, name.step, fence) or {}
    store.note(after.using, after.id, name.step, fence, {"cursor": cursor | {"base": base}})


def _outcome(held: Held, name: RunName, ended: type_ended, snapshot: Snapshot) -> list[NewEvent]:
    state = fold(snapshot.state, held.pending, snapshot.head + 1) if held.pending else snapshot.state
    if isinstance(ended, Failed):
        failed, *rest = after_failure(held.declaration, state, name, held.attempt, ended, progressed=held.progressed)
        return [_with_links(failed, ended), *rest]
    if isinstance(ended, NotTaken):
        return [NewEvent(EventType.STEP_NOT_TAKEN, *name, attempt=held.attempt)]
    if isinstance(ended, Timed) and state.get("cancelling"):  # its body has not begun
        return [NewEvent(EventType.STEP_NOT_TAKEN, *name, data={"cancelled": True}, attempt=held.attempt)]
    if isinstance(ended, Timed) and held.declaration.graph.is_left_behind(state, name):
        return [NewEvent(EventType.STEP_NOT_TAKEN, *name, attempt=held.attempt)]
    if isinstance(ended, Timed):
        return [NewEvent(EventType.STEP_DUE, *name, data=ended.said, attempt=held.attempt)]
    if overtaken := _overtaken(held, ended, snapshot):
        theirs = {field: snapshot.state["fields"].get(field) for field in overtaken}
        data: dict[str, Any] = {"reason": "conflict", "changes_kept_back": ended.changes, "theirs": theirs}
        data |= {"done": True} if held.step.delivery is not Delivery.EXACTLY_ONCE else {}
        known_end = held.step.reminds or (state.get("cancelling") and held.step.undoes is None)
        lost = EventType.STEP_FAILED if known_end else EventType.STEP_BLOCKED
        return [NewEvent(lost, *name, data=data, attempt=held.attempt)]
    if ended.child is not None:
        begun: dict[str, Any] = {"waiting": True, "child": ended.child.id.hex}
        return [*ended.recorded, NewEvent(EventType.STEP_DUE, *name, data=begun, attempt=held.attempt)]
    events = [*ended.recorded, _with_links(_completed(held, name, ended), ended)]
    events += still_waiting(snapshot, ended.given)
    if ended.cancel is not None:
        after = fold(state, events, snapshot.head + 1)
        reason, compensate = ended.cancel
        events.append(cancellation(held.declaration, after, reason, compensate=compensate))
    return events


def _with_links(event: NewEvent, ended: Completed | Failed) -> NewEvent:
    """Let the event say of which runs the body made the link."""
    return replace(event, data={**event.data, "links": sorted(ended.links)}) if ended.links else event


def _completed(held: Held, name: RunName, ended: Completed) -> NewEvent:
    data: dict[str, Any] = {"changes": ended.changes}
    if held.step.undoes is None:
        return NewEvent(EventType.STEP_COMPLETED, *name, data=data, attempt=held.attempt)
    data["of"] = held.seen.state["runs"][run_key(*held.name)]["of"]
    return NewEvent(EventType.STEP_UNDONE, *name, data=data, attempt=held.attempt)


def record_superseded(held: Held, ended: type_ended, runner: Runner) -> None:
    """Note how an attempt ended that somebody else has overtaken: an outside effect may have happened. Nothing is applied.

    Also after the timeline's end. Of one that was erased meanwhile only which attempt it was, and how it ended.
    """
    outcome: dict[str, Any] = {"superseded": True, "outcome": "completed" if isinstance(ended, Completed) else "failed"}
    said: dict[str, Any] = {}
    if isinstance(ended, Completed):
        said["changes_kept_back"] = ended.changes
    elif isinstance(ended, Failed):
        said["error"] = ended.described
    patience, name, by = Patience(), held.name, runner.by(held.fence)
    while True:
        snapshot = load(held.snapshot.id, held.snapshot.using)
        if snapshot.state.get("erased"):
            said, name, by = {}, name._replace(item=_item_by_now(held)), replace(by, actor=Actor(by.actor.type))
        if _is_recorded(held, name.item):
            return None
        late = NewEvent(EventType.ATTEMPT_INTERRUPTED, *name, data=outcome | said, attempt=held.attempt)
        try:
            return commit(advance(None, snapshot, [late], by))
        except Conflict as conflict:
            patience.after(conflict)


def _item_by_now(held: Held) -> str:
    """Return what the attempt's item is called since its timeline was erased."""
    begun = Event.objects.using(held.snapshot.using).filter(timeline=held.snapshot.id, sequence=held.fence)
    return begun.values_list("item", flat=True).get()


def _is_recorded(held: Held, item: str) -> bool:
    """Tell whether the attempt's own end is there: the connection went away as it was committed, and nobody was told."""
    events = Event.objects.using(held.snapshot.using).filter(timeline=held.snapshot.id, cause_timeline=None)
    first = events.filter(cause=held.fence).exclude(type=EventType.ATTEMPT_INTERRUPTED)  # a fact that it recorded, say
    outcomes = events.filter(Q(cause=held.fence) | Q(cause__in=first.values("sequence")), type__in=OUTCOMES)
    return outcomes.filter(attempt=held.attempt, item=item).exists()


def check_ours(held: Held, snapshot: Snapshot) -> RunName:
    """Return the name that the run of this attempt has by now; ``LeaseLost`` if a newer event has overtaken it."""
    name = name_at(snapshot.state, held.fence)
    if name is None:
        newest = snapshot.state["runs"].get(run_key(*held.name), {}).get("fence")
        where = f"{held.name.step} of timeline {snapshot.id}"
        raise LeaseLost(f"{where}: event {newest} has overtaken the attempt of event {held.fence}.")
    return name
