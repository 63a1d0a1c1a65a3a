"""Questions that a state answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from ..exceptions import ItemsNotLoaded
from ..runs import RunName, Runs, Wanted, item_step, run_key, split_key, type_run
from .beside import in_state, type_state
from .one_run import counted_as, is_open, takes_calls
from .statuses import KEPT, LATER, MOVING, OPEN_AS, SETTLED_AS, TAKES_CALLS, WANTS_A_LOOK, StepStatus, TimelineStatus


def round_of(state: type_state, step: str) -> int:
    """Return which round a step is in: 1 until the work comes back to it."""
    number: int = state.get("rounds", {}).get(step, 1)
    return number


def names_of(state: type_state, part: str = "renamed") -> dict[str, str]:
    """Return the names that steps of this timeline (or ``renamed_fields``) had, each with the one that it has by now."""
    renamed: dict[str, str] = state.get(part, {})
    found = {}
    for old, new in renamed.items():
        while new in renamed and new != old:
            new = renamed[new]
        found[old] = new
    return found


def revoked_at(state: type_state, step: str = "", item: str = "") -> int:
    """Return the event that revoked the links to a run, or without one to the timeline; 0 for none."""
    revoked: dict[str, int] = state.get("revoked", {})
    return max(revoked.get(run_key(step, item), 0), revoked.get(step, 0))


def standing(state: type_state) -> Counter[str]:
    """Count all runs by where they stand. Of a step with items these tell."""
    counts: Counter[str] = Counter()
    for _key, run in in_state(state):
        if "each" in run:
            counts.update({name: count for name, count in run["each"].items() if name != "count"})
        elif name := counted_as(run):
            counts[name] += 1
    return counts


def anything_open(state: type_state) -> bool:
    """Tell whether a run is open: a step that stands for its items, or one of these that was begun when enough were done."""
    if any(is_open(run) for _key, run in in_state(state)):
        return True
    return not OPEN_AS.isdisjoint(standing(state))


def open_runs(state: type_state) -> dict[str, type_run]:
    """Return the open runs, by key."""
    runs: Runs = state["runs"]
    found: dict[str, type_run] = {}
    for key, run in in_state(state):
        found |= {key: run} if is_open(run) else {}
        if "each" in run and not OPEN_AS.isdisjoint(run["each"]):
            found |= {run_key(key, item): one for item, one in runs.of(key).items() if is_open(one)}
    return found


def items_of(state: type_state, step: str) -> dict[str, type_run]:
    """Return the runs of a step's items, by item, in the order of the list."""
    runs: Runs = state["runs"]
    return runs.of(step)


def completed_last(
    state: type_state, steps: frozenset[str], after: int, before: int, wanted: Callable[[str, type_run], bool]
) -> str:
    """Return the item of these steps that completed last, between two events, of those wanted; empty if there is none."""
    runs: Runs = state["runs"]
    here = {key: run["fence"] for key, run in runs.here().items() if item_step(key) in steps and wanted(key, run)}
    found = max((key for key in here if after < here[key] < before), key=lambda key: here[key], default="")
    known = runs.lacks_before(steps, before)
    if known > after + 1 and (not found or here[found] < known):
        raise ItemsNotLoaded(Wanted(of=steps, after=after, before=known))
    return found


def count_items(state: type_state, step: str) -> int:
    """Return how many items a step has; 0 for one without."""
    count: int = state["runs"].get(step, {}).get("each", {}).get("count", 0)
    return count


def count_alike(state: type_state, step: str, status: str) -> int:
    """Return how many items of a step stand so; 0 for one without."""
    counts = state["runs"].get(step, {}).get("each", {})
    return sum(counts.get(name, 0) for name in ((status, LATER) if status == StepStatus.DUE else (status,)))


def settled_items(state: type_state, step: str) -> tuple[int, int]:
    """Return how many of a step's items are settled, and how many it has."""
    counts = state["runs"].get(step, {}).get("each", {})
    return sum(counts.get(name, 0) for name in SETTLED_AS), count_items(state, step)


def kept_calls(state: type_state) -> list[type_run]:
    """Return the upcoming runs that were called already."""
    runs: Runs = state["runs"]
    found = [run for _key, run in in_state(state) if counted_as(run) == KEPT]
    for key, run in in_state(state):
        if run.get("each", {}).get(KEPT):
            found += [one for one in runs.of(key).values() if counted_as(one) == KEPT]
    return found


def earlier_keys(state: type_state, step: str) -> list[str]:
    """Return the keys of a step's runs of earlier rounds that go on beside the current one."""
    runs: Runs = state["runs"]
    return [key for key in runs.here() if "@" in key and split_key(key).round and split_key(key).step == step]


def keys_to_show(state: type_state, step: str, most: int) -> list[str]:
    """Return the keys of a step's runs as a page lists them: of many items those that want a look, in the list's order."""
    items = items_of(state, step)
    ranked = sorted(items, key=lambda item: items[item]["status"] not in WANTS_A_LOOK)[:most]
    shown = [run_key(step, item) for item in items if item in set(ranked)]
    return [step, *shown] if step in state["runs"] else shown


def late_since(state: type_state, name: RunName, now: datetime) -> str | None:
    """Return the run's deadline if it has passed, as it is stored."""
    until: str | None = state["runs"].get(run_key(*name), {}).get("until")
    return until if until is not None and datetime.fromisoformat(until) <= now else None


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
