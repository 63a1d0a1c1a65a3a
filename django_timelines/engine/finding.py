"""What a release could not go on with: its kinds, and what is said of each, with how to mend it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

EXAMPLES = 5


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
    SUBWORKFLOW = "subworkflow"
    """A step that was begun as a subworkflow, and goes on as one, is another sort of step since, or of another workflow."""
    RUNS_BY_ITSELF = "runs_by_itself"
    """A step that waits for a call, and that runs by itself since: from outside nobody can call it."""
    MISSING_PARAMETER = "missing_parameter"
    """A run will be executed without a parameter that the step needs."""
    UNDECLARED_INPUT = "undeclared_input"
    """A call that is not settled gives what the step has no parameter for. Nothing blocks: it is executed without that."""
    REMOVED_STEP = "removed_step"
    """A step is done that the code no longer has. Nothing blocks: whoever compensates does not undo it."""
    PAST_REACTION = "past_reaction"
    """A projection reacts to a workflow that it has not followed so far. Nothing blocks: it reacts to its past, too."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit, on so many timelines; ``examples`` are the ids of a few."""

    kind: Kind
    workflow: str
    name: str  # of the step, ``step(parameter)``, the field or the projection; empty for a workflow
    count: int
    examples: tuple[uuid.UUID, ...]
    sentence: str
    hint: str

    @property
    def blocks(self) -> bool:
        """Tell whether a timeline could not go on by itself."""
        return self.kind not in _WARNINGS


_WARNINGS = frozenset({Kind.UNDECLARED_FIELD, Kind.UNDECLARED_INPUT, Kind.REMOVED_STEP, Kind.PAST_REACTION})


class Problem(NamedTuple):
    """One thing that does not fit on one timeline. The first three say what is the same."""

    kind: Kind
    workflow: str
    name: str = ""
    detail: str = ""


@dataclass(slots=True)
class Tally:
    """On how many timelines the same does not fit, and a few of them."""

    problem: Problem
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
    Kind.SUBWORKFLOW: (
        "{workflow}.{name} is under way as a timeline of its own, and {detail}.",
        "Give the new step another name, or let this one be settled first.",
    ),
    Kind.RUNS_BY_ITSELF: (
        "{workflow}.{name} waits for a call, and runs by itself now: nobody is asked for it.",
        "Rewind to it once this code is there, so that it runs. Or skip it, or call it by code.",
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
    Kind.PAST_REACTION: (
        "{name} reacts to {workflow}, which it has not followed so far: to all that happened there since {detail}.",
        "Put that reaction into a projection of its own, which begins with the present.",
    ),
}
