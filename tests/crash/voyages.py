"""The scenarios of a voyage, which has one step of each kind, and what its steps must have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django_timelines.models import Timeline
from tests.shop.models import Entry

from . import outside, worker
from .followers import follow
from .people import (
    amend,
    book,
    cancel,
    cancel_and_undo,
    confirm,
    erase,
    force,
    four_days_later,
    late_bell,
    one_is_left,
    pause,
    pause_everything,
    prune_in_batches,
    resume,
    resume_everything,
    retry,
    rewind,
    settle,
    skip,
    start,
    start_wrongly,
    three_old_ones,
    visit,
)
from .scenario import Scenario
from .troubles import at_first, fail_until_mended, left_by_a_dead_runner, out_of_time_at_first, told_to_end_at_first
from .workflows import ONCE_AT_MOST, ROWS

OUTSIDE = (ONCE_AT_MOST, "announce", "renounce")

_ON = (settle, confirm, settle)
_ENDED = (start, *_ON)
_LEAK = {"reserve": fail_until_mended}

SCENARIOS = {
    "start": Scenario(start, after=_ON),
    "start in a view's transaction": Scenario(
        visit(start, "book"), after=_ON, visits=("book",), placed=("here", "mixed")
    ),
    "reject": Scenario(start_wrongly, after=(start, *_ON), placed=("here", "mixed")),
    "reject elsewhere": Scenario(settle, (start_wrongly,), (book, *_ON), placed=("away",)),
    "call after a rejection": Scenario(book, (start_wrongly, settle), _ON, placed=("away",)),
    "work": Scenario(settle, (start,), (confirm, settle), placed=("away", "mixed", "rq")),
    "fail": Scenario(settle, (start,), (confirm, settle), {step: at_first(step) for step in ("reserve", "announce")}),
    "block": Scenario(settle, (start,), (retry, *_ON), _LEAK, placed=("away", "rq")),
    "retry": Scenario(retry, (start, settle), _ON, _LEAK),
    "skip": Scenario(skip, (start, settle), _ON, _LEAK),
    "call": Scenario(confirm, (start, settle), (settle,)),
    "call in a view's transaction": Scenario(
        visit(confirm, "confirm"), (start, settle), (settle,), visits=("confirm",), placed=("here", "mixed")
    ),
    "early call": Scenario(confirm, (start,), (settle,), placed=("away",)),
    "cancel what is due": Scenario(cancel, (start,), (settle,), placed=("away",)),
    "cancel what waits": Scenario(cancel, (start, settle), (settle,)),
    "cancel what was begun": Scenario(cancel, (start, left_by_a_dead_runner("announce")), (settle,), placed=("away",)),
    "overdue": Scenario(four_days_later, (start, settle)),
    "late bell": Scenario(late_bell, (start,), _ON, placed=("away",)),
    "rescue exactly-once": Scenario(
        settle, (start, left_by_a_dead_runner("reserve")), (confirm, settle), placed=("away",)
    ),
    "rescue at-least-once": Scenario(
        settle, (start, left_by_a_dead_runner("announce")), (confirm, settle), placed=("away", "rq")
    ),
    "rescue at-most-once": Scenario(
        settle, (start, left_by_a_dead_runner("charge")), (confirm, settle), placed=("away",)
    ),
    "time out": Scenario(
        settle,
        (start,),
        (confirm, settle),
        {step: out_of_time_at_first(step) for step in ("reserve", "announce")},
        placed=("away", "rq"),
    ),
    "stop": Scenario(
        settle,
        (start,),
        (confirm, settle),
        {step: told_to_end_at_first(step) for step in ("reserve", "announce")},
        placed=("away",),
    ),
    "force": Scenario(force, (start, left_by_a_dead_runner("announce")), _ON, placed=("away", "rq")),
    "amend": Scenario(amend, (start, settle), _ON, placed=("away",)),
    "pause": Scenario(pause, (start,), (worker.work, resume, *_ON), placed=("away",)),
    "resume": Scenario(resume, (start, pause), _ON, placed=("away", "mixed")),
    "pause everything": Scenario(
        pause_everything, (start,), (worker.work, resume_everything, *_ON), placed=("away", "mixed")
    ),
    "resume everything": Scenario(resume_everything, (start, pause_everything), _ON, placed=("away", "mixed")),
    "rewind": Scenario(rewind(undo=False), (start, settle), _ON),
    "rewind what was begun": Scenario(
        rewind(undo=False), (start, left_by_a_dead_runner("announce")), _ON, placed=("away",)
    ),
    "rewind and undo": Scenario(rewind(undo=True), (start, settle), _ON),
    "a new round": Scenario(settle, (start, settle, rewind(undo=True)), (confirm, settle), placed=("away",)),
    "cancel and undo": Scenario(cancel_and_undo, (start, settle), (settle,)),
    "undo": Scenario(settle, (start, settle, cancel_and_undo), placed=("away", "rq")),
    "erase": Scenario(erase, _ENDED, placed=("away",)),
    "prune": Scenario(prune_in_batches, (*_ENDED, three_old_ones, follow), (one_is_left,), placed=("away",)),
}


def holds(scenario: Scenario) -> Iterator[str]:
    """Say where the effects are not what the events say."""
    timeline = Timeline.objects.latest("id")
    completed = Counter(timeline.events.filter(type__in=("StepCompleted", "StepUndone")).values_list("step", flat=True))
    wanted = [row for step, times in completed.items() for row in ROWS.get(step, []) * times]
    wanted += [f"visit {step}" for step in scenario.visits if step in completed]
    if Counter(found := Entry.objects.values_list("text", flat=True)) != Counter(wanted):
        yield f"Completed are {dict(completed)}; that left the rows {sorted(found)} instead of {sorted(wanted)}."
    effects = outside.noted("effect")
    begun = set(timeline.events.filter(type="AttemptStarted").values_list("step", flat=True))
    for step in sorted({step for step, _key in effects} - begun):
        yield f"{step} had its effect before its start was committed."
    rounds = max(timeline.state.get("rounds", {}).values(), default=1)
    for step in OUTSIDE:
        keys = [key for name, key in effects if name == step]
        if len(set(keys)) < completed[step]:
            yield f"{step} was completed {completed[step]} times with the effects {keys}."
        if len(set(keys)) > rounds:
            yield f"{step} had, in {rounds} rounds, effects with these keys: {keys}."
        if step == ONCE_AT_MOST and len(keys) > len(set(keys)):
            yield f"{step} had its effect more than once: {keys}."
