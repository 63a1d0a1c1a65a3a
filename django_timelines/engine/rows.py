"""From a change's events to its rows: the events themselves, the open runs, and where items stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from .. import conf, moments
from ..actors import ActorType
from ..events import NewEvent
from ..models import new_id
from ..placements import INLINE, Bell
from ..state import (
    CLAIMABLE,
    RunName,
    StepStatus,
    changed,
    is_open,
    is_settled,
    kept_calls,
    lies_beside,
    open_runs,
    run_key,
    split_key,
    type_changed,
    type_run,
    type_state,
)
from ..statements import type_row
from ..store import Change, Snapshot
from . import bells
from .advanced import Advance, By
from .asked import NO_INPUT

NO_CURSOR = {"cursor": None, "progress": None}  # another call, another round, another step: the row begins anew


def shared(after: Snapshot, at: datetime, by: By) -> type_row:
    return {
        "timeline": after.id,
        "at": at,
        "actor_type": str(by.actor.type),
        "actor_id": by.actor.id[:200],
        "actor_label": by.actor.label[:200],
        "placement": by.placement,
        "trace": by.trace,
    }


def event_row(sequence: int, event: NewEvent) -> type_row:
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


def derive_runs(result: Advance, before: type_state, after: type_state, by: By, passing: RunName | None) -> None:
    change = result.change
    turned = before.get("paused") != after.get("paused")  # paused or resumed: when the clock looks at its runs changes
    changes = [*changed(before, after)]
    former = _former_keys(before, changes)
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
        if old is not None and old.get("sealed") and (is_settled(run) or run.get("call") != old["call"]):
            change.unsealed.append(old["call"])
    if "ended" in after:  # a kept call that its step never took
        calls = [run["call"] for run in kept_calls(after) if run.get("sealed")]
        change.unsealed += [call for call in calls if call not in change.unsealed]
    if result.taken is not None:
        _take_over(change, before, result.taken, passing)


def derive_items(change: Change) -> None:
    """Write where the items stand that went on."""
    before, after = change.before.state, change.after.state
    for key, old, new in changed(before, after):
        step, item, _round = split_key(key)
        if new is not None and lies_beside(after["runs"], key):
            row: type_row = {"timeline": change.after.id, "step": step, "item": item, "index": new.get("index")}
            change.items.append(row | {"status": new["status"], "head": change.after.head, "state": new})
        elif old is not None and lies_beside(before["runs"], key):
            change.items_gone.append(RunName(step, item))


def begins_anew(old: type_run, run: type_run) -> bool:
    """Tell whether a run begins at its first item: in another round, or by another call. To call what is blocked or overdue with
    the same input, or again with none, is to try it again.
    """
    is_tried_again = old["status"] in (StepStatus.BLOCKED, StepStatus.OVERDUE) and _input_of(old) == _input_of(run)
    goes_on = is_tried_again or old.get("call") == run.get("call")
    return not goes_on or old.get("round", 1) != run.get("round", 1)


def _input_of(run: type_run) -> str:
    return str(run.get("digest") or NO_INPUT)


def _has_row(run: type_run) -> bool:
    """Tell whether a run is open and somebody can take it. One that stands for its items cannot be taken."""
    return is_open(run) and "each" not in run


def _former_keys(before: type_state, changes: Sequence[type_changed]) -> dict[str, str]:
    """Return the runs that have another key now, with the one that they had: renamed, or of an earlier round now."""
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
    has_deadline = "until" in run and not after.state.get("cancelling")
    row["until"] = moments.from_text(run["until"]) if has_deadline else None
    row["assigned"] = (run.get("assigned") or {}).get("id")
    if old is None or not _has_row(old):
        row["id"] = new_id()
    elif begins_anew(old, run):
        row |= NO_CURSOR
    row["ring"] = row["until"] if run["status"] == StepStatus.WAITING else None
    if run["status"] == StepStatus.RUNNING:
        row["ring"] = at + conf.lease()
    elif after.state.get("paused"):
        row["ring"], row["placement"] = None, ""  # where it runs is said once it goes on
    elif run["status"] in CLAIMABLE:
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
