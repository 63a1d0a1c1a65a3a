"""Whether what is promised of every timeline holds, whatever a test did to it."""

from __future__ import annotations

from django.db import router, transaction

from ..engine.history import state_at
from ..models import Timeline
from ..state import ENDED, lies_beside, open_runs, run_key, split_key, stored, timeline_status, type_state
from ..workflows import Workflow


def assert_holds(timeline: Timeline | Workflow | None = None) -> None:
    """Check a timeline (all of them, if none is named): its events are numbered without a gap, and its row is their fold.

    So are the rows of its open runs, of which there is one until it has ended. Nobody writes it meanwhile: a worker that
    does waits.
    """
    if timeline is None:
        for one in Timeline.objects.using(router.db_for_write(Timeline)):
            _hold_and_check(one)
    else:
        _hold_and_check(timeline if isinstance(timeline, Timeline) else timeline.timeline)


def _hold_and_check(timeline: Timeline) -> None:
    with transaction.atomic(using=timeline.using):
        timeline.refresh_from_db(from_queryset=Timeline.objects.using(timeline.using).select_for_update())
        _check(timeline)


def _check(timeline: Timeline) -> None:
    sequences = list(timeline.events.order_by("sequence").values_list("sequence", flat=True))
    _same(timeline, "the sequence of its events", sequences, list(range(1, timeline.head + 1)))
    state = state_at(timeline.pk, timeline.using, timeline.head)
    _same(timeline, "the state", stored(timeline.state), stored(state))
    _same(timeline, "what its fields say", timeline.fields, state["fields"])
    _same(timeline, "where its items stand", *_items(timeline, state))
    _same(timeline, "the status", timeline.status, timeline_status(state))
    rows = {run.fence: (run.step, run.item, run.status, run.attempt) for run in timeline.runs.all()}
    opened = {key: run for key, run in open_runs(state).items() if "each" not in run}
    folded = {run["fence"]: (*split_key(key)[:2], run["status"], run["attempt"]) for key, run in opened.items()}
    _same(timeline, "its open runs", rows, folded)
    if not rows and timeline.status not in ENDED:
        raise AssertionError(f"{timeline}: nothing of it is open, and it has not ended.")


def _items(timeline: Timeline, state: type_state) -> tuple[object, object]:
    columns = ("step", "item", "index", "status", "state")
    rows = {run_key(step, item): rest for step, item, *rest in timeline.items.values_list(*columns)}
    beside = {key: run for key, run in state["runs"].items() if lies_beside(state["runs"], key)}
    return rows, {key: [run.get("index"), run["status"], run] for key, run in beside.items()}


def _same(timeline: Timeline, what: str, stored: object, folded: object) -> None:
    if stored != folded:
        raise AssertionError(f"{timeline}: {what} is {stored!r}, and by its events {folded!r}.")
