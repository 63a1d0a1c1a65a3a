"""From events to one change: fold them, let the graph decide what follows, and derive the rows of open runs from that.

Executing a step returns what has become due and wakes nobody itself: the bells of an ``Advance`` are its caller's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.utils.translation import gettext as _

from .. import conf, moments
from ..actors import Actor, ActorType
from ..events import EventType, NewEvent
from ..exceptions import ItemsNotLoaded
from ..items import with_items
from ..models import Notice, new_id
from ..placements import INLINE, Bell
from ..registry import Declaration
from ..runs import Wanted
from ..state import (
    DONE,
    RunName,
    StepStatus,
    anything_open,
    awaits_child,
    changed,
    fold,
    in_state,
    is_open,
    kept_calls,
    lies_beside,
    open_runs,
    run_key,
    split_key,
    timeline_status,
    type_run,
    type_state,
)
from ..statements import type_row
from ..steps import Step
from ..store import Change, Snapshot
from . import bells
from .cancel import cancellation
from .remind import reminders
from .rewind import begin_again
from .undo import next_undo
from .unique import note_value

MOST_TOLD = 10  # timelines that a commit's own runner sees to at once; the clock sees to the others
NO_CURSOR = {"cursor": None, "progress": None}  # another call, another round, another step: the row begins anew
type_take = Callable[[str, Step[...]], bool]


@dataclass(frozen=True, slots=True)
class By:
    """Who appends, where, and what led to it: the same for all events of a commit."""

    actor: Actor
    placement: str = ""
    trace: str = ""
    cause: int | None = None
    cause_timeline: uuid.UUID | None = None
    through: str = ""  # what a person acts through
    holder: str = ""  # who takes the leases of the attempts that this commit starts


@dataclass(slots=True)
class Advance:
    """A change, and what its commit makes due."""

    change: Change
    bells: list[Bell]
    taken: RunName | None = None  # the next run, claimed in the same commit by the same runner
    inline: list[Bell] = field(default_factory=list)  # due, or told, and seen to by whoever made them so
    at_hand: RunName | None = None  # the next run, which the same runner claims when it has a slot for it

    @property
    def after(self) -> Snapshot:
        """The timeline after the commit."""
        return self.change.after

    def take_in(self, child: Advance) -> None:
        """Let a timeline begin with this commit."""
        self.change.children.append(child.change)
        self.bells += child.bells
        self.inline += child.inline


def advance(
    declaration: Declaration | None,
    before: Snapshot,
    events: Sequence[NewEvent],
    by: By,
    *,
    take: type_take | None = None,
    passing: RunName | None = None,
) -> Advance:
    """Return what appending these events writes and makes due. Items that turn out to be needed are read; ``Conflict`` if the
    timeline went on meanwhile.

    ``take(placement, step)`` tells whether the runner goes on with this next step; ``passing`` names the
    run that it holds, whose row and lease pass to that step.
    """
    needed: list[Wanted] = []
    while True:
        try:
            return _advance(declaration, before, events, by, take, passing)
        except ItemsNotLoaded as lacking:
            if lacking.wanted in needed:
                raise  # it was read, and is not there
            needed.append(lacking.wanted)
            before = with_items(before, lacking.wanted)


def _advance(
    declaration: Declaration | None,
    before: Snapshot,
    events: Sequence[NewEvent],
    by: By,
    take: type_take | None,
    passing: RunName | None,
) -> Advance:
    at = moments.now()
    appended = _said_through(events, by)
    state = fold(before.state, appended, before.head + 1)
    state = follow(declaration, before, state, appended, at)
    taken = None
    if declaration is not None and take is not None and not state.get("paused"):
        taken = _take(declaration, before.state, state, take)
    at_hand = taken if declaration is not None and taken is not None and taken.step in declaration.limited else None
    taken = taken if at_hand is None else None
    if taken is not None:
        started = NewEvent(EventType.ATTEMPT_STARTED, *taken, attempt=1)
        state = fold(state, [started], before.head + len(appended) + 1)
        appended.append(started)
    head = before.head + len(appended)
    after = replace(before, head=head, status=str(timeline_status(state)), state=state)
    change = Change(before, after, at, holder=by.holder, lease_seconds=conf.lease().total_seconds())
    first = before.head + 1
    change.shared = _shared(after, at, by)
    change.events = [
        _event_row(n, event)
        | (
            {"cause": by.cause, "cause_timeline": by.cause_timeline}
            if n == first
            else {"cause": first, "cause_timeline": None}
        )
        for n, event in enumerate(appended, first)
    ]
    result = Advance(change, [], taken, at_hand=at_hand)
    _derive_runs(result, before.state, state, by, passing if taken else None)
    _derive_items(change)
    if declaration is not None and declaration.unique is not None:
        note_value(declaration, change)
    change.notices = list(_notices(before, after))
    told = change.notices[:MOST_TOLD]
    result.inline += [Bell(one["timeline"].hex, "", "", 0, after.using, INLINE, by.trace) for one in told]
    return result


def _said_through(events: Sequence[NewEvent], by: By) -> list[NewEvent]:
    """Let what a person asked for say what it came through; not what an attempt came to, nor what a step began elsewhere."""
    asked, *others = events
    if not by.through or by.cause_timeline or by.actor.type != ActorType.USER or asked.attempt is not None:
        return list(events)
    return [replace(asked, data={**asked.data, "through": by.through}), *others]


def follow(
    declaration: Declaration | None, before: Snapshot, state: type_state, appended: list[NewEvent], at: datetime
) -> type_state:
    """Append what follows from the events: decisions of the graph, then the timeline's end. Return the state with it."""
    if "ended" in state:
        return state
    settled = [key for key, old, new in changed(before.state, state) if _standing(new) not in ("", _standing(old))]
    settled = [key for key in settled if not split_key(key).round]  # nothing waits for what an earlier round began
    if declaration is not None and not state.get("cancelling") and not state.get("failing"):
        back = _sent_back(declaration, state, settled)
        first = before.head + 1 + len(appended)
        decided = [back] if back else declaration.graph.decide(state, settled, first, at)
        state = _append(decided, before, state, appended)
    if state.get("failing") and not state.get("cancelling"):
        reason = _("A step failed, and the parent goes on from that.")
        state = _append([cancellation(declaration, state, reason)], before, state, appended)
    undo = next_undo(declaration, state, at) if declaration is not None else []
    state = _append(undo, before, state, appended)
    if declaration is not None and declaration.reminders:
        state = _append(reminders(declaration, before.state, state, at), before, state, appended)
    if not undo and not anything_open(state):
        return _append([NewEvent(_ending(state))], before, state, appended)
    return state


def _sent_back(declaration: Declaration, state: type_state, settled: list[str]) -> NewEvent | None:
    """Return the round that a step with ``again=`` begins by being done, if it is of the current one."""
    for key in settled:
        step, run = declaration.steps.get(key), state["runs"][key]
        if step is not None and step.again is not None and run["status"] in DONE:
            return begin_again(declaration, state, key, step.again.name)
    return None


def _append(events: list[NewEvent], before: Snapshot, state: type_state, appended: list[NewEvent]) -> type_state:
    first = before.head + 1 + len(appended)
    appended += events
    return fold(state, events, first) if events else state


def _ending(state: type_state) -> EventType:
    if state.get("failing"):
        return EventType.TIMELINE_FAILED
    return EventType.TIMELINE_CANCELLED if state.get("cancelling") else EventType.TIMELINE_COMPLETED


def _notices(before: Snapshot, after: Snapshot) -> Iterator[type_row]:
    """Return what others are told: the parent of the end, children that they are no longer wanted."""
    if "parent" in after.state and "ended" in after.state and "ended" not in before.state:
        parent = after.state["parent"]
        name = RunName(parent["step"], parent["item"])
        yield notice_row(uuid.UUID(parent["timeline"]), after.id, after.head, Notice.ENDED, name)
    turned = after.state.get("cancelling") and not before.state.get("cancelling")
    compensate = bool(after.state.get("compensating"))
    earlier = {run["child"] for key, run in in_state(after.state) if awaits_child(run) and split_key(key).round}
    for key, (old, new) in _changed_or_open(before.state, after.state, turned=bool(turned)).items():
        name = split_key(key)
        goes_on = awaits_child(old) and (
            (awaits_child(new) and new["child"] == old["child"]) or (old["child"] in earlier and not name.round)
        )
        if awaits_child(old) and (turned or not goes_on) and new.get("of") == old.get("of"):
            yield notice_row(uuid.UUID(old["child"]), after.id, after.head, Notice.CANCEL, name, compensate=compensate)
        if "of" in new and awaits_child(new) and "of" not in old:
            yield notice_row(uuid.UUID(new["child"]), after.id, after.head, Notice.CANCEL, name, compensate=True)


def _changed_or_open(before: type_state, after: type_state, *, turned: bool) -> dict[str, tuple[type_run, type_run]]:
    changes = {key: (old or {}, new or {}) for key, old, new in changed(before, after)}
    others = {key: (run, run) for key, run in open_runs(after).items()} if turned else {}
    return others | changes


def notice_row(
    addressee: uuid.UUID, source: uuid.UUID, sequence: int, kind: str, name: RunName, *, compensate: bool = False
) -> type_row:
    """Return the row that tells a timeline something. ``name``: the parent's run that the child belongs to."""
    reason = _("The timeline that began it no longer waits for it.") if kind == Notice.CANCEL else ""
    row: type_row = {"id": new_id(), "timeline": addressee, "source": source, "sequence": sequence}
    row |= {"step": name[0], "item": name[1]}
    return row | {"kind": kind, "reason": reason, "compensate": compensate}


def _is_settled(run: type_run | None) -> bool:
    return run is not None and run["status"] != StepStatus.UPCOMING and not is_open(run)


def _standing(run: type_run | None) -> str:
    """Say whether a run is settled or needs a person; either may let others begin."""
    if _is_settled(run):
        return "settled"
    return "blocked" if run is not None and run["status"] == StepStatus.BLOCKED else ""


def _take(declaration: Declaration, before: type_state, after: type_state, take: type_take) -> RunName | None:
    begun = [
        split_key(key)
        for key, _old, run in changed(before, after)
        if run and run["status"] == StepStatus.DUE and "due" not in run and "each" not in run
    ]
    for name, step in declaration.steps.items():
        found = next((one for one in begun if one[0] == name), None)
        if found is not None and take(bells.placement_of(declaration.label, name), step):
            return found
    return None


def _shared(after: Snapshot, at: datetime, by: By) -> type_row:
    return {
        "timeline": after.id,
        "at": at,
        "actor_type": str(by.actor.type),
        "actor_id": by.actor.id[:200],
        "actor_label": by.actor.label[:200],
        "placement": by.placement,
        "trace": by.trace,
    }


def _event_row(sequence: int, event: NewEvent) -> type_row:
    row = {
        "sequence": sequence,
        "type": str(event.type),
        "version": event.version,
        "step": event.step,
        "item": event.item,
        "attempt": event.attempt,
        "data": event.data,
    }
    return row if event.at is None else row | {"at": event.at}


def _derive_runs(result: Advance, before: type_state, after: type_state, by: By, passing: RunName | None) -> None:
    change = result.change
    turned = before.get("paused") != after.get("paused")  # paused or resumed: when the clock looks at its runs changes
    former = _former_keys(before, after)
    changes = [*changed(before, after)]
    if turned:
        found = {key for key, _old, _new in changes}
        changes += [(key, run, run) for key, run in open_runs(after).items() if key not in found]
    left = {*former.values()}
    for key, old, run in changes:
        name = split_key(key)
        if run is None:
            if old and key not in left:
                _end_run(change, name, old, passing)
            continue
        if key in former:
            old = before["runs"].here()[former[key]]
            if run["fence"] == old["fence"]:  # its row goes on, with its cursor and its lease, maybe under another name
                if _has_row(run) and name[:2] != split_key(former[key])[:2]:
                    change.runs[name] = (run["fence"], _run_row(result, name, run, old, by))
                continue
        elif key in left:  # the row that was called so is another run's now
            old = None
        if run is old and run["status"] == StepStatus.RUNNING:
            continue
        was_open = old is not None and _has_row(old)
        if _has_row(run):
            change.runs[name] = (old["fence"] if old and was_open else None, _run_row(result, name, run, old, by))
        elif was_open and old is not None:
            change.runs[name] = (old["fence"], None)
        if was_open and old is not None and old["status"] == StepStatus.RUNNING and name != passing:
            change.released.append(old["fence"])
        if _has_row(run) and run["status"] == StepStatus.RUNNING and name != result.taken:
            change.leased.append(name)
        if old is not None and old.get("slots") and run.get("slots") != old["slots"]:
            change.freed += old["slots"]
        if old is not None and old.get("sealed") and (_is_settled(run) or run.get("sealed") != old["sealed"]):
            change.unsealed.append(old["call"])
    if "ended" in after:  # a kept call that its step never took
        calls = [run["call"] for run in kept_calls(after) if run.get("sealed")]
        change.unsealed += [call for call in calls if call not in change.unsealed]
    if result.taken is not None:
        _take_over(change, before, result.taken, passing)


def _derive_items(change: Change) -> None:
    """Write where the items stand that went on."""
    before, after = change.before.state, change.after.state
    for key, old, new in changed(before, after):
        step, item, _round = split_key(key)
        if new is not None and lies_beside(after["runs"], key):
            row: type_row = {"timeline": change.after.id, "step": step, "item": item, "index": new.get("index")}
            change.items.append(row | {"status": new["status"], "head": change.after.head, "state": new})
        elif old is not None and lies_beside(before["runs"], key):
            change.items_gone.append(RunName(step, item))


def _has_row(run: type_run) -> bool:
    """Tell whether a run is open and somebody can take it. One that stands for its items cannot be taken."""
    return is_open(run) and "each" not in run


def _former_keys(before: type_state, after: type_state) -> dict[str, str]:
    """Return the runs that have another key now, with the one that they had: renamed, or of an earlier round now."""
    changes = [*changed(before, after)]
    left = {old["fence"]: key for key, old, new in changes if old and new is None}
    came = {key: new["fence"] for key, old, new in changes if new and old is None}
    found = {key: left[fence] for key, fence in came.items() if fence in left}
    was = before["runs"].here()
    plain = {key: run_key(*split_key(key)[:2]) for key in came if split_key(key).round}
    return found | {key: plain[key] for key in plain if plain[key] in was}


def _end_run(change: Change, name: RunName, old: type_run, passing: RunName | None) -> None:
    """It came to its end in an earlier round, or a new round began without it."""
    if _has_row(old):
        change.runs[name] = (old["fence"], None)
        if old["status"] == StepStatus.RUNNING and name != passing:
            change.released.append(old["fence"])
    change.freed += old.get("slots", ())
    if old.get("sealed"):
        change.unsealed.append(old["call"])


def _take_over(change: Change, before: type_state, taken: RunName, passing: RunName | None) -> None:
    """Let the runner's row and lease pass to the step that it goes on with, as far as it has them."""
    fence, row = change.runs.get(passing, (None, None)) if passing else (None, None)
    had_lease = passing is not None and before["runs"].get(run_key(*passing), {}).get("status") == StepStatus.RUNNING
    if passing is not None and fence is not None and row is None:
        change.moved = (passing, taken)
        row_of_taken = change.runs[taken][1] or {}
        row_of_taken.pop("id", None)  # the row keeps its id, and so its lease
        row_of_taken |= NO_CURSOR
    elif passing is not None and had_lease:
        change.released.append(before["runs"][run_key(*passing)]["fence"])
    if not (change.moved and had_lease):
        change.leased.append(taken)


def _run_row(result: Advance, name: RunName, run: type_run, old: type_run | None, by: By) -> type_row:
    at, after = result.change.at, result.after
    row: type_row = {"timeline": after.id, "step": name[0], "item": name[1], "status": run["status"]}
    row |= {"fence": run["fence"], "attempt": run["attempt"], "rings": 0, "placement": by.placement, "awaits": None}
    row["due"] = moments.from_text(run["due"]) if "due" in run else None
    row["until"] = moments.from_text(run["until"]) if "until" in run else None
    row["assigned"] = (run.get("assigned") or {}).get("id")
    if old is None or not _has_row(old):
        row["id"] = new_id()
    elif (old.get("call"), old.get("round", 1)) != (run.get("call"), run.get("round", 1)):
        row |= NO_CURSOR
    row["ring"] = row["until"] if run["status"] == StepStatus.WAITING else None
    if run["status"] == StepStatus.RUNNING:
        row["ring"] = at + conf.lease()
    elif after.state.get("paused"):
        row["ring"] = None
    elif run["status"] in (StepStatus.DUE, StepStatus.RETRYING):
        _make_due(result, name, run, row, by)
        row["ring"] = min(row["ring"], row["until"] or row["ring"])
    return row


def _make_due(result: Advance, name: RunName, run: type_run, row: type_row, by: By) -> None:
    after, at = result.after, result.change.at
    if row["due"] is not None and row["due"] > at:
        row["ring"], row["placement"] = row["due"], ""
        return
    row["rings"], row["ring"] = 1, bells.next_ring(0, at)
    is_clock = by.actor.type == ActorType.CLOCK  # it executes nothing
    if is_clock or run["attempt"] or run["fence"] <= result.change.before.head:  # nobody stands there to run it inline
        row["placement"] = bells.retry_placement_of(after.workflow, name[0])
    else:
        row["placement"] = bells.placement_of(after.workflow, name[0], called=run.get("call") == run["fence"])
    bell = Bell(after.id.hex, *name[:2], run["fence"], after.using, row["placement"], by.trace)
    is_ours = row["placement"] == INLINE or name == result.at_hand
    (result.inline if is_ours else result.bells).append(bell)
