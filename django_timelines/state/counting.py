"""The items of a step: one run stands for them all, and counts them."""

from __future__ import annotations

from ..events import NewEvent
from ..runs import Runs, item_step, run_key, type_run
from .one_run import counted_as, is_open
from .statuses import BROKEN, DONE, LATE, LATER, MOVING, StepStatus


def list_items(runs: Runs, event: NewEvent, sequence: int) -> None:
    """Let each item that is not begun with its step have a run that is upcoming and says which item it is."""
    for key, run in runs.here().items():
        if item_step(key) == event.step:  # a call that came before the step
            runs[key] = {**run}
            count(runs, event.step, {}, run)
    rest = event.data.get("rest") or []
    for index, (item, value) in enumerate(rest, start=event.data["each"] - len(rest)):
        key = run_key(event.step, item)
        listed = {"status": str(StepStatus.UPCOMING), "fence": sequence, "attempt": 0, "index": index, "item": value}
        runs[key] = listed | runs.get(key, {})


def begin_item(runs: Runs, event: NewEvent, before: type_run, run: type_run) -> None:
    """Number an item that begins. Items begin in the order of their list."""
    every = runs.get(event.step, {})
    if "value" in event.data and "value" not in before and "each" in every:
        run["index"] = every["begun"]
        runs[event.step] = {**every, "begun": every["begun"] + 1}


def count(runs: Runs, step: str, before: type_run, run: type_run) -> None:
    """Let the run that stands for all items know that the run of one of them went on."""
    every = runs.get(step, {})
    if "each" not in every or "each" in run:
        return
    counts = dict(every["each"])
    for one, change in ((before, -1), (run, 1)):
        if one and (name := counted_as(one)):
            counts[name] = counts.get(name, 0) + change
    after = {**every, "each": {name: count for name, count in counts.items() if count or name == "count"}}
    if is_open(every):
        after["status"] = str(status_of_all(after))
    runs[step] = after


def count_undo(runs: Runs, event: NewEvent, before: type_run, step: str, sequence: int) -> None:
    """Let the undo of an item be one of many: a run stands for all of the undos of this step's items, as one does for these."""
    begun: type_run = {"fence": sequence, "attempt": 0, "each": {"count": 0}, "enough": None, "begun": 0}
    every: type_run = runs.get(event.step) or begun
    counts = every["each"] | {"count": every["each"]["count"] + (not before)}
    runs[event.step] = {**every, "status": str(StepStatus.RUNNING), "each": counts, "of": step}


def status_of_all(every: type_run) -> StepStatus:
    """Say where a step with items stands. ``enough``: so many done settle it. ``may_fail``: so many may, when nothing is left."""
    counts, enough, may_fail = every["each"], every["enough"], every.get("may_fail")
    done = sum(counts.get(status, 0) for status in DONE)
    late, failed = counts.get(LATE, 0), sum(counts.get(status, 0) for status in BROKEN)
    not_taken = counts.get(StepStatus.NOT_TAKEN, 0)
    left = counts["count"] - done - late - failed - not_taken
    broken = StepStatus.FAILED if failed or not late else StepStatus.OVERDUE
    if enough is not None and (done >= enough or done + left < enough):
        return StepStatus.COMPLETED if done >= enough else broken
    too_many = late + failed > (may_fail or 0)
    if too_many and (not left or may_fail is not None):
        return broken
    if not left:
        return StepStatus.NOT_TAKEN if 0 < not_taken == counts["count"] else StepStatus.COMPLETED
    if counts.get(StepStatus.BLOCKED):
        return StepStatus.BLOCKED
    return StepStatus.RUNNING if any(counts.get(status) for status in (*MOVING, LATER)) else StepStatus.WAITING
