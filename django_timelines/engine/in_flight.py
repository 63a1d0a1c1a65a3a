"""Before a release: what of the timelines in flight this code could not go on with. Only reads, as it stands at that moment.

A referenced row is not looked for: that it is gone is no matter of the release. A secret is not opened.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import pydantic
from django.core.exceptions import ImproperlyConfigured

from .. import placements, registry
from ..events import EventType
from ..exceptions import UnknownPlacement
from ..fields import Field
from ..models import Event, Item, Timeline
from ..registry import Declaration
from ..state import (
    ENDED,
    OPEN,
    StepStatus,
    TimelineStatus,
    awaits_child,
    in_state,
    is_damaged,
    is_open,
    run_key,
    split_key,
    type_run,
    type_state,
    with_fields,
)
from ..steps import Step
from . import bells
from .assignee import waits_for_nobody
from .elsewhere import lacks
from .failure import changed_items
from .finding import Finding, Kind, Problem, Tally

BATCH = 200
LOOKED_AT = 200  # items of a list
_MAY_MATTER = (*OPEN, StepStatus.OVERDUE, StepStatus.UPCOMING)


class _Open(NamedTuple):
    id: uuid.UUID
    workflow: str
    state: type_state
    runs: Mapping[str, type_run]  # those whose input is still needed


type_calls = Mapping[tuple[uuid.UUID, int], Mapping[str, Any]]
type_children = Mapping[str, str]  # by their id in hex: the workflow that they were begun as


def findings(using: str, looked_at: Callable[[int], None] = lambda number: None) -> Iterator[Finding]:
    """Compare the code with all timelines in flight, then yield what does not fit, aggregated.

    ``looked_at`` is told after each batch how many it were so far. However many there are, a few batches are in memory.
    """
    found: dict[tuple[str, ...], Tally] = {}
    problem_at, number = cache(_problem_at), 0
    for batch in _batches(heapq.merge(*_by_status(using), key=attrgetter("id"))):
        calls, children = _calls(using, batch), _children(using, batch)
        for timeline in batch:
            problems = [*_problems(timeline, calls, children, problem_at)]
            first = {problem[:3]: problem for problem in reversed(problems)}
            for key, problem in first.items():
                found.setdefault(key, Tally(problem)).add(timeline.id)
        number += len(batch)
        looked_at(number)
    yield from (tally.finding() for _key, tally in sorted(found.items()))


def _by_status(using: str) -> list[Iterator[_Open]]:
    return [_of_status(using, status) for status in TimelineStatus if status not in ENDED]


def _of_status(using: str, status: str) -> Iterator[_Open]:
    """Yield timelines by their key, from the index on status and key; merged, none that changes its status is missed."""
    found = (
        Timeline.objects.using(using)
        .filter(status=status)
        .order_by("id")
        .values_list("id", "workflow", "state", "fields")
    )
    last = uuid.UUID(int=0)
    while rows := list(found.filter(id__gt=last)[:BATCH]):
        last = rows[-1][0]
        states = {id: with_fields(state, fields, id) for id, _workflow, state, fields in rows}
        sound = {id: state for id, state in states.items() if not is_damaged(state)}
        items = _items(using, [id for id, state in sound.items() if state["runs"].left_out])
        for id, workflow, *_columns in rows:
            runs = dict(in_state(sound[id])) | items.get(id, {}) if id in sound else {}
            yield _Open(id, workflow, states[id], {key: run for key, run in runs.items() if _matters(run)})


def _items(using: str, timelines: list[uuid.UUID]) -> dict[uuid.UUID, dict[str, type_run]]:
    """Return the runs of their items that may be open or called, by timeline and key."""
    rows = Item.objects.using(using).filter(timeline__in=timelines, status__in=_MAY_MATTER) if timelines else ()
    found: dict[uuid.UUID, dict[str, type_run]] = {}
    for row in rows:
        found.setdefault(row.timeline_id, {})[run_key(row.step, row.item)] = row.state
    return found


def _batches(rows: Iterator[_Open]) -> Iterator[list[_Open]]:
    batch: list[_Open] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _calls(using: str, batch: Iterable[_Open]) -> type_calls:
    """Return what the events say of the calls whose input is still needed."""
    wanted = {(row.id, run["call"]) for row in batch for run in row.runs.values() if "call" in run}
    if not wanted:
        return {}
    timelines, sequences = {id for id, _call in wanted}, {call for _id, call in wanted}
    events = Event.objects.using(using).filter(
        timeline__in=timelines, sequence__in=sequences, type=EventType.STEP_CALLED
    )
    rows = events.values_list("timeline_id", "sequence", "data")
    return {(id, call): data for id, call, data in rows if (id, call) in wanted}


def _children(using: str, batch: Iterable[_Open]) -> type_children:
    """Return the timelines whose end is waited for, but for those that are undone, which give nothing."""
    runs = [run for row in batch for run in row.runs.values() if awaits_child(run) and "of" not in run]
    awaited = [uuid.UUID(run["child"]) for run in runs]
    children = Timeline.objects.using(using).only("workflow").in_bulk(awaited) if awaited else {}
    return {id.hex: child.workflow for id, child in children.items()}


def _matters(run: type_run) -> bool:
    return is_open(run) or run["status"] == StepStatus.UPCOMING  # a call that came early is kept for it


def _problems(
    row: _Open, calls: type_calls, children: type_children, problem_at: Callable[[str, str], str]
) -> Iterator[Problem]:
    declaration = registry.find(row.workflow)
    if declaration is None:
        yield Problem(Kind.UNKNOWN_WORKFLOW, row.workflow)
        return
    label = declaration.label
    if is_damaged(row.state):
        yield Problem(Kind.STATE_DAMAGED, label)
        return
    if declaration.is_behind(row.state):
        yield Problem(Kind.OLDER_CODE, label)
        return
    for name, value in row.state["fields"].items():
        now = declaration.renamed_fields.get(name, name)
        if now not in declaration.fields:
            yield Problem(Kind.UNDECLARED_FIELD, label, name)
        elif said := _misfit(declaration.fields[now], value):
            yield Problem(Kind.FIELD_VALUE, label, now, said)
    yield from _of_lists(declaration, row)
    yield from _of_removed(declaration, row)
    for key, run in row.runs.items():
        name = declaration.current(split_key(key)[0])
        if name not in declaration.steps:
            yield Problem(Kind.UNKNOWN_STEP, label, name)
            continue
        if said := problem_at(label, name):
            yield Problem(Kind.PLACEMENT, label, name, said)
        if said := changed_items(declaration, split_key(key), run):
            yield Problem(Kind.ITEMS, label, name, said)
            continue
        if awaits_child(run) and (said := _takes_no_end(declaration.steps[name], children.get(run["child"], ""))):
            yield Problem(Kind.SUBWORKFLOW, label, name, said)
            continue
        if waits_for_nobody(declaration.steps[name], run):
            yield Problem(Kind.RUNS_BY_ITSELF, label, name)
            continue
        call = calls.get((row.id, run.get("call", 0)))
        yield from _of_input(declaration, declaration.steps[name], run, call)


def _takes_no_end(step: Step[...], child: str) -> str:
    """Say why a step does not take the end of its child, which may be of another workflow than it begins by now."""
    if step.child is None:
        return "is no subworkflow any more"
    begun = registry.find(child)
    lacking = [source for source in step.results.values() if source not in begun.fields] if begun else []
    return f"results= takes {lacking[0]!r} now, which {child} does not have" if lacking else ""


def _of_removed(declaration: Declaration, row: _Open) -> Iterator[Problem]:
    """Name the steps that are done and that the code no longer has: nobody knows how they are undone."""
    done = {split_key(key).step for key, run in in_state(row.state) if run["status"] == StepStatus.COMPLETED}
    for step in sorted(done):
        if lacks(declaration, step, row.state):
            yield Problem(Kind.REMOVED_STEP, declaration.label, step)


def _of_lists(declaration: Declaration, row: _Open) -> Iterator[Problem]:
    """Compare what is in the lists of steps that are not settled, and the parameters that take an item of them."""
    for name, typed in declaration.items.items():
        each, every = declaration.steps[name].each, row.state["runs"].get(name)
        if each is None or (every is not None and not is_open(every)):
            continue
        values = declaration.fields[each.field].stored_in(row.state["fields"], None)
        for value in values[:LOOKED_AT] if isinstance(values, list) else ():
            if said := _misfit(typed, value):
                yield Problem(Kind.INPUT_VALUE, declaration.label, f"{name}({typed.name})", said)
                break


def _of_input(
    declaration: Declaration, step: Step[...], run: type_run, call: Mapping[str, Any] | None
) -> Iterator[Problem]:
    """Compare what a run will be executed with, and the step's parameters. One that waits will be called anew."""
    if call is None and run["status"] in (StepStatus.WAITING, StepStatus.OVERDUE):
        return
    given = call.get("input", {}) if call else {}
    sealed = call.get("sealed", ()) if call else ()
    for parameter in step.parameters:
        name = f"{step.name}({parameter.name})"
        if parameter.name in given:
            if said := _misfit(declaration.inputs[step.name][parameter.name], given[parameter.name]):
                yield Problem(Kind.INPUT_VALUE, declaration.label, name, said)
        elif parameter.required and parameter.name not in sealed:
            yield Problem(Kind.MISSING_PARAMETER, declaration.label, name)
    for unknown in sorted({*given, *sealed} - {parameter.name for parameter in step.parameters}):
        yield Problem(Kind.UNDECLARED_INPUT, declaration.label, f"{step.name}({unknown})")


def _misfit(typed: Field, value: Any) -> str:
    """Say why a stored value does not fit, without the value: that is somebody's."""
    try:
        typed.check_stored(value)
    except pydantic.ValidationError as error:
        return str(error.errors(include_input=False, include_url=False)[0]["msg"])
    except Exception as error:  # a validator is the project's own code
        return f"its validator raises {type(error).__name__}"
    return ""


def _problem_at(workflow: str, step: str) -> str:
    for placement in dict.fromkeys((bells.placement_of(workflow, step), bells.retry_placement_of(workflow, step))):
        try:
            problem = placements.get(placement).problem()
        except (ImportError, ImproperlyConfigured, UnknownPlacement) as error:
            problem = str(error)
        if problem:
            return problem
    return ""
