"""The workflows of this project by their label, ``"signup.Signup"``: app label and class name."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from django.apps import AppConfig, apps
from django.core.exceptions import AppRegistryNotReady
from django.db.models import Model
from django.utils.text import camel_case_to_spaces
from django.utils.translation import gettext as _

from .exceptions import DeclarationError, Unknown
from .fields import UNSET, Field
from .graph import Graph
from .limits import By, Counted, Limit
from .references import key_of, models_in
from .schedules import Schedule
from .state import names_of, type_state
from .steps import Step

LONGEST_LABEL = 150  # of a workflow or a projection, in its columns


@dataclass(frozen=True)
class Declaration:
    """What a workflow class declares, for the engine, the admin and the checks."""

    label: str
    workflow: Any
    steps: dict[str, Step[...]]
    fields: dict[str, Field]
    inputs: dict[str, dict[str, Field]]  # of each step, by parameter
    graph: Graph
    items: dict[str, Field]  # of each step with each=, and of its undo: the parameter that takes the item
    names: tuple[str, ...] = ()  # its label, and those that it had before
    schedules: dict[str, Schedule] = field(default_factory=dict)  # by name; @schedule adds them
    unique: By | None = None  # for each value there is one open timeline
    limit: Limit | None = None  # of the class
    limited: dict[str, tuple[Counted, ...]] = field(
        default_factory=dict
    )  # the steps of which only so many are executed at once

    @cached_property
    def renamed_steps(self) -> dict[str, str]:
        """The steps that had another name before: that name, and theirs."""
        return {step.renamed_from: name for name, step in self.steps.items() if step.renamed_from}

    @cached_property
    def renamed_fields(self) -> dict[str, str]:
        """The fields that had another name before: that name, and theirs."""
        return {field.renamed_from: name for name, field in self.fields.items() if field.renamed_from}

    @cached_property
    def limits_cross(self) -> bool:
        """Tell whether a step comes under two limits of which neither counts all that the other does."""
        pairs = [pair for pair in self.limited.values() if pair[1:]]
        return any(of_class.per is not None and own.per != of_class.per for of_class, own in pairs)

    def defaults(self) -> dict[str, Any]:
        """Return the fields that have a default, as they are stored."""
        defaults = {name: field for name, field in self.fields.items() if field.default is not UNSET}
        return {name: field.encode(field.default) for name, field in defaults.items()}

    def current(self, step: str) -> str:
        """Return the name that a step has now."""
        return self.renamed_steps.get(step, step)

    def now_called(self, step: str, state: type_state) -> str:
        """Return the name that a step has now which this timeline once knew by this one, however often it was renamed."""
        return step if step in self.steps else self.current(names_of(state).get(step, step))

    def has_former_name(self, step: str, state: type_state) -> bool:
        """Tell whether a timeline knows a step of ours by a name from before, under which nobody can go on with it."""
        return step not in self.steps and self.now_called(step, state) in self.steps

    def field_now_called(self, name: str, state: type_state) -> str:
        """Return the name that a field has now which this timeline once knew by this one, however often it was renamed."""
        name = name if name in self.fields else names_of(state, "renamed_fields").get(name, name)
        return self.renamed_fields.get(name, name)

    def names_of(self, step: str) -> tuple[str, ...]:
        """Return the names that a timeline may know a step by: the one it has now, and the one before."""
        current = self.current(step)
        former = self.steps[current].renamed_from if current in self.steps else ""
        return (current, former) if former else (current,)

    def known_as(self, step: str, state: type_state) -> str:
        """Return the name by which a timeline knows a step of ours: nothing is renamed once it has ended."""
        names = self.names_of(step) if "ended" in state else ()
        return next((name for name in names if name in state["runs"]), step)

    def is_behind(self, state: type_state) -> bool:
        """Tell whether newer code has been there: it calls a step or a field that is known here by a name that is not."""
        return any(
            old in known and new not in known
            for known, renamed in ((self.steps, "renamed"), (self.fields, "renamed_fields"))
            for old, new in state.get(renamed, {}).items()
        )

    @property
    def title(self) -> str:
        """The class's name as people read it: "Import contacts" for ``ImportContacts``."""
        return _(camel_case_to_spaces(self.workflow.__name__).capitalize())

    @property
    def app_config(self) -> AppConfig | None:
        """The app that the class belongs to."""
        return apps.get_containing_app_config(self.workflow.__module__)

    def step(self, name: str) -> Step[...]:
        """Return the step, also by a name that it had before; ``Unknown`` if the code no longer has it."""
        try:
            return self.steps[self.current(name)]
        except KeyError:
            raise Unknown(
                f"{self.label} has no step {name!r}. Known: {', '.join(self.steps)}.", "unknown_step"
            ) from None

    def undo_of(self, name: str) -> str | None:
        """Return the name of the step that undoes this one, if it has one."""
        return next((step.name for step in self.steps.values() if step.undoes and step.undoes.name == name), None)

    @cached_property
    def reminders(self) -> dict[str, str]:
        """The steps that have reminders, and for each the one that carries them out."""
        return {step.reminds.name: step.name for step in self.steps.values() if step.reminds}

    def secrets(self, step: str) -> list[str]:
        """Return the names of the step's ``Secret[…]`` parameters."""
        return [name for name, field in self.inputs[step].items() if field.is_secret]

    def knows_secrets(self, step: str) -> bool:
        """Tell whether a step is given secrets, or gives some to the timelines that it begins."""
        child = self.steps[step].child
        begun = child._declaration if child is not None else None
        return bool(self.secrets(step) or (begun and begun.secrets(begun.graph.entry.name)))

    def references_to(self, row: Model) -> dict[str, Any]:
        """Return the names of the fields that may refer to this row, and its key there. Of a proxy it is the same row."""
        return {
            name: key_of(row, model)
            for name, field in self.fields.items()
            for model in models_in(field.annotation)
            if isinstance(row, model._meta.concrete_model or model)
        }

    def make(self, timeline: Any) -> Any:
        """Return the workflow object of a timeline's row."""
        return self.workflow._of(timeline)


class Verbs(Protocol):
    """What a timeline's row can do beyond being data; the engine does it."""

    def explain(self, timeline: Any) -> Any: ...
    def cancel(self, timeline: Any, *, reason: str, compensate: bool, actor: Any) -> None: ...
    def rewind(self, timeline: Any, *, to: str, reason: str, undo: bool, actor: Any) -> None: ...
    def preview_rewind(self, timeline: Any, *, to: str, undo: bool) -> Any: ...
    def amend(self, timeline: Any, *, reason: str, fields: dict[str, Any], actor: Any) -> None: ...
    def pause(self, timeline: Any, *, reason: str, actor: Any) -> None: ...
    def resume(self, timeline: Any, *, reason: str, actor: Any) -> None: ...
    def revoke_links(self, timeline: Any, *, reason: str, actor: Any) -> None: ...
    def erase(self, timeline: Any, *, reason: str, actor: Any) -> None: ...
    def timeline_link(self, timeline: Any) -> str: ...
    def waits_for(self, timeline: Any, user: Any) -> bool: ...


_declarations: dict[str, Declaration] = {}
_aliases: dict[str, str] = {}  # labels that workflows had before
_verbs: list[Verbs] = []


def install(verbs: Verbs) -> None:
    """Take the engine's verbs; ``workflows`` does this once, when it is imported."""
    _verbs[:] = [verbs]


def verbs() -> Verbs:
    """Return the engine's verbs."""
    return _verbs[0]


def register(declaration: Declaration) -> None:
    """Take a class in. A second class of the same label is an error, unless it is the same one made again."""
    known, new = _declarations.get(declaration.label), declaration.workflow
    if known is not None:
        old = known.workflow
        if (old.__module__, old.__qualname__) != (new.__module__, new.__qualname__):
            raise DeclarationError(
                f"Two workflows are called {declaration.label}: {old.__module__}.{old.__qualname__} and "
                f"{new.__module__}.{new.__qualname__}. Rename one."
            )
    for name in declaration.names[1:]:
        if name in _declarations:
            raise DeclarationError(
                f"{declaration.label} is renamed_from={name!r}, but there still is a workflow {name}. Take one away."
            )
        _aliases[name] = declaration.label
    _declarations[declaration.label] = declaration


def get(label: str) -> Declaration:
    """Return what the class of this label declares; ``Unknown`` if the code no longer has it."""
    try:
        return _declarations[current(label)]
    except KeyError:
        known = ", ".join(sorted(_declarations)) or "none"
        raise Unknown(f"There is no workflow {label!r} in the code. Known: {known}.", "unknown_workflow") from None


def find(label: str) -> Declaration | None:
    """Return what the class of this label declares, or None."""
    return _declarations.get(current(label))


def current(label: str) -> str:
    """Return the label that a workflow has now."""
    return _aliases.get(label, label)


def everything() -> dict[str, Declaration]:
    """Return all declarations by label."""
    return dict(_declarations)


def check_length(name: str, what: str, longest: int = LONGEST_LABEL) -> None:
    """See that a name fits its column; ``what`` says whose it is."""
    if len(name) > longest:
        raise DeclarationError(
            f"{what} is {len(name)} characters long; at most {longest} are stored. Give it a shorter name."
        )


def label_for(module: str, name: str) -> str:
    """Return the label of a class: that of the app that contains its module, and its name."""
    try:
        config = apps.get_containing_app_config(module)
    except AppRegistryNotReady:
        config = None
    return f"{config.label if config else module.rpartition('.')[2]}.{name}"
