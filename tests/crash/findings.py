"""What must hold: at the moment of the crash, and at the end, which is the end that an undisturbed run reaches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django_timelines import registry
from django_timelines.items import read_all
from django_timelines.models import Event, Lease, Notice, Run, SealedInput, Slot, Timeline, UniqueValue
from django_timelines.state import ENDED, StepStatus
from django_timelines.testing import assert_holds
from tests.shop.models import Entry

from . import outside
from .scenario import Scenario
from .workflows import CUSTOMER, ONCE_AT_MOST
from .world import WRITTEN

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
        "TimelineFailed",
    ),
    *("Amended", "Paused", "Resumed", "RoundBegun"),
)


def at_any_moment(scenario: Scenario) -> Iterator[str]:
    """Say what does not hold of what is stored now, whatever has just died."""
    timelines = list(Timeline.objects.all())
    if not timelines:
        yield from _of_nothing()
        return
    try:
        assert_holds()
    except AssertionError as error:
        yield f"The timeline's rows contradict one another: {error}"
    yield from _of_what_was_deleted(timelines)
    if any(timeline.state.get("erased") for timeline in timelines):
        return
    for timeline in timelines:
        yield from _of_secrets(timeline)
    yield from _of_bells({timeline.pk.hex: timeline for timeline in timelines})
    yield from _of_leases()
    yield from _of_slots(timelines)
    yield from _of_unique_values(timelines)
    yield from scenario.holds(scenario)


def _of_nothing() -> Iterator[str]:
    for table in WRITTEN:
        if found := table._default_manager.count():
            yield f"There is no timeline, but {found} of {table.__name__}."
    for kind in ("rang", "hinted", "effect"):
        if outside.noted(kind):
            yield f"There is no timeline, but somebody {kind}: {outside.noted(kind)}."


def _of_what_was_deleted(timelines: list[Timeline]) -> Iterator[str]:
    """Erasing leaves nothing of what was said, pruning nothing of a timeline that is gone; either all or not at all."""
    for timeline in timelines:
        if timeline.state.get("erased"):
            said = [event.sequence for event in timeline.events.all() if CUSTOMER in json.dumps(event.data)]
            if said:
                yield f"The timeline is erased, and the events {said} still name the customer."
    for model in (Event, Run, SealedInput):
        if left := model._default_manager.exclude(timeline__in=Timeline.objects.all()).count():
            yield f"{left} of {model.__name__} are left of timelines that are gone."


def _of_bells(timelines: dict[str, Timeline]) -> Iterator[str]:
    committed = {
        (step, str(at), key.hex) for step, at, key in Event.objects.values_list("step", "sequence", "timeline")
    }
    for step, fence, id in outside.noted("rang"):
        if (step, fence, id) not in committed:
            yield f"The bell for {step} rang for event {fence} of {id}, which was not committed."
    for sequence, id in outside.noted("hinted"):
        if id not in timelines or int(sequence) > timelines[id].head:
            yield f"There was a hint of event {sequence} of {id}, which was not committed."
    for run in Run.objects.filter(status__in=MOVING, ring=None):
        if timelines[run.timeline_id.hex].status != "paused":  # then nothing is begun
            yield f"The clock will never look at {run}, which is {run.status}."


def _of_leases() -> Iterator[str]:
    running = set(Run.objects.filter(status=StepStatus.RUNNING).values_list("id", flat=True))
    leased = set(Lease.objects.values_list("run_id", flat=True))
    if leased - running:
        yield f"{len(leased - running)} leases are left of what is not being executed."
    if running - leased:
        yield f"{len(running - leased)} attempts are executed without a lease."


def _of_slots(timelines: list[Timeline]) -> Iterator[str]:
    held = {(slot.timeline_id, slot.digest.hex, slot.number) for slot in Slot.objects.all()}
    said = {
        (one.pk, *slot) for one in timelines for run in read_all(one)["runs"].values() for slot in run.get("slots", ())
    }
    if held - said:
        yield f"{len(held - said)} slots are left of what is not being executed."
    if said - held:
        yield f"{len(said - held)} attempts are executed without the slots that they say they hold."


def _of_unique_values(timelines: list[Timeline]) -> Iterator[str]:
    limited = [one for one in timelines if (found := registry.find(one.workflow)) and found.unique]
    wanted = sorted(one.pk for one in limited if one.status not in ENDED and "ship" in one.state["fields"])
    if (found := sorted(UniqueValue.objects.values_list("timeline", flat=True))) != wanted:
        yield f"{len(wanted)} open timelines have a unique value, and {len(found)} hold theirs."


def _of_secrets(timeline: Timeline) -> Iterator[str]:
    for sealed in SealedInput.objects.filter(timeline=timeline):
        run = timeline.state["runs"].get(sealed.step, {})
        if run.get("status") not in (*MOVING, StepStatus.BLOCKED, StepStatus.UPCOMING):
            yield f"A sealed input is left of {sealed.step}, which is {run.get('status')}."
    kept = set(SealedInput.objects.filter(timeline=timeline).values_list("step", flat=True))
    for step, run in read_all(timeline)["runs"].items():
        if run.get("sealed") and run["status"] in MOVING and step not in kept:
            yield f"{step} is {run['status']}, and its sealed input is gone."


def picture() -> dict[str, Any]:
    """Return how it ended. What depends on when somebody died is left out."""
    return {
        "timelines": sorted((_of(one) for one in Timeline.objects.all()), key=json.dumps),
        "rows": sorted(_without_keys(text) for text in Entry.objects.values_list("text", flat=True)),
        "effects": sorted({step for step, _key in outside.noted("effect")} - {ONCE_AT_MOST}),
        "open": sorted(Run.objects.values_list("step", "item", "status")),
        "leases": Lease.objects.count(),
        "sealed": SealedInput.objects.count(),
        "slots": Slot.objects.count(),
        "unique": UniqueValue.objects.count(),
        "notices": Notice.objects.count(),
    }


def _of(timeline: Timeline) -> dict[str, Any]:
    """Return how a timeline ended."""
    state = read_all(timeline)
    steps = {step: run["status"] for step, run in state["runs"].items()}
    once = Counter(
        f"{event.type} {event.step} {event.item}".replace(
            f"StepSkipped {ONCE_AT_MOST}", f"StepCompleted {ONCE_AT_MOST}"
        ).rstrip()
        for event in timeline.events.all()
        if event.type in ONCE
    )
    if steps.get(ONCE_AT_MOST) == StepStatus.SKIPPED:  # by the person who looked what had become of it
        steps[ONCE_AT_MOST] = str(StepStatus.COMPLETED)
    return {
        "workflow": timeline.workflow,
        "erased": bool(state.get("erased")),
        "status": timeline.status,
        "steps": dict(sorted(steps.items())),
        "fields": state["fields"],
        "events": dict(sorted(once.items())),
    }


def _without_keys(text: str) -> str:
    return " ".join(word for word in text.split() if len(word) < 32)  # a timeline's key is another in each run


def at_the_end(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """Say where the end differs from the one that an undisturbed run reached."""
    for name, wanted in expected.items():
        if found[name] != wanted:
            yield f"The end is another: {name} {found[name]} instead of {wanted}."
