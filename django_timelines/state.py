"""What events mean: the fold of a timeline's events into its state. Pure; nothing else changes state.

The state is a JSON object, the same in the timeline's row and in memory::

    {"fields": {"email": "a@example.org"},
     "runs": {"register": {"status": "completed", "fence": 3, "attempt": 1},
              "make": {"status": "running", "fence": 7, "each": {"count": 2, "completed": 1, "running": 1}, …},
              "make[latte]": {…}, "make[mocha]": {…}},
     "keys": {"evt_17": "register"},
     "rounds": {"charge": 3}, "past": {"charge@1": {…}},
     "links": ["activate"], "revoked": {"activate": 9},
     "ended": "completed"}

``fence`` is the sequence of the newest event of the run: it proves who holds its attempt, and no two open runs have the same.
``runs`` has those of each step's current round, and of earlier rounds (``charge@2``) what somebody had begun, until it comes to
its end. Of what has ended there only what may still be undone is kept, in ``past``. A step with ``each=`` has one run for each
item, and one that stands for them all: it counts them, and is settled when they are. The runs of its items are stored beside the
state, a row each, and are read where they are needed (``Runs``): what is said of all of them is a matter of counts. The fields
are a column of their own, which is written when they change. ``links``
names the runs whose link a body made, ``revoked`` those whose links were revoked, with the event that did it (``""``: the
timeline's own).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from .events import EventType, NewEvent
from .runs import RunName as RunName
from .runs import Runs as Runs
from .runs import item_step
from .runs import run_key as run_key
from .runs import split_key as split_key
from .runs import type_run as type_run

type_state = dict[str, Any]


class TimelineStatus(StrEnum):
    """A closed list."""

    RUNNING = "running"
    """Something is due, is being executed or will be tried again."""
    WAITING = "waiting"
    """Nothing goes on until somebody calls a step or a time comes."""
    BLOCKED = "blocked"
    """A step needs a person."""
    PAUSED = "paused"
    """A person said that nothing new is begun for now."""
    CANCELLING = "cancelling"
    """Cancelled, but something that was begun is carried to its end first."""
    COMPLETED = "completed"
    """Every step is settled."""
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepStatus(StrEnum):
    """A closed list."""

    UPCOMING = "upcoming"
    """What it comes after is not settled yet."""
    DUE = "due"
    """Its time has come and nobody has it."""
    RUNNING = "running"
    """An attempt is being executed."""
    RETRYING = "retrying"
    """An attempt failed; the next one has a due time."""
    WAITING = "waiting"
    """It waits for somebody to call it."""
    BLOCKED = "blocked"
    """It needs a person."""
    COMPLETED = "completed"
    SKIPPED = "skipped"
    """A person went past it."""
    FAILED = "failed"
    OVERDUE = "overdue"
    """Its ``within=`` ran out."""
    NOT_TAKEN = "not taken"
    """The timeline went another way."""
    NOT_REACHED = "not reached"
    """Something before it failed."""
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """What a call answers."""

    COMPLETED = "completed"
    DUE = "due"
    """It will run elsewhere, or runs there already."""
    RETRYING = "retrying"
    BLOCKED = "blocked"
    FAILED = "failed"
    NOT_TAKEN = "not taken"
    """The step's guard said no."""
    KEPT = "kept"
    """The call came before the step; it is stored until the step can take it."""
    UNSETTLED = "unsettled"
    """``wait()`` only: the time ran out while the step was upcoming or waiting for a call."""


# how items are counted whose status does not say all
LATE = "overdue, final"  # done with for being late
LATER = "due, not before a time"
KEPT = "upcoming, called"

DONE = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})
MOVING = frozenset({StepStatus.DUE, StepStatus.RUNNING, StepStatus.RETRYING})
OPEN = MOVING | {StepStatus.WAITING, StepStatus.BLOCKED}
_BROKEN = frozenset({StepStatus.FAILED, StepStatus.NOT_REACHED, StepStatus.CANCELLED})
TAKES_CALLS = frozenset({StepStatus.WAITING, StepStatus.OVERDUE})
"""A person may call the step, if nothing goes on from its being overdue."""
_OPEN_AS = frozenset({*OPEN, StepStatus.OVERDUE, LATER})
_SETTLED_AS = frozenset({*DONE, *_BROKEN, LATE, StepStatus.NOT_TAKEN})
ENDED = frozenset({TimelineStatus.COMPLETED, TimelineStatus.FAILED, TimelineStatus.CANCELLED})

_ENDINGS = {
    EventType.TIMELINE_COMPLETED: TimelineStatus.COMPLETED,
    EventType.TIMELINE_FAILED: TimelineStatus.FAILED,
    EventType.TIMELINE_CANCELLED: TimelineStatus.CANCELLED,
}
_STATUS_AFTER: dict[str, StepStatus] = {
    EventType.STEP_CALLED: StepStatus.DUE,
    EventType.ATTEMPT_STARTED: StepStatus.RUNNING,
    EventType.ATTEMPT_FAILED: StepStatus.RETRYING,
    EventType.ATTEMPT_INTERRUPTED: StepStatus.RETRYING,
    EventType.STEP_COMPLETED: StepStatus.COMPLETED,
    EventType.STEP_UNDONE: StepStatus.COMPLETED,
    EventType.STEP_REJECTED: StepStatus.WAITING,
    EventType.STEP_FAILED: StepStatus.FAILED,
    EventType.STEP_BLOCKED: StepStatus.BLOCKED,
    EventType.STEP_SKIPPED: StepStatus.SKIPPED,
    EventType.STEP_NOT_TAKEN: StepStatus.NOT_TAKEN,
    EventType.STEP_NOT_REACHED: StepStatus.NOT_REACHED,
    EventType.STEP_OVERDUE: StepStatus.OVERDUE,
}
_OF_A_RUN = frozenset({*_STATUS_AFTER, EventType.STEP_DUE})  # recorded ones change nothing, whatever they carry
# what a run keeps from event to event; the rest is the newest event's
_LASTING = (
    "call",
    "digest",
    "key",
    "until",
    "sealed",
    "guard_passed",
    "of",
    "round",
    "value",
    "index",
    "item",
    "child",
    "timed",
    "assigned",
    "remind",
    "planned",
    "since",
    "number",
)
_OF_ITEMS = ("each", "enough", "begun", "value", "index")  # what is left of a run that is cancelled
# and what an event says of it
_TOLD = (
    "due",
    "until",
    "reason",
    "error",
    "errors",
    "final",
    "sealed",
    "guard_passed",
    "of",
    "round",
    "child",
    "timed",
    "other",
    "slots",
    "assigned",
    "remind",
    "planned",
    "since",
    "number",
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
        state["fields"].update(data.get("fields", {}))
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
    elif event.type == EventType.AMENDED:
        state["fields"].update(data.get("changes", {}))
        if "renamed" in data:
            _rename(state, data["renamed"]["steps"], data["renamed"]["fields"])
            state["renamed"] = {**state.get("renamed", {}), **data["renamed"]["steps"]}
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
    name = name_of(event) if "round" in data else RunName(event.step, event.item)
    key = run_key(*name)
    before = runs.get(key, {})
    fresh = event.type == EventType.STEP_DUE and ("of" in data or "each" in data or "planned" in data)
    runs[key] = run = _run_after({} if fresh else before, event, sequence)
    if event.item and not name.round:
        _begin_item(runs, event, before, run)
        _count(runs, event.step, before, run)
    elif "each" in data:
        _list_items(runs, event, sequence)
    if not name.round and event.step in state.get("rounds", {}):
        run["round"] = state["rounds"][event.step]
    state["fields"].update(data.get("changes", {}))
    if data.get("links"):
        state["links"] = sorted({*state.get("links", ()), *data["links"]})
    if event.type == EventType.STEP_CALLED and data.get("key"):
        state["keys"] = {**state.get("keys", {}), data["key"]: [key, data.get("digest")]}
    elif event.type == EventType.STEP_REJECTED:  # a rejected call frees its key: it had no effect
        state["keys"] = {name: call for name, call in state.get("keys", {}).items() if call[0] != key}
    elif "of" in run and run["status"] in DONE:
        _mark_undone(state, run["of"], sequence)
        if run["of"].startswith(f"{key}@"):  # a child of an earlier round: its step begins anew
            del runs[key]
    elif data.get("fatal"):
        state["failing"] = True
    elif event.type == EventType.STEP_DUE and "of" not in data and event.step == state.get("undoing", {}).get("then"):
        del state["undoing"]
    if name.round:
        _leave(state, key)


def _leave(state: type_state, key: str) -> None:
    """Let go of a run of an earlier round that has come to its end. Nothing waits for it; it may be undone."""
    run = state["runs"][key]
    if run["status"] in MOVING or run["status"] == StepStatus.BLOCKED or awaits_child(run):
        return
    del state["runs"][key]
    if run["status"] == StepStatus.COMPLETED:
        state["past"] = {**state.get("past", {}), key: run}


def _assign(state: type_state, key: str, to: Mapping[str, str] | None, sequence: int) -> None:
    """Let a run be somebody's. Its fence stays: who executes it goes on."""
    run = {name: value for name, value in state["runs"][key].items() if name != "assigned"}
    state["runs"][key] = run | ({"assigned": dict(to)} if to else {})
    state["revoked"] = {**state.get("revoked", {}), key: sequence}


def _cancel(state: type_state, data: Mapping[str, Any], sequence: int) -> None:
    state["cancelling"] = True
    state.pop("ended", None)  # a child that had completed is undone with its parent
    state.pop("undoing", None)
    if data.get("compensate"):
        state["compensating"] = True
    runs = state["runs"]
    for key in data.get("cancelled", ()):
        before = runs.get(key, {})
        runs[key] = {"status": str(StepStatus.CANCELLED), "fence": sequence}
        runs[key] |= {name: before[name] for name in _OF_ITEMS if name in before}
        if split_key(key).round:
            _leave(state, key)
        else:
            _count(runs, split_key(key).step, before, runs[key])


def _begin_round(state: type_state, data: Mapping[str, Any]) -> None:
    rounds, past = dict(state.get("rounds", {})), dict(state.get("past", {}))
    for key in keys_of(state, data["rounds"]):
        run = state["runs"].pop(key)
        if key in data["kept"]:
            past[data["kept"][key]] = run
        elif earlier := data.get("going_on", {}).get(key):
            state["runs"][earlier] = run | {"round": split_key(earlier).round}
    state["rounds"] = rounds | data["rounds"]
    state["past"] = past
    state["fields"].update(data["fields"])
    for name in data["unset"]:
        state["fields"].pop(name, None)
    state["undoing"] = {"runs": data["undo"], "then": data["to"]}


def _rename(state: type_state, steps: Mapping[str, str], fields: Mapping[str, str]) -> None:
    def renamed(key: str) -> str:
        step = split_key(key)[0]
        return steps.get(step, step) + key[len(step) :]

    state["fields"] = {fields.get(name, name): value for name, value in state["fields"].items()}
    for part in ("runs", "rounds", "past"):
        if part in state:
            state[part] = type(state[part])({renamed(key): value for key, value in state[part].items()})
    for part in ("runs", "past"):
        for key, run in state.get(part, {}).items():
            if "of" in run:
                state[part][key] = {**run, "of": renamed(run["of"])}
    if "keys" in state:
        state["keys"] = {name: [renamed(run), digest] for name, (run, digest) in state["keys"].items()}
    if "links" in state:
        state["links"] = [renamed(key) for key in state["links"]]
    if "revoked" in state:
        state["revoked"] = {renamed(key): sequence for key, sequence in state["revoked"].items()}
    if "undoing" in state:
        undoing = state["undoing"]
        state["undoing"] = {"runs": [renamed(key) for key in undoing["runs"]], "then": renamed(undoing["then"])}


def _mark_undone(state: type_state, key: str, sequence: int) -> None:
    if key in state["runs"]:
        state["runs"][key] = {**state["runs"][key], "undone": sequence}
    else:
        state["past"] = {**state["past"], key: {**state["past"][key], "undone": sequence}}


def _run_after(run: type_run, event: NewEvent, sequence: int) -> type_run:
    data = event.data
    after: type_run = {name: run[name] for name in _LASTING if name in run} if run else {}
    after["fence"] = sequence
    after["attempt"] = event.attempt if event.attempt is not None else run.get("attempt", 0)
    if event.type == EventType.STEP_DUE:
        after["status"] = str(StepStatus.WAITING if data.get("waiting") else StepStatus.DUE)
        after |= {"error": run["error"]} if "error" in run else {}  # why somebody tries it again
    else:
        after["status"] = str(_STATUS_AFTER[event.type])
    if data:
        _take_in(after, data, sequence)
    if event.type == EventType.STEP_CALLED:
        after |= {"call": sequence, "digest": data.get("digest"), "key": data.get("key"), "attempt": 0}
        if data.get("early"):
            after |= {"early": True, "status": str(StepStatus.UPCOMING)}
    elif event.type == EventType.STEP_REJECTED:
        for name in ("call", "digest", "key", "sealed"):
            after.pop(name, None)
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
        after["status"] = str(_status_of_all(after))


def _list_items(runs: Runs, event: NewEvent, sequence: int) -> None:
    """Let each item that is not begun with its step have a run that is upcoming and says which item it is."""
    for key, run in runs.here().items():
        if item_step(key) == event.step:  # a call that came before the step
            runs[key] = {**run}
            _count(runs, event.step, {}, run)
    rest = event.data.get("rest") or []
    for index, (item, value) in enumerate(rest, start=event.data["each"] - len(rest)):
        key = run_key(event.step, item)
        listed = {"status": str(StepStatus.UPCOMING), "fence": sequence, "attempt": 0, "index": index, "item": value}
        runs[key] = listed | runs.get(key, {})


def _begin_item(runs: Runs, event: NewEvent, before: type_run, run: type_run) -> None:
    """Number an item that begins. Items begin in the order of their list."""
    every = runs.get(event.step, {})
    if "value" in event.data and "value" not in before and "each" in every:
        run["index"] = every["begun"]
        runs[event.step] = {**every, "begun": every["begun"] + 1}


def _count(runs: Runs, step: str, before: type_run, run: type_run) -> None:
    """Let the run that stands for all items know that the run of one of them went on."""
    every = runs.get(step, {})
    if "each" not in every or "each" in run:
        return
    counts = dict(every["each"])
    for one, change in ((before, -1), (run, 1)):
        if one and (name := _counted_as(one)):
            counts[name] = counts.get(name, 0) + change
    after = {**every, "each": {name: count for name, count in counts.items() if count or name == "count"}}
    if is_open(every):
        after["status"] = str(_status_of_all(after))
    runs[step] = after


def _counted_as(run: type_run) -> str:
    """Return the name under which a run is counted; empty for one that is upcoming."""
    if run["status"] == StepStatus.UPCOMING:
        return KEPT if run.get("early") else ""
    if run["status"] == StepStatus.OVERDUE and run.get("final"):
        return LATE
    return LATER if run["status"] == StepStatus.DUE and "due" in run else str(run["status"])


def _status_of_all(every: type_run) -> StepStatus:
    """Say where a step with items stands. ``enough``: how many must be done; all, unless it says so."""
    counts, enough = every["each"], every["enough"]
    done = sum(counts.get(status, 0) for status in DONE)
    late, failed = counts.get(LATE, 0), sum(counts.get(status, 0) for status in _BROKEN)
    left = counts["count"] - done - late - failed - counts.get(StepStatus.NOT_TAKEN, 0)
    broken = StepStatus.FAILED if failed or not late else StepStatus.OVERDUE
    if enough is not None and (done >= enough or done + left < enough):
        return StepStatus.COMPLETED if done >= enough else broken
    if not left:
        return (
            broken if late or failed else StepStatus.COMPLETED if done or not counts["count"] else StepStatus.NOT_TAKEN
        )
    if counts.get(StepStatus.BLOCKED):
        return StepStatus.BLOCKED
    return StepStatus.RUNNING if any(counts.get(status) for status in (*MOVING, LATER)) else StepStatus.WAITING


def round_of(state: type_state, step: str) -> int:
    """Return which round a step is in: 1 until the work comes back to it."""
    number: int = state.get("rounds", {}).get(step, 1)
    return number


def revoked_at(state: type_state, step: str = "", item: str = "") -> int:
    """Return the event that revoked the links to a run, or without one to the timeline; 0 for none."""
    revoked: dict[str, int] = state.get("revoked", {})
    return max(revoked.get(run_key(step, item), 0), revoked.get(step, 0))


def loaded(stored: type_state) -> type_state:
    """Return a state as it was stored, without the runs that lie beside it: what asks for these is told so."""
    runs = stored["runs"]
    left_out = [step for step, run in runs.items() if run.get("each", {}).get("count")]
    return {**stored, "runs": Runs(runs, left_out)}


def stored(state: type_state) -> type_state:
    """Return a state as it is stored: without what lies beside it, the fields and the runs of items."""
    rest = {name: value for name, value in state.items() if name != "fields"}
    return rest | {"runs": dict(in_state(state))}


def lies_beside(runs: Runs, key: str) -> bool:
    """Tell whether this is the run of an item of a step that was reached. It is stored in a row of its own."""
    step = item_step(key)
    return bool(step) and "each" in dict.get(runs, step, ())


def in_state(state: type_state) -> Iterator[tuple[str, type_run]]:
    """Yield the runs that do not lie beside the state, by key."""
    runs: Runs = state["runs"]
    return ((key, run) for key, run in runs.here().items() if not lies_beside(runs, key))


def changed(before: type_state, after: type_state) -> Iterator[tuple[str, type_run | None, type_run | None]]:
    """Yield the runs that a fold has changed: the key, the run before and the run after it."""
    old, new = before["runs"].here(), after["runs"].here()
    yield from ((key, run, None) for key, run in old.items() if key not in new)
    yield from ((key, old.get(key), run) for key, run in new.items() if old.get(key) is not run)


def keys_of(state: type_state, steps: Collection[str]) -> list[str]:
    """Return the keys of all runs of these steps."""
    runs: Runs = state["runs"]
    for step in steps:
        runs.of(step)  # all of them are here
    return [key for key in runs.here() if split_key(key)[0] in steps]


def standing(state: type_state) -> Counter[str]:
    """Count all runs by where they stand. Of a step with items these tell."""
    counts: Counter[str] = Counter()
    for _key, run in in_state(state):
        if "each" in run:
            counts.update({name: count for name, count in run["each"].items() if name != "count"})
        elif name := _counted_as(run):
            counts[name] += 1
    return counts


def anything_open(state: type_state) -> bool:
    """Tell whether a run is open: a step that stands for its items, or one of these that was begun when enough were done."""
    if any(is_open(run) for _key, run in in_state(state)):
        return True
    return not _OPEN_AS.isdisjoint(standing(state))


def open_runs(state: type_state) -> dict[str, type_run]:
    """Return the open runs, by key."""
    runs: Runs = state["runs"]
    found: dict[str, type_run] = {}
    for key, run in in_state(state):
        found |= {key: run} if is_open(run) else {}
        if "each" in run and not _OPEN_AS.isdisjoint(run["each"]):
            found |= {run_key(key, item): one for item, one in runs.of(key).items() if is_open(one)}
    return found


def items_of(state: type_state, step: str) -> dict[str, type_run]:
    """Return the runs of a step's items, by item, in the order of the list."""
    runs: Runs = state["runs"]
    return runs.of(step)


def count_items(state: type_state, step: str) -> int:
    """Return how many items a step has; 0 for one without."""
    count: int = state["runs"].get(step, {}).get("each", {}).get("count", 0)
    return count


def settled_items(state: type_state, step: str) -> tuple[int, int]:
    """Return how many of a step's items are settled, and how many it has."""
    counts = state["runs"].get(step, {}).get("each", {})
    return sum(counts.get(name, 0) for name in _SETTLED_AS), count_items(state, step)


def kept_calls(state: type_state) -> list[type_run]:
    """Return the upcoming runs that were called already."""
    runs: Runs = state["runs"]
    found = [run for _key, run in in_state(state) if _counted_as(run) == KEPT]
    for key, run in in_state(state):
        if run.get("each", {}).get(KEPT):
            found += [one for one in runs.of(key).values() if _counted_as(one) == KEPT]
    return found


def earlier_keys(state: type_state, step: str) -> list[str]:
    """Return the keys of a step's runs of earlier rounds that go on beside the current one."""
    runs: Runs = state["runs"]
    return [key for key in runs.here() if "@" in key and split_key(key).round and split_key(key).step == step]


WANTS_A_LOOK = (StepStatus.BLOCKED, StepStatus.FAILED, StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.OVERDUE)


def keys_to_show(state: type_state, step: str, most: int) -> list[str]:
    """Return the keys of a step's runs as a page lists them: of many items those that want a look, in the list's order."""
    items = items_of(state, step)
    ranked = sorted(items, key=lambda item: items[item]["status"] not in WANTS_A_LOOK)[:most]
    shown = [run_key(step, item) for item in items if item in set(ranked)]
    return [step, *shown] if step in state["runs"] else shown


def is_late(state: type_state, name: RunName, now: datetime) -> bool:
    """Tell whether the run's deadline has passed."""
    until = state["runs"].get(run_key(*name), {}).get("until")
    return until is not None and datetime.fromisoformat(until) <= now


def awaits_child(run: Mapping[str, Any]) -> bool:
    """Tell whether a run waits for the end of the timeline that it began."""
    return "child" in run and run["status"] in (StepStatus.WAITING, StepStatus.OVERDUE) and not run.get("final")


def is_begun(run: Mapping[str, Any]) -> bool:
    """Tell whether an open run is under way: somebody has tried it, or its child has begun."""
    if run["status"] in (StepStatus.DUE, StepStatus.BLOCKED):
        return bool(run["attempt"]) and "each" not in run
    return (run["status"] in MOVING and "each" not in run) or awaits_child(run)


def is_open(run: Mapping[str, Any]) -> bool:
    """Tell whether a run was reached and is not settled. An overdue one that nothing goes on from may still be done."""
    return run["status"] in OPEN or (run["status"] == StepStatus.OVERDUE and not run.get("final"))


def waiting_runs(state: type_state) -> list[str]:
    """Return the keys of the runs that wait for somebody to call them; overdue ones that may still be done are among them."""
    if "ended" in state or state.get("cancelling"):
        return []
    runs: Runs = state["runs"]
    found = []
    for key, run in in_state(state):
        if "each" not in run:
            found += [key] if takes_calls(run) and not split_key(key).round else []
        elif not TAKES_CALLS.isdisjoint(run["each"]):
            found += [run_key(key, item) for item, one in runs.of(key).items() if takes_calls(one)]
    return found


def waits_for_call(state: type_state, key: str) -> bool:
    """Tell whether this run waits for somebody to call it."""
    run = state["runs"].get(key)
    return run is not None and takes_calls(run) and not ("ended" in state or state.get("cancelling"))


def waiting_steps(state: type_state) -> set[str]:
    """Return the steps of which a run waits for somebody to call it."""
    if "ended" in state or state.get("cancelling"):
        return set()
    return {
        split_key(key)[0]
        for key, run in in_state(state)
        if not split_key(key).round
        and (takes_calls(run) if "each" not in run else not TAKES_CALLS.isdisjoint(run["each"]))
    }


def takes_calls(run: type_run) -> bool:
    """Tell whether a run waits for somebody to call it; an overdue one that may still be done does."""
    return run["status"] in TAKES_CALLS and is_open(run)


def timeline_status(state: type_state) -> TimelineStatus:
    """Say in one word where the timeline stands."""
    if "ended" in state:
        return TimelineStatus(state["ended"])
    if state.get("paused"):
        return TimelineStatus.PAUSED
    counts = standing(state)
    if StepStatus.BLOCKED in counts:
        return TimelineStatus.BLOCKED
    if state.get("cancelling"):
        return TimelineStatus.CANCELLING
    return TimelineStatus.WAITING if MOVING.isdisjoint(counts) else TimelineStatus.RUNNING


def step_status(state: type_state, step: str, item: str = "", round: int = 0) -> StepStatus:
    """Say in one word where a step stands. What was never reached on a timeline that has ended was not taken."""
    run = state["runs"].get(run_key(step, item, round))
    if run is not None and not (run["status"] == StepStatus.UPCOMING and "ended" in state):
        return StepStatus(run["status"])
    if state.get("ended") == TimelineStatus.CANCELLED:
        return StepStatus.CANCELLED
    return StepStatus.NOT_TAKEN if "ended" in state else StepStatus.UPCOMING
