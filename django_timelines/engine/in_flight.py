"""Before a release: what of the timelines in flight this code could not go on with. Only reads, as it stands at that moment.

A referenced row is not looked for: that it is gone is no matter of the release. A secret is not opened.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
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
from .elsewhere import lacks
from .failure import changed_items

BATCH = 200
EXAMPLES = 5
LOOKED_AT = 200  # items of a list
_MAY_MATTER = (*OPEN, StepStatus.OVERDUE, StepStatus.UPCOMING)


class Kind(StrEnum):
    """What can be found."""

    UNKNOWN_WORKFLOW = "unknown_workflow"
    """The code no longer has it, nor another that is ``renamed_from`` it."""
    OLDER_CODE = "older_code"
    """Newer code has renamed steps or fields of it: this code leaves it alone."""
    STATE_DAMAGED = "state_damaged"
    """What is stored as its state is no fold of events: nothing goes on with it."""
    UNKNOWN_STEP = "unknown_step"
    """The same of a step of which a run is open."""
    PLACEMENT = "placement"
    """A step with an open run is placed where nobody can be rung for."""
    UNDECLARED_FIELD = "undeclared_field"
    """A field has a value and is declared no more. Nothing blocks: its value stays in the state."""
    FIELD_VALUE = "field_value"
    """A stored value does not fit the field's type."""
    INPUT_VALUE = "input_value"
    """The input of a call that is not settled does not fit the parameter's type."""
    ITEMS = "items"
    """A step is done for each item of a list, and a run that is open was begun when it was not; or the other way round."""
    MISSING_PARAMETER = "missing_parameter"
    """A run will be executed without a parameter that the step needs."""
    UNDECLARED_INPUT = "undeclared_input"
    """A call that is not settled gives what the step has no parameter for. Nothing blocks: it is executed without that."""
    REMOVED_STEP = "removed_step"
    """A step is done that the code no longer has. Nothing blocks: whoever compensates does not undo it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit, on so many timelines; ``examples`` are the ids of a few."""

    kind: Kind
    workflow: str
    name: str  # of the step, ``step(parameter)`` or the field; empty for a workflow
    count: int
    examples: tuple[uuid.UUID, ...]
    sentence: str
    hint: str

    @property
    def blocks(self) -> bool:
        """Tell whether a timeline could not go on by itself."""
        return self.kind not in _WARNINGS


_WARNINGS = frozenset({Kind.UNDECLARED_FIELD, Kind.UNDECLARED_INPUT, Kind.REMOVED_STEP})


class _Open(NamedTuple):
    id: uuid.UUID
    workflow: str
    state: type_state
    runs: Mapping[str, type_run]  # those whose input is still needed


class _Problem(NamedTuple):
    kind: Kind
    workflow: str
    name: str = ""
    detail: str = ""


type_calls = Mapping[tuple[uuid.UUID, int], Mapping[str, Any]]


def findings(using: str, looked_at: Callable[[int], None] = lambda number: None) -> Iterator[Finding]:
    """Compare the code with all timelines in flight, then yield what does not fit, aggregated.

    ``looked_at`` is told after each batch how many it were so far. However many there are, a few batches are in memory.
    """
    found: dict[tuple[str, ...], _Tally] = {}
    problem_at, number = cache(_problem_at), 0
    for batch in _batches(heapq.merge(*_by_status(using), key=attrgetter("id"))):
        calls = _calls(using, batch)
        for timeline in batch:
            first = {problem[:3]: problem for problem in reversed([*_problems(timeline, calls, problem_at)])}
            for key, problem in first.items():
                found.setdefault(key, _Tally(problem)).add(timeline.id)
        number += len(batch)
        looked_at(number)
    yield from (tally.finding() for _key, tally in sorted(found.items()))


@dataclass(slots=True)
class _Tally:
    problem: _Problem
    count: int = 0
    examples: list[uuid.UUID] = field(default_factory=list)

    def add(self, timeline: uuid.UUID) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(timeline)

    def finding(self) -> Finding:
        kind, workflow, name, detail = self.problem
        sentence, hint = _SAID[kind]
        step, _parenthesis, parameter = name.partition("(")
        words = {"workflow": workflow, "name": name, "step": step, "parameter": parameter[:-1], "detail": detail}
        said = sentence.format(**words), hint.format(**words)
        return Finding(kind, workflow, name, self.count, tuple(self.examples), *said)


_SAID = {
    Kind.UNKNOWN_WORKFLOW: (
        "The code has no workflow {workflow} any more.",
        'Renamed: class New(Workflow, renamed_from="{workflow}"). Removed: keep it until they have ended, or cancel them.',
    ),
    Kind.OLDER_CODE: (
        "Newer code has renamed steps or fields of {workflow}: this code leaves these timelines alone.",
        "They wait until the newer code is there again, unless the release that goes back keeps its names, with renamed_from=.",
    ),
    Kind.STATE_DAMAGED: (
        "The stored state of timelines of {workflow} is damaged.",
        "Their events say what it was: manage.py timelines refold ID folds them anew.",
    ),
    Kind.UNKNOWN_STEP: (
        "The code has no step {workflow}.{name} any more, and runs of it are open.",
        'Renamed: @step(…, renamed_from="{name}"). Removed: keep it until it is settled everywhere, or skip it there first.',
    ),
    Kind.PLACEMENT: (
        "{workflow}.{name} runs nowhere: {detail}",
        'Correct TIMELINES["PLACEMENT"], or the queue.',
    ),
    Kind.UNDECLARED_FIELD: (
        "{workflow} has no field {name} any more.",
        'Renamed: new_name: Annotated[…, RenamedFrom("{name}")]. Removed: that is all, its values stay in the history.',
    ),
    Kind.FIELD_VALUE: (
        "{workflow}.{name} does not take a value that it has: {detail}",
        "Bring old values up: {name}: Annotated[…, BeforeValidator(…)]. Or amend them first.",
    ),
    Kind.INPUT_VALUE: (
        "{workflow}.{step} does not take what it was called with, {parameter}: {detail}",
        "Bring old input up: {parameter}: Annotated[…, BeforeValidator(…)]. Or let it be settled first.",
    ),
    Kind.ITEMS: (
        "{workflow}.{name} is under way, and each= was {detail} since.",
        "Give the new step another name, or let this one be settled first.",
    ),
    Kind.MISSING_PARAMETER: (
        "{workflow}.{step} is under way without {parameter}, which it needs now.",
        "Give the parameter a default, or let the step be settled first.",
    ),
    Kind.UNDECLARED_INPUT: (
        "{workflow}.{step} was called with {parameter}, which it does not take any more.",
        "Removed: that is all, it is executed without. Renamed: keep the old name until the calls are settled.",
    ),
    Kind.REMOVED_STEP: (
        "The code has no step {workflow}.{name} any more, and it is done: compensation leaves it out.",
        "If it has an undo, keep both until these timelines have ended. If not, that is all.",
    ),
}


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


def _matters(run: type_run) -> bool:
    return is_open(run) or run["status"] == StepStatus.UPCOMING  # a call that came early is kept for it


def _problems(row: _Open, calls: type_calls, problem_at: Callable[[str, str], str]) -> Iterator[_Problem]:
    declaration = registry.find(row.workflow)
    if declaration is None:
        yield _Problem(Kind.UNKNOWN_WORKFLOW, row.workflow)
        return
    label = declaration.label
    if is_damaged(row.state):
        yield _Problem(Kind.STATE_DAMAGED, label)
        return
    if declaration.is_behind(row.state):
        yield _Problem(Kind.OLDER_CODE, label)
        return
    for name, value in row.state["fields"].items():
        now = declaration.renamed_fields.get(name, name)
        if now not in declaration.fields:
            yield _Problem(Kind.UNDECLARED_FIELD, label, name)
        elif said := _misfit(declaration.fields[now], value):
            yield _Problem(Kind.FIELD_VALUE, label, now, said)
    yield from _of_lists(declaration, row)
    yield from _of_removed(declaration, row)
    for key, run in row.runs.items():
        name = declaration.current(split_key(key)[0])
        if name not in declaration.steps:
            yield _Problem(Kind.UNKNOWN_STEP, label, name)
            continue
        if said := problem_at(label, name):
            yield _Problem(Kind.PLACEMENT, label, name, said)
        if said := changed_items(declaration, split_key(key), run):
            yield _Problem(Kind.ITEMS, label, name, said)
            continue
        call = calls.get((row.id, run.get("call", 0)))
        yield from _of_input(declaration, declaration.steps[name], run, call)


def _of_removed(declaration: Declaration, row: _Open) -> Iterator[_Problem]:
    """Name the steps that are done and that the code no longer has: nobody knows how they are undone."""
    done = {split_key(key).step for key, run in in_state(row.state) if run["status"] == StepStatus.COMPLETED}
    for step in sorted(done):
        if lacks(declaration, step, row.state):
            yield _Problem(Kind.REMOVED_STEP, declaration.label, step)


def _of_lists(declaration: Declaration, row: _Open) -> Iterator[_Problem]:
    """Compare what is in the lists of steps that are not settled, and the parameters that take an item of them."""
    for name, typed in declaration.items.items():
        each, every = declaration.steps[name].each, row.state["runs"].get(name)
        if each is None or (every is not None and not is_open(every)):
            continue
        values = each.declared.stored_in(row.state["fields"], None)
        for value in values[:LOOKED_AT] if isinstance(values, list) else ():
            if said := _misfit(typed, value):
                yield _Problem(Kind.INPUT_VALUE, declaration.label, f"{name}({typed.name})", said)
                break


def _of_input(
    declaration: Declaration, step: Step[...], run: type_run, call: Mapping[str, Any] | None
) -> Iterator[_Problem]:
    """Compare what a run will be executed with, and the step's parameters. One that waits will be called anew."""
    if call is None and run["status"] in (StepStatus.WAITING, StepStatus.OVERDUE):
        return
    given = call.get("input", {}) if call else {}
    sealed = call.get("sealed", ()) if call else ()
    for parameter in step.parameters:
        name = f"{step.name}({parameter.name})"
        if parameter.name in given:
            if said := _misfit(declaration.inputs[step.name][parameter.name], given[parameter.name]):
                yield _Problem(Kind.INPUT_VALUE, declaration.label, name, said)
        elif parameter.required and parameter.name not in sealed:
            yield _Problem(Kind.MISSING_PARAMETER, declaration.label, name)
    for unknown in sorted({*given, *sealed} - {parameter.name for parameter in step.parameters}):
        yield _Problem(Kind.UNDECLARED_INPUT, declaration.label, f"{step.name}({unknown})")


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
