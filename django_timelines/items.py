"""Reading the runs of items, which lie beside a timeline's row: into a snapshot, and into a row that is to be shown."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from django.db.models import Case, Q, QuerySet, Value, When

from .databases import as_they_are
from .events import EventType
from .exceptions import Conflict
from .models import Event, Item, Run, Timeline
from .runs import RunName, Runs, Wanted
from .state import (
    TAKES_CALLS,
    WANTS_A_LOOK,
    StepStatus,
    in_state,
    is_to_undo,
    keys_to_show,
    names_of,
    run_key,
    split_key,
    step_status,
    steps_with_items,
    takes_calls,
    type_run,
    type_state,
    waiting_steps,
)
from .store import Snapshot, take_row

AHEAD = 50  # of the next items that are read at a time, if no more are needed
AHEAD_OF_UNDO = 5  # of the last events among which the next item to be undone is looked for
_MAY_BE_DONE = (EventType.STEP_COMPLETED, EventType.STEP_SKIPPED, EventType.STEP_BLOCKED, EventType.STEP_FAILED)
MANY = 200  # more items than that a snapshot does not hold from one commit to the next


def with_names(snapshot: Snapshot, names: Iterable[RunName]) -> Snapshot:
    """Return the snapshot with these runs, and what they undo, as of the same event; ``Conflict`` if the timeline went on."""
    runs: Runs = snapshot.state["runs"]
    if not runs.left_out:
        return snapshot
    keys = {run_key(*name) for name in names}
    for _pass in range(2):
        undone = {runs.get(key, {}).get("of", key) for key in keys if not runs.lacks(key)}
        lacking = frozenset(key for key in keys | undone if runs.lacks(key))
        snapshot = with_items(snapshot, Wanted(lacking)) if lacking else snapshot
        runs = snapshot.state["runs"]
    return snapshot


def with_all(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with all runs, as of the same event; ``Conflict`` if the timeline went on."""
    for step in snapshot.state["runs"].left_out:
        snapshot = with_items(snapshot, Wanted(step=step))
    return snapshot


def with_items(snapshot: Snapshot, wanted: Wanted) -> Snapshot:
    """Return the snapshot with the runs that are wanted, as of the same event; ``Conflict`` if the timeline went on.

    Where a transaction sees what was when it began (MariaDB, MySQL) they are locked after the timeline's row,
    which reads past that.
    """
    take_row(snapshot.using, snapshot.id)
    keys = _completed_last(snapshot, wanted) if wanted.of else wanted.keys
    rows = as_they_are(_rows(snapshot.using, snapshot.id, replace(wanted, keys=keys)))
    found = list(rows.values_list("step", "item", "head", "state"))
    if any(head > snapshot.head for _step, _item, head, _state in found) or (not found and _went_on(snapshot)):
        raise Conflict(f"Timeline {snapshot.id} went on since event {snapshot.head}. Begin again.")
    read = {run_key(step, item): state for step, item, _head, state in found}
    return replace(snapshot, state=_with(snapshot.state, read, wanted))


def _completed_last(snapshot: Snapshot, wanted: Wanted) -> frozenset[str]:
    """Return the key of the item that completed last, found by its event: where items stand is in no order of time."""
    known_as = names_of(snapshot.state)
    names = [name for name, now in known_as.items() if now in wanted.of] + [*wanted.of]
    events = as_they_are(Event.objects.using(snapshot.using)).filter(timeline=snapshot.id, type__in=_MAY_BE_DONE)
    events = events.filter(step__in=names, sequence__gt=wanted.after).exclude(item="").order_by("-sequence")
    before = wanted.before
    while batch := list(events.filter(sequence__lt=before).values_list("step", "item", "sequence")[:AHEAD_OF_UNDO]):
        keys = {run_key(known_as.get(step, step), item): sequence for step, item, sequence in reversed(batch)}
        rows = as_they_are(_rows(snapshot.using, snapshot.id, Wanted(frozenset(keys))))
        runs = {run_key(step, item): run for step, item, run in rows.values_list("step", "item", "state")}
        left = [key for key, run in runs.items() if is_to_undo(run) and run["fence"] == keys[key]]
        if left:
            return frozenset({max(left, key=lambda key: keys[key])})
        before = batch[-1][2]
    return frozenset()


def _rows(using: str, timeline: uuid.UUID, wanted: Wanted) -> QuerySet[Item]:
    rows = Item.objects.using(using).filter(timeline=timeline)
    if wanted.of and not wanted.keys:
        return rows.none()
    if wanted.keys:
        named: dict[str, set[str]] = {}
        for step, item, _round in map(split_key, wanted.keys):
            named.setdefault(step, set()).add(item)
        chosen = Q(pk__in=[])
        for step, items in named.items():
            chosen |= Q(step=step, item__in=items)
        return rows.filter(chosen)
    rows = rows.filter(step=wanted.step) if wanted.step else rows
    if wanted.first is None:
        return rows
    return rows.filter(index__range=(wanted.first, wanted.first + max(wanted.count, AHEAD) - 1))


def _went_on(snapshot: Snapshot) -> bool:
    return not Timeline.objects.using(snapshot.using).filter(pk=snapshot.id, head=snapshot.head).exists()


def _with(state: type_state, read: dict[str, type_run], wanted: Wanted) -> type_state:
    runs: Runs = state["runs"]
    return {**state, "runs": runs.with_these(read, wanted)}


def without_many(snapshot: Snapshot, name: RunName) -> Snapshot:
    """Return the snapshot without the items that nobody needs who goes on with this run, if it holds many."""
    runs: Runs = snapshot.state["runs"]
    if len(runs.here()) < MANY:
        return snapshot
    kept = dict(in_state(snapshot.state))
    left_out = steps_with_items(kept)
    here = runs.here()
    kept |= {key: here[key] for key in {run_key(*name), here.get(run_key(*name), {}).get("of", "")} if key in here}
    return replace(snapshot, state={**snapshot.state, "runs": Runs(kept, left_out)})


# What is shown is as the rows are now, which may be newer than the timeline's: then another hint is on its way.


def read_all(timeline: Timeline) -> type_state:
    """Read all items of a timeline's row into its state, and return that."""
    for step in timeline.state["runs"].left_out:
        _read(timeline, Wanted(step=step))
    state: type_state = timeline.state
    return state


def read_named(timeline: Timeline, keys: Collection[str]) -> type_state:
    """Read these runs into the state of a timeline's row, and return that."""
    if lacking := frozenset(key for key in keys if timeline.state["runs"].lacks(key)):
        _read(timeline, Wanted(lacking))
    state: type_state = timeline.state
    return state


def run_of(timeline: Timeline, key: str) -> type_run:
    """Return what the state of a timeline's row says of this run, or nothing."""
    run: type_run = read_named(timeline, [key])["runs"].get(key, {})
    return run


def status_of(timeline: Timeline, key: str) -> StepStatus:
    """Return where this run stands."""
    return step_status(read_named(timeline, [key]), *split_key(key))


def waiting_keys(timeline: Timeline, step: str, most: int, user: str = "") -> list[str]:
    """Return the keys of a step's runs that wait for a call: of many items the first, before which come those that a user has.

    ``user`` is the user's primary key. What is returned is read into the row's state.
    """
    run = timeline.state["runs"].get(step)
    if run is None or step not in waiting_steps(timeline.state):
        return []
    if "each" not in run:
        return [step] if takes_calls(run) else []
    theirs: Any = Case(When(assigned=user, then=Value(0)), When(assigned=None, then=Value(1)), default=Value(2))
    rows = _waiting(timeline, step).order_by(theirs, "id").values_list("item", flat=True)[:most]
    keys = [run_key(step, item) for item in rows]
    runs = read_named(timeline, keys)["runs"]
    return [key for key in keys if key in runs and takes_calls(runs[key])]


def count_waiting(timeline: Timeline, step: str, user: str = "") -> int:
    """Return how many of a step's runs wait for a call, without those that somebody else has."""
    if "each" not in timeline.state["runs"].get(step, {}):
        return len(waiting_keys(timeline, step, 1))
    return _waiting(timeline, step).filter(Q(assigned=None) | Q(assigned=user)).count()


def _waiting(timeline: Timeline, step: str) -> QuerySet[Run]:
    return Run.objects.using(timeline.using).filter(timeline=timeline.id, step=step, status__in=TAKES_CALLS)


def _read(timeline: Timeline, wanted: Wanted) -> None:
    rows = _rows(timeline.using, timeline.id, wanted).values_list("step", "item", "state")
    timeline.state = _with(timeline.state, {run_key(step, item): state for step, item, state in rows}, wanted)


def shown_keys(timeline: Timeline, step: str, most: int) -> list[str]:
    """Return the keys of a step's runs as a page lists them, of many items a few, and read these into the row's state."""
    runs: Runs = timeline.state["runs"]
    if step not in runs.left_out:
        return keys_to_show(timeline.state, step, most)
    rank: Any = Case(When(status__in=WANTS_A_LOOK, then=Value(0)), default=Value(1))
    rows = _rows(timeline.using, timeline.id, Wanted(step=step)).order_by(rank, "index")[:most]
    found = sorted(rows.values_list("index", "item", "state"), key=lambda row: (row[0] is None, row[0], row[1]))
    keys = {run_key(step, item): state for _index, item, state in found}
    timeline.state = _with(timeline.state, keys, Wanted(frozenset(keys)))
    return [step, *keys]
