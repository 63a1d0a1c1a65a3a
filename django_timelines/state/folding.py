"""From events to the state: what each of them changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..events import EventType, NewEvent
from ..runs import RunName, Runs, run_key, split_key, type_run
from .beside import keys_of, lies_beside, type_state
from .counting import begin_item, count, list_items, status_of_all
from .one_run import awaits_child, is_to_undo
from .renaming import rename
from .statuses import DONE, MOVING, StepStatus, TimelineStatus
from .undoing import begin_undo, mark_undone

_ENDINGS = {
    EventType.TIMELINE_COMPLETED: TimelineStatus.COMPLETED,
    EventType.TIMELINE_FAILED: TimelineStatus.FAILED,
    EventType.TIMELINE_CANCELLED: TimelineStatus.CANCELLED,
}
_WAITING, _DUE = StepStatus.WAITING.value, StepStatus.DUE.value
_STATUS_AFTER: dict[str, str] = {  # as it is stored: text
    EventType.STEP_CALLED: StepStatus.DUE.value,
    EventType.ATTEMPT_STARTED: StepStatus.RUNNING.value,
    EventType.ATTEMPT_FAILED: StepStatus.RETRYING.value,
    EventType.ATTEMPT_INTERRUPTED: StepStatus.RETRYING.value,
    EventType.STEP_COMPLETED: StepStatus.COMPLETED.value,
    EventType.STEP_UNDONE: StepStatus.COMPLETED.value,
    EventType.STEP_REJECTED: StepStatus.WAITING.value,
    EventType.STEP_FAILED: StepStatus.FAILED.value,
    EventType.STEP_BLOCKED: StepStatus.BLOCKED.value,
    EventType.STEP_SKIPPED: StepStatus.SKIPPED.value,
    EventType.STEP_NOT_TAKEN: StepStatus.NOT_TAKEN.value,
    EventType.STEP_NOT_REACHED: StepStatus.NOT_REACHED.value,
    EventType.STEP_OVERDUE: StepStatus.OVERDUE.value,
}
_OF_A_RUN = frozenset({*_STATUS_AFTER, EventType.STEP_DUE})  # recorded ones change nothing, whatever they carry
_BEGINS_ANOTHER = frozenset({EventType.STEP_DUE, EventType.STEP_CALLED})  # child, if the run had one
_ENDS_AN_ATTEMPT = frozenset({EventType.ATTEMPT_FAILED, EventType.ATTEMPT_INTERRUPTED, EventType.STEP_BLOCKED})
_DECIDED = frozenset(
    {
        EventType.STEP_DUE,
        EventType.STEP_BLOCKED,  # its list of items could not be read
        EventType.STEP_NOT_TAKEN,
    }
)
# what a run keeps from event to event; the rest is the newest event's
_LASTING = (
    "begun_as",
    "call",
    "digest",
    "key",
    "caller",
    "given",
    "until",
    "was_until",
    "sealed",
    "guard_passed",
    "of",
    "round",
    "value",
    "index",
    "item",
    "child",
    "done",
    "timed",
    "assigned",
    "remind",
    "planned",
    "since",
    "number",
    "wait",
    "tried",
)
_OF_ITEMS = ("each", "enough", "may_fail", "begun", "value", "index")  # what is left of a run that is cancelled
_TO_UNDO = ("fence", "round", "child", "done")  # and of one that was done
# and what an event says of it
_TOLD = (
    "due",
    "until",
    "was_until",
    "reason",
    "error",
    "errors",
    "final",
    "sealed",
    "guard_passed",
    "of",
    "round",
    "child",
    "done",
    "timed",
    "other",
    "slots",
    "assigned",
    "remind",
    "planned",
    "since",
    "number",
    "wait",
)


def name_of(event: Any) -> RunName:
    """Return the run that an event (stored, or about to be) is about. One of an earlier round's run tells its round."""
    tells = event.type in _OF_A_RUN and "of" not in event.data
    return RunName(event.step, event.item, event.data.get("round", 0) if tells else 0)


def name_at(state: type_state, fence: int) -> RunName | None:
    """Return the run whose newest event this is, under the name that it has by now: renamed, or of an earlier round."""
    runs: Runs = state["runs"]
    return next((split_key(key) for key, run in runs.here().items() if run["fence"] == fence), None)


def empty() -> type_state:
    """Return the state of a timeline before its first event."""
    return {"fields": {}, "runs": Runs()}


def fold(state: type_state, events: Iterable[NewEvent], sequence: int) -> type_state:
    """Return the state after these events, of which the first has this sequence. The given state stays as it is."""
    after = own(state)
    for number, event in enumerate(events, start=sequence):
        apply(after, event, number)
    return after


def own(state: type_state) -> type_state:
    """Return the same state, to be changed by ``apply``: the given one stays as it is."""
    return {**state, "fields": dict(state["fields"]), "runs": state["runs"].copy()}


def apply(state: type_state, event: NewEvent, sequence: int) -> None:
    """Let the state, which is the caller's own, take one more event in."""
    data = event.data
    if event.type in _OF_A_RUN:  # nearly all are
        if not data.get("superseded"):  # a result that came too late changes nothing
            _apply_to_run(state, event, sequence)
    elif event.type == EventType.TIMELINE_STARTED:
        _set(state, data.get("fields", {}), sequence)
        if "parent" in data:
            state["parent"] = data["parent"]
        if "schedule" in data:
            state["schedule"] = data["schedule"]
    elif event.type in _ENDINGS:
        state["ended"] = str(_ENDINGS[EventType(event.type)])
        state.pop("paused", None)
    elif event.type == EventType.CANCEL_REQUESTED:
        _cancel(state, data, sequence)
    elif event.type == EventType.ROUND_BEGUN:
        _begin_round(state, data)
        if event.step:  # by being done; a person's rewind names none
            state["sent_back"] = {**state.get("sent_back", {}), event.step: data["to"]}
        _set(state, data["fields"], sequence, data["unset"])
    elif event.type == EventType.AMENDED:
        _set(state, data.get("changes", {}), sequence)
        if "renamed" in data:
            rename(state, data["renamed"]["steps"], data["renamed"]["fields"])
            for part, names in (("renamed", "steps"), ("renamed_fields", "fields")):
                if data["renamed"][names]:
                    state[part] = {**state.get(part, {}), **data["renamed"][names]}
    elif event.type == EventType.ERASED:
        state["erased"] = True
    elif event.type == EventType.STEP_ASSIGNED:
        _assign(state, run_key(event.step, event.item), data.get("assigned"), sequence)
    elif event.type == EventType.LINKS_REVOKED:
        state["revoked"] = {**state.get("revoked", {}), run_key(event.step, event.item): sequence}
    elif event.type == EventType.PAUSED:
        state["paused"] = True
    elif event.type == EventType.RESUMED:
        state.pop("paused", None)


def _apply_to_run(state: type_state, event: NewEvent, sequence: int) -> None:
    data, runs = event.data, state["runs"]
    round = name_of(event).round if "round" in data else 0
    key = run_key(event.step, event.item, round)
    before = runs.get(key, {})
    fresh = event.type == EventType.STEP_DUE and ("of" in data or "each" in data or "planned" in data)
    if fresh and "of" in data:
        begin_undo(state, event, before, sequence)
    runs[key] = run = _run_after({} if fresh else before, event, sequence)
    if event.item and not round:
        begin_item(runs, event, before, run)
        count(runs, event.step, before, run)
    elif "each" in data:
        list_items(runs, event, sequence)
    if not round and event.step in state.get("rounds", {}):
        run["round"] = state["rounds"][event.step]
    if changes := data.get("changes"):
        _set(state, changes, sequence)
    if "each" in data:
        state.setdefault("set", {"": sequence})
    elif event.type == EventType.STEP_COMPLETED and lies_beside(runs, key):
        run["set"] = sorted({*state.get("set", {}).values()})
    if data.get("links"):
        state["links"] = sorted({*state.get("links", ()), *data["links"]})
    if event.type == EventType.STEP_CALLED and data.get("key"):
        state["keys"] = {**state.get("keys", {}), data["key"]: [key, data.get("digest")]}
    elif event.type == EventType.STEP_REJECTED:  # a rejected call frees its key: it had no effect
        state["keys"] = {name: call for name, call in state.get("keys", {}).items() if name != before.get("key")}
    elif "of" in run and run["status"] in DONE:
        mark_undone(state, run["of"], sequence)
        if run["of"].startswith(f"{key}@"):  # a child of an earlier round: its step begins anew
            del runs[key]
    elif data.get("fatal"):
        state["failing"] = True
    elif (
        event.type in _DECIDED and not round and "of" not in run and event.step == state.get("undoing", {}).get("then")
    ):
        del state["undoing"]
    if round:
        _leave(state, key)


def _set(state: type_state, fields: Mapping[str, Any], sequence: int, unset: Collection[str] = ()) -> None:
    """Let fields have other values. From the first step with items on it is noted which event set each of them last.

    So an item that has completed tells by which few events the fields were what they were by then.
    """
    state["fields"].update(fields)
    for name in unset:
        state["fields"].pop(name, None)
    if "set" in state and (fields or unset):
        state["set"] = {**state["set"], **dict.fromkeys([*fields, *unset], sequence)}


def _leave(state: type_state, key: str) -> None:
    """Let go of a run of an earlier round that has come to its end. Nothing waits for it; it may be undone."""
    run = state["runs"][key]
    if run["status"] in MOVING or run["status"] == StepStatus.BLOCKED or awaits_child(run):
        return
    del state["runs"][key]
    if is_to_undo(run):
        state["past"] = {**state.get("past", {}), key: run}


def _assign(state: type_state, key: str, to: Mapping[str, str] | None, sequence: int) -> None:
    """Let a run be somebody's. Its fence stays: who executes it goes on."""
    run = {name: value for name, value in state["runs"][key].items() if name != "assigned"}
    state["runs"][key] = run | {"given": True} | ({"assigned": dict(to)} if to else {})
    state["revoked"] = {**state.get("revoked", {}), key: sequence}


def _cancel(state: type_state, data: Mapping[str, Any], sequence: int) -> None:
    state["cancelling"] = True
    if state.pop("ended", None):  # a child that had completed is undone with its parent
        state["reopened"] = True
    state.pop("undoing", None)
    state.pop("undone_from", None)
    if data.get("compensate"):
        state["compensating"] = True
    runs = state["runs"]
    for key in data.get("cancelled", ()):
        before = runs.get(key, {})
        runs[key] = {"status": str(StepStatus.CANCELLED), "fence": sequence}
        kept = _OF_ITEMS + (_TO_UNDO if before.get("done") else ())
        runs[key] |= {name: before[name] for name in kept if name in before}
        if split_key(key).round:
            _leave(state, key)
        else:
            count(runs, split_key(key).step, before, runs[key])


def _begin_round(state: type_state, data: Mapping[str, Any]) -> None:
    rounds, past = dict(state.get("rounds", {})), dict(state.get("past", {}))
    for key in keys_of(state, data["rounds"]):
        if _is_kept_call(state["runs"][key]) and "index" not in state["runs"][key]:
            continue  # it is taken when its step's turn comes, in whichever round
        run = state["runs"].pop(key)
        if _is_kept_call(run):  # of an item, which the new round's list may not have: the same call may be made again
            state["keys"] = {name: call for name, call in state.get("keys", {}).items() if name != run.get("key")}
        if key in data["kept"]:
            past[data["kept"][key]] = run
        elif earlier := data.get("going_on", {}).get(key):
            state["runs"][earlier] = run | {"round": split_key(earlier).round} if earlier != key else run
    state["rounds"] = rounds | data["rounds"]
    state["past"] = past
    if "undo" in data:
        state["undoing"] = {"runs": data["undo"], "then": data["to"]}


def _is_kept_call(run: type_run) -> bool:
    return run["status"] == StepStatus.UPCOMING and bool(run.get("early"))


def _run_after(run: type_run, event: NewEvent, sequence: int) -> type_run:
    data = event.data
    after: type_run = {name: run[name] for name in _LASTING if name in run} if run else {}
    if event.type in _BEGINS_ANOTHER:
        after.pop("child", None)
        after.pop("done", None)
    after["fence"] = sequence
    after["attempt"] = event.attempt if event.attempt is not None else run.get("attempt", 0)
    if event.type == EventType.STEP_DUE:
        after["status"] = _WAITING if data.get("waiting") else _DUE
        after |= {"error": run["error"]} if "error" in run else {}  # why somebody tries it again
    else:
        after["status"] = _STATUS_AFTER[event.type]
    if data:
        _take_in(after, data, sequence)
    failed = event.type in _ENDS_AN_ATTEMPT and event.attempt is not None
    forced = event.type == EventType.STEP_DUE and event.attempt is None and run.get("status") == StepStatus.RUNNING
    if (failed or forced) and not data.get("in_time"):
        after["tried"] = True  # its body may have begun
    if event.type == EventType.STEP_CALLED:
        after |= {"call": sequence, "digest": data.get("digest"), "key": data.get("key"), "attempt": 0}
        for name in ("tried", "caller"):
            after.pop(name, None)
        if "caller" in data:
            after["caller"] = data["caller"]
        if data.get("early"):
            after |= {"early": True, "status": str(StepStatus.UPCOMING)}
    elif event.type == EventType.STEP_REJECTED:
        for name in ("call", "digest", "key", "caller", "sealed"):
            after.pop(name, None)
        if "was_until" in after:  # nobody's call has been taken in its stead
            after["until"] = after.pop("was_until")
    if after["status"] != StepStatus.UPCOMING:
        after.pop("item", None)
    return after


def _take_in(after: type_run, data: Mapping[str, Any], sequence: int) -> None:
    """Let what the event says of the run stand in it."""
    if data.get("cancelled"):  # its child was, as the timeline itself is
        after["status"] = str(StepStatus.CANCELLED)
    if data.get("stopped"):  # its worker ended: nothing was wrong with the attempt
        after["attempt"] -= 1
    if data.get("progressed") or data.get("timed"):  # attempts are counted anew
        after["attempt"] = 0
    if data.get("late"):  # its deadline had passed when a person asked for it all the same
        after.pop("until", None)
    after |= {name: data[name] for name in _TOLD if name in data}
    if "value" in data:
        after["value"] = sequence
    if "each" in data:
        after |= {"each": {"count": data["each"]}, "enough": data.get("enough"), "begun": 0}
        after |= {"may_fail": data["may_fail"]} if "may_fail" in data else {}
        after["status"] = str(status_of_all(after))
