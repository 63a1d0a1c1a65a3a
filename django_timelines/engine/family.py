"""Timelines that belong together: a step begins another one, is told of its end, and tells it when it is no longer wanted.

What one timeline tells another is a row addressed to it (a ``Notice``), written with the commit that it is about. The other
takes it in a transaction of its own, many at a time; the clock sees to what nobody took.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError

from .. import moments, registry, store
from ..events import EventType, NewEvent
from ..exceptions import Conflict, NotUnique, Unknown, ValueUnknown
from ..fields import UNSET, text
from ..models import Notice, Timeline, first_id_at
from ..placements import INLINE, Bell
from ..registry import Declaration
from ..state import (
    UNFITTING,
    RunName,
    TimelineStatus,
    apply,
    awaits_child,
    changed,
    earlier_keys,
    empty,
    fold,
    own,
    run_key,
    split_key,
    type_run,
    type_state,
)
from ..statements import type_row
from ..steps import Step
from ..store import Change, Snapshot
from .advance import advance
from .advanced import Advance, By
from .asked import Input
from .cancel import cancellation
from .elsewhere import done_elsewhere, is_fresh, lacks
from .errors import described
from .failure import gave_up
from .notices import notice_row
from .patience import Patience
from .renames import brought_up
from .runner import Runner, commit, load
from .sealing import sealed_row
from .undo import undoable

MANY = 500  # notices that one transaction takes, and timelines that one look finds


def begin_child(
    declaration: Declaration, child: uuid.UUID, given: Input, parent: Snapshot, name: RunName, by: By
) -> Advance:
    """Return the change that begins a child for this run: its entry step is called with what ``given=`` returned."""
    entry = declaration.graph.entry
    fails = registry.get(parent.workflow).graph.lets_fail(name[0])
    origin = {"timeline": parent.id.hex, "step": name[0], "item": name[1], "fails": fails}
    before = Snapshot(
        child, declaration.label, parent.using, 0, "", empty(), parent.correlation, started_by=parent.started_by
    )
    begun = NewEvent(EventType.TIMELINE_STARTED, data={"fields": declaration.defaults(), "parent": origin})
    state = fold(before.state, [begun], 1)
    asked = [given.event(RunName(entry.name))] if entry.waits else declaration.graph.reach(entry, state, moments.now())
    result = advance(declaration, before, [begun, *asked], by)
    if given.secrets:
        result.change.sealed.append(sealed_row(before, RunName(entry.name), 2, given.secrets))
    return result


def hear(timeline: uuid.UUID, runner: Runner) -> list[Bell]:
    """Let a timeline take what others told it; return the bells that are for this runner to answer.

    Those that are for other code than this process has stay for that.
    """
    patience, refused, many = Patience(), "", MANY
    while found := list(Notice.objects.using(runner.using).filter(timeline=timeline).order_by("id")[:MANY]):
        try:
            snapshot = _snapshot_for(timeline, found, runner)
        except Unknown:  # it was pruned
            return _take_unchanged(timeline, found, runner, ended=0)
        declaration = registry.find(snapshot.workflow)
        notices = [one for one in found if not _is_for_other_code(declaration, snapshot, one)][:many]
        if not notices:
            return []
        events = _meant(declaration, snapshot, notices, refused)
        if not events:
            return _take_unchanged(timeline, notices, runner, snapshot.head if "ended" in snapshot.state else None)
        by = replace(runner.by(notices[0].sequence, leased=False), cause_timeline=notices[0].source)
        try:
            result = advance(declaration, snapshot, events, by)
            result.change.notices = list(_news(result.change, {notice.source for notice in notices}))
            result.change.heard = [notice.id for notice in notices]
            commit(result)
        except Conflict as conflict:
            patience.after(conflict)
            continue
        except (NotUnique, ValueUnknown) as error:
            # a child gives its parent what another timeline has, or nobody can name
            if refused:
                raise  # it is not about what the child gives
            refused = str(error) if many == 1 else ""
            many = 1  # one by one: it is refused, and no other
            continue
        return result.inline
    return []


def _is_for_other_code(declaration: Declaration | None, snapshot: Snapshot, notice: Notice) -> bool:
    """Tell whether a notice stays for code that knows more: of renamed steps and fields, of the step that it is about, or of
    what there is to undo.
    """
    state = snapshot.state
    if declaration is not None and declaration.is_behind(state):
        return True
    if notice.kind == Notice.ENDED:
        if declaration is None and state.get("compensating"):
            return True  # what is to be undone next only its class knows
        nobody_asks = state.get("cancelling") and not state.get("compensating")
        key = None if nobody_asks or not is_fresh(notice) else _awaiting(declaration, state, notice)
        if key is None:
            return False
        step, gives = split_key(key).step, "of" not in state["runs"][key]  # nothing, if it is undone
        return lacks(declaration, step, state) or (gives and not _takes_results(declaration, step))
    may_be_undone = state.get("ended", TimelineStatus.COMPLETED) == TimelineStatus.COMPLETED and not state.get("erased")
    if not notice.compensate or not may_be_undone:
        return False
    return declaration is None or bool(done_elsewhere(declaration, snapshot))


def _takes_results(declaration: Declaration | None, step: str) -> bool:
    """Tell whether the code knows what a child of this step gives its parent: it may be another sort of step since."""
    declared = declaration.steps.get(step) if declaration else None
    return declared is not None and declared.child is not None


def unheard(using: str, before: datetime | None = None) -> list[uuid.UUID]:
    """Return the timelines that have notices, or notices from before this time, that nobody took; ``MANY`` at most.

    Each counts once, however many it has: one that cannot take them, for now, keeps none of the others waiting.
    """
    waiting = Notice.objects.using(using).filter(id__lt=first_id_at(before)) if before else Notice.objects.using(using)
    return list(waiting.order_by("timeline").values_list("timeline", flat=True).distinct()[:MANY])


def _snapshot_for(timeline: uuid.UUID, notices: list[Notice], runner: Runner) -> Snapshot:
    """Read the timeline with the runs that it is told something about, whatever their steps are called by now."""
    whole = any(notice.kind == Notice.CANCEL for notice in notices)
    snapshot = load(timeline, runner.using, whole=whole)
    declaration = registry.find(snapshot.workflow)
    snapshot = brought_up(declaration, snapshot)
    items = [(notice.step, notice.item) for notice in notices if notice.item]
    names = [RunName(name, item) for step, item in items for name in _names_of(declaration, snapshot.state, step)]
    return snapshot if whole or not names else load(timeline, runner.using, names=names)


def _meant(declaration: Declaration | None, snapshot: Snapshot, notices: list[Notice], refused: str) -> list[NewEvent]:
    """Return what all of these mean to the timeline. ``refused``: no result can be taken."""
    sources = [notice.source for notice in notices if notice.kind == Notice.ENDED]
    children = Timeline.objects.using(snapshot.using).in_bulk(sources) if sources else {}
    events: list[NewEvent] = []
    state = own(snapshot.state)
    for notice in notices:
        for event in _told(declaration, state, notice, children.get(notice.source), refused):
            events.append(event)
            apply(state, event, snapshot.head + len(events))
    return events


def _told(
    declaration: Declaration | None, state: type_state, notice: Notice, child: Timeline | None, refused: str
) -> list[NewEvent]:
    """Return what a notice means to the timeline: nothing, if it went on without it."""
    if notice.kind == Notice.CANCEL:
        if "ended" in state:
            return _reopened(declaration, state, notice)
        if state.get("cancelling"):
            return []
        return [cancellation(declaration, state, notice.reason, compensate=notice.compensate)]
    key = _awaiting(declaration, state, notice)
    return _after_child(declaration, state, split_key(key), state["runs"][key], child, refused) if key else []


def _awaiting(declaration: Declaration | None, state: type_state, notice: Notice) -> str | None:
    """Return which run waits for the child that tells of its end: the current round's, one of an earlier round, or none."""
    for step in _names_of(declaration, state, notice.step):
        for key in (*earlier_keys(state, step), run_key(step, notice.item)):
            run = state["runs"].get(key, {})
            if run.get("child") == notice.source.hex and awaits_child(run):
                return key
    return None


def _names_of(declaration: Declaration | None, state: type_state, step: str) -> set[str]:
    """Return what a step may be called by now that had this name when it began its child."""
    return {step, declaration.now_called(step, state) if declaration else step}


def _news(change: Change, sources: set[uuid.UUID]) -> Iterator[type_row]:
    """Return what is to be told: to a child that has just told of its end, only that it is to be undone."""
    runs = changed(change.before.state, change.after.state)
    awaited = {uuid.UUID(run["child"]) for _key, _old, run in runs if run and awaits_child(run)}
    for row in change.notices:
        if row["kind"] == Notice.ENDED or row["timeline"] not in sources or row["timeline"] in awaited:
            yield row


def _reopened(declaration: Declaration | None, state: type_state, notice: Notice) -> list[NewEvent]:
    """Undo a child that had completed: the one case in which a timeline goes on after its end."""
    wanted = notice.compensate and state["ended"] == TimelineStatus.COMPLETED and not state.get("erased")
    if declaration is None or not wanted or not undoable(declaration, state):
        return []
    return [cancellation(declaration, state, notice.reason, compensate=True)]


def _after_child(
    declaration: Declaration | None,
    state: type_state,
    name: RunName,
    run: type_run,
    child: Timeline | None,
    refused: str,
) -> list[NewEvent]:
    """Return how a run goes on now that its child has ended."""
    ended = child.state.get("ended") if child is not None else TimelineStatus.CANCELLED
    if ended is None:
        return []
    if "of" in run:
        return [NewEvent(EventType.STEP_UNDONE, *name, data={"changes": {}, "of": run["of"]}, attempt=run["attempt"])]
    if ended == TimelineStatus.COMPLETED and child is not None:
        if declaration is None or not _takes_results(
            declaration, name.step
        ):  # nobody here knows its results, nor what follows
            if state.get("cancelling") and not state.get("compensating"):  # and nobody asks
                return [NewEvent(EventType.STEP_COMPLETED, *name, data={"changes": {}}, attempt=run["attempt"])]
            unknown = {"reason": UNFITTING, "error": _unknown(name, child), "done": True}
            return [NewEvent(EventType.STEP_BLOCKED, *name, data=unknown)]
        changes, wrong = _results(declaration, declaration.steps[name.step], child, state["fields"])
        wrong = wrong or (refused if changes else "")
        if wrong:
            error = {"type": "", "message": wrong, "traceback": ""}
            lost = gave_up(declaration, state, name, UNFITTING, error)
            return [replace(lost, data={**lost.data, "done": True})]
        return [NewEvent(EventType.STEP_COMPLETED, *name, data={"changes": changes}, attempt=run["attempt"])]
    title = f"{child.workflow} {child.pk}" if child is not None else "Its timeline"
    error = {
        "type": "",
        "message": f"{title} {'was cancelled' if ended == TimelineStatus.CANCELLED else 'failed'}.",
        "traceback": "",
    }
    event = gave_up(declaration, state, name, str(ended), error)
    if ended == TimelineStatus.CANCELLED and state.get("cancelling"):
        event = replace(event, data={**event.data, "cancelled": True})
    return [event]


def take_results_again(declaration: Declaration, now: Snapshot, name: RunName) -> list[NewEvent]:
    """Return how a run goes on whose child's results did not fit: they may by now. No other child begins."""
    run = now.state["runs"][run_key(*name)]
    child = Timeline.objects.using(now.using).filter(pk=run["child"]).first()
    return _after_child(declaration, now.state, name, run, child, "")


def _unknown(name: RunName, child: Timeline) -> dict[str, str]:
    said = f"{child.workflow} {child.pk} has completed, and the code has no subworkflow {name.step} that takes its results."
    return {"type": "", "message": said, "traceback": ""}


def _results(
    declaration: Declaration, step: Step[...], child: Timeline, fields: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Return the parent's fields that the child's give their values to, and what is wrong with them."""
    changes: dict[str, Any] = {}
    for field, source in step.results.items():
        begun = registry.find(child.workflow)
        theirs = begun.fields.get(source) if begun else None
        stored = child.state["fields"]
        value = theirs.stored_in(stored) if theirs else stored.get(source, UNSET)
        if value is UNSET:
            return {}, f"{child.workflow} {child.pk} has not set {source!r}, which {field!r} is to be."
        try:
            declared = declaration.fields[field]
            changes[field] = declared.encode(declared.decode(value))
        except (InterfaceError, OperationalError):  # the database is away: they are looked at again
            raise
        except Exception as error:  # a validator is the project's own code, and a row may be gone
            said = described(error)["message"]
            return {}, f"{source!r} of {child.workflow} {child.pk} does not fit {field!r}: {said}"
    try:
        text({**fields, **changes} if changes else {})
    except ValidationError as error:
        return {}, f"What {child.workflow} {child.pk} gives is too much: {' '.join(error.messages)}"
    return changes, ""


def _take_unchanged(timeline: uuid.UUID, notices: list[Notice], runner: Runner, ended: int | None) -> list[Bell]:
    """Take notices that change nothing. Who asked for an end that was there already is told of it (0: of one that is gone)."""
    asked = [notice for notice in notices if notice.kind == Notice.CANCEL and ended is not None]
    names = {notice.source: RunName(notice.step, notice.item) for notice in asked}
    rows = [notice_row(source, timeline, ended or 0, Notice.ENDED, name) for source, name in names.items()]
    store.take_notices(runner.using, [notice.id for notice in notices], rows)
    return [Bell(notice.source.hex, "", "", 0, runner.using, INLINE) for notice in asked]
