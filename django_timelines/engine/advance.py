"""From events to one change: fold them, let the graph decide what follows, and derive the rows of open runs from that.

Executing a step returns what has become due and wakes nobody itself: the bells of an ``Advance`` are its caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from django.utils.translation import gettext as _

from .. import conf, moments
from ..actors import ActorType
from ..events import EventType, NewEvent
from ..exceptions import ItemsNotLoaded
from ..items import with_items
from ..placements import INLINE, Bell
from ..registry import Declaration
from ..runs import Wanted
from ..state import (
    DONE,
    RunName,
    StepStatus,
    anything_open,
    changed,
    fold,
    is_settled,
    split_key,
    timeline_status,
    type_run,
    type_state,
)
from ..steps import Step
from ..store import Change, Snapshot
from . import bells
from .advanced import Advance, By
from .cancel import cancellation
from .notices import notices
from .remind import reminders
from .rewind import begin_again
from .rows import derive_items, derive_runs, event_row, shared
from .undo import next_undo
from .unique import note_value

MOST_TOLD = 10  # timelines that a commit's own runner sees to at once; the clock sees to the others
type_take = Callable[[str, Step[...]], bool]


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
    if declaration is not None and declaration.is_behind(before.state):
        declaration = None  # what comes next is newer code's to say
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
    change.shared = shared(after, at, by)
    change.events = [
        event_row(n, event)
        | (
            {"cause": by.cause, "cause_timeline": by.cause_timeline}
            if n == first
            else {"cause": first, "cause_timeline": None}
        )
        for n, event in enumerate(appended, first)
    ]
    result = Advance(change, [], taken, at_hand=at_hand)
    derive_runs(result, before.state, state, by, passing if taken else None)
    derive_items(change)
    if declaration is not None and declaration.unique is not None:
        note_value(declaration, change)
    change.notices = list(notices(before, after, appended))
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
        for key in settled:
            first = before.head + 1 + len(appended)
            state = _append(_sent_back(declaration, state, key, first, at), before, state, appended)
        left = [key for key in settled if key in state["runs"]]  # no new round has taken it along
        first = before.head + 1 + len(appended)
        state = _append(declaration.graph.decide(state, left, first, at), before, state, appended)
    if state.get("failing") and not state.get("cancelling"):
        reason = _("A step failed, and the parent goes on from that.")
        state = _append([cancellation(declaration, state, reason)], before, state, appended)
    if declaration is not None:
        undo = next_undo(declaration, state, before.head + 1 + len(appended), at)
        state = _append(undo, before, state, appended)
    if declaration is not None and declaration.reminders:
        state = _append(reminders(declaration, before.state, state, at), before, state, appended)
    if not anything_open(state):
        return _append([NewEvent(_ending(state))], before, state, appended)
    return state


def _sent_back(declaration: Declaration, state: type_state, key: str, sequence: int, at: datetime) -> list[NewEvent]:
    """Return the round that a step with ``again=`` begins by being done, if it is still of the current one."""
    step = declaration.steps.get(key)
    if step is None or step.again is None or state["runs"].get(key, {}).get("status") not in DONE:
        return []
    begun = begin_again(declaration, state, key, step.again.name)
    if "undo" in begun.data:
        return [begun]  # its first step is reached once nothing is left to undo
    state = fold(state, [begun], sequence)
    return [begun, *declaration.graph.decide(state, [], sequence + 1, at, begin=step.again.name)]


def _append(events: list[NewEvent], before: Snapshot, state: type_state, appended: list[NewEvent]) -> type_state:
    first = before.head + 1 + len(appended)
    appended += events
    return fold(state, events, first) if events else state


def _ending(state: type_state) -> EventType:
    if state.get("failing"):
        return EventType.TIMELINE_FAILED
    return EventType.TIMELINE_CANCELLED if state.get("cancelling") else EventType.TIMELINE_COMPLETED


def _standing(run: type_run | None) -> str:
    """Say whether a run is settled, or needs a person: blocked, or overdue. Either may let others begin."""
    if is_settled(run):
        return "settled"
    return "stands" if run is not None and run["status"] in (StepStatus.BLOCKED, StepStatus.OVERDUE) else ""


def _take(declaration: Declaration, before: type_state, after: type_state, take: type_take) -> RunName | None:
    begun = [
        split_key(key)
        for key, _old, run in changed(before, after)
        if run
        and run["status"] == StepStatus.DUE
        and "due" not in run
        and "each" not in run
        and not split_key(key).round  # which was due before, and has a bell
    ]
    for name, step in declaration.steps.items():
        found = next((one for one in begun if one[0] == name), None)
        if found is not None and take(bells.placement_of(declaration.label, name), step):
            return found
    return None
