"""What must hold: at the moment of the crash, and at the end, which is the end that an undisturbed run reaches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django_timelines.models import Event, Lease, Run, SealedInput, Timeline
from django_timelines.state import StepStatus
from django_timelines.testing import assert_holds
from tests.shop.models import Entry

from . import outside
from .cargo import LABELS, LETTERS, Cargo
from .scenarios import Scenario
from .workflows import CUSTOMER, ROWS
from .world import TABLES

AT_MOST_ONCE = "charge"
OUTSIDE = (AT_MOST_ONCE, "announce", "renounce")
MOVING = (StepStatus.DUE, StepStatus.RUNNING, StepStatus.RETRYING)
ONCE = (
    *(
        "StepCompleted",
        "StepUndone",
        "StepSkipped",
        "StepOverdue",
        "CancelRequested",
        "TimelineCompleted",
        "TimelineCancelled",
    ),
    *("Amended", "Paused", "Resumed", "RoundBegun"),
)


def at_any_moment(scenario: Scenario) -> Iterator[str]:
    """Say what does not hold of what is stored now, whatever has just died."""
    timeline = Timeline.objects.first()
    if timeline is None:
        yield from _of_nothing()
        return
    try:
        assert_holds()
    except AssertionError as error:
        yield f"The timeline's rows contradict one another: {error}"
    yield from _of_what_was_deleted(timeline)
    if timeline.state.get("erased"):
        return
    yield from _of_bells(timeline)
    yield from _of_leases()
    yield from _of_secrets(timeline)
    if timeline.workflow == Cargo._declaration.label:
        yield from _of_batches(timeline)
    else:
        yield from _of_effects(timeline, scenario)


def _of_nothing() -> Iterator[str]:
    for table in TABLES:
        if found := table._default_manager.count():
            yield f"There is no timeline, but {found} of {table.__name__}."
    for kind in ("rang", "hinted", "effect"):
        if outside.noted(kind):
            yield f"There is no timeline, but somebody {kind}: {outside.noted(kind)}."


def _of_what_was_deleted(timeline: Timeline) -> Iterator[str]:
    """Erasing leaves nothing of what was said, pruning nothing of a timeline that is gone; either all or not at all."""
    said = [event.sequence for event in timeline.events.all() if CUSTOMER in json.dumps(event.data)]
    if timeline.state.get("erased") and said:
        yield f"The timeline is erased, and the events {said} still name the customer."
    for model in (Event, Run, SealedInput):
        if left := model._default_manager.exclude(timeline__in=Timeline.objects.all()).count():
            yield f"{left} of {model.__name__} are left of timelines that are gone."


def _of_bells(timeline: Timeline) -> Iterator[str]:
    for step, fence in outside.noted("rang"):
        if not Event.objects.filter(timeline=timeline, sequence=fence, step=step).exists():
            yield f"The bell for {step} rang for event {fence}, which was not committed."
    for (sequence,) in outside.noted("hinted"):
        if int(sequence) > timeline.head:
            yield f"There was a hint of event {sequence}, which was not committed."
    paused = timeline.status == "paused"  # then nothing is begun
    for run in Run.objects.none() if paused else Run.objects.filter(status__in=MOVING, ring=None):
        yield f"The clock will never look at {run}, which is {run.status}."


def _of_leases() -> Iterator[str]:
    running = set(Run.objects.filter(status=StepStatus.RUNNING).values_list("id", flat=True))
    leased = set(Lease.objects.values_list("run_id", flat=True))
    if leased - running:
        yield f"{len(leased - running)} leases are left of what is not being executed."
    if running - leased:
        yield f"{len(running - leased)} attempts are executed without a lease."


def _of_secrets(timeline: Timeline) -> Iterator[str]:
    for sealed in SealedInput.objects.all():
        run = timeline.state["runs"].get(sealed.step, {})
        if run.get("status") not in (*MOVING, StepStatus.BLOCKED, StepStatus.UPCOMING):
            yield f"A sealed input is left of {sealed.step}, which is {run.get('status')}."

    kept = set(SealedInput.objects.values_list("step", flat=True))
    for step, run in timeline.state["runs"].items():
        if run.get("sealed") and run["status"] in MOVING and step not in kept:
            yield f"{step} is {run['status']}, and its sealed input is gone."


def _of_effects(timeline: Timeline, scenario: Scenario) -> Iterator[str]:
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
        if step == AT_MOST_ONCE and len(keys) > len(set(keys)):
            yield f"{step} had its effect more than once: {keys}."


def _of_batches(timeline: Timeline) -> Iterator[str]:
    """Say where rows, facts and letters are not what the cursors say."""
    came = Counter(dict.fromkeys(LABELS, 0))
    for run in timeline.runs.filter(cursor__isnull=False):
        came[run.step] = run.cursor["loops"][0]["done"]
    for step in timeline.events.filter(type="StepCompleted", step__in=LABELS).values_list("step", flat=True):
        came[step] = LABELS[step][1]
    wanted = sorted(f"{LABELS[step][0]} {number}" for step in LABELS for number in range(came[step]))
    if (found := sorted(Entry.objects.values_list("text", flat=True))) != wanted:
        yield f"By the cursors there are the rows {wanted}, and these were found: {found}."
    boxed = [data["box"] for data in timeline.events.filter(type="Boxed").values_list("data", flat=True)]
    if boxed != [*range(came["load"])]:
        yield f"By the cursor {came['load']} boxes are on board, and the facts are of {boxed}."
    letters = sorted({int(letter) for (letter,) in outside.noted("letter")})
    if letters != [*range(len(letters))] or len(letters) < came["write"]:
        yield f"By the cursor {came['write']} letters are written, and these were: {letters}."
    if timeline.status == "completed" and letters != [*LETTERS]:
        yield f"The letters {letters} were written, and no others."


def picture() -> dict[str, Any]:
    """Return how it ended. What depends on when somebody died is left out."""
    timeline = Timeline.objects.latest("id")
    state = timeline.state
    steps = {step: run["status"] for step, run in state["runs"].items()}
    once = Counter(
        f"{event.type} {event.step}".replace(f"StepSkipped {AT_MOST_ONCE}", f"StepCompleted {AT_MOST_ONCE}").rstrip()
        for event in timeline.events.all()
        if event.type in ONCE
    )
    if steps.get(AT_MOST_ONCE) == StepStatus.SKIPPED:  # by the person who looked what had become of it
        steps[AT_MOST_ONCE] = str(StepStatus.COMPLETED)
    return {
        "timelines": Timeline.objects.count(),
        "erased": bool(state.get("erased")),
        "status": timeline.status,
        "steps": steps,
        "fields": state["fields"],
        "events": dict(sorted(once.items())),
        "rows": sorted(Entry.objects.values_list("text", flat=True)),
        "effects": sorted({step for step, _key in outside.noted("effect")} - {AT_MOST_ONCE}),
        "open": sorted(Run.objects.values_list("step", "status")),
        "leases": Lease.objects.count(),
        "sealed": SealedInput.objects.count(),
    }


def at_the_end(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """Say where the end differs from the one that an undisturbed run reached."""
    for name, wanted in expected.items():
        if found[name] != wanted:
            yield f"The end is another: {name} {found[name]} instead of {wanted}."
