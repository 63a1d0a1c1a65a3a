"""From a class body to a declaration. What is wrong with it is said here, when the class is made, with how to mend it."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from django.conf import settings

from . import graph, limits, registry
from .exceptions import DeclarationError
from .fields import UNSET, Field, field_for, parameters_of
from .references import models_in
from .registry import Declaration
from .steps import LONGEST_NAME, Parameter, Step
from .subject import FieldAttribute

RESERVED = frozenset({"start", "get", "astart", "aget", "using", "pk", "timeline", "timelines", "get_absolute_url"}) | {
    *("record", "iterate", "progress", "cancel", "idempotency_key")
}


def declare(
    cls: type[Any],
    root: type[Any],
    renamed_from: tuple[str, ...] = (),
    unique: limits.type_by | None = None,
    limit: int | limits.Limit | None = None,
) -> Declaration:
    """Return what this subclass of ``root`` declares, and turn its annotations into fields."""
    label = registry.label_for(cls.__module__, cls.__name__)
    registry.check_length(label, label)
    bases = [base for base in reversed(cls.__mro__) if base not in root.__mro__]
    steps = _steps(bases, label)
    fields = _fields(cls, bases, label, steps)
    for declared in steps.values():
        _check_each(label, declared, fields)
        _check_assigned(label, declared, fields)
        _check_results(label, declared, fields)
    _check_renames(label, steps, fields)
    inputs = {
        name: {p.name: field_for(f"{label}.{name}", p.name, p.annotation) for p in declared.parameters}
        for name, declared in steps.items()
    }
    items = {
        name: field_for(f"{label}.{name}", declared.item.name, declared.item.annotation)
        for name, declared in steps.items()
        if declared.item
    }
    one_for = limits.by(f"{label}: unique=", unique, fields) if unique is not None else None
    of_class = limits.limit(f"{label}: ", limit)
    return Declaration(
        label,
        cls,
        steps,
        fields,
        inputs,
        graph.build(label, steps, fields),
        items,
        (label, *renamed_from),
        unique=one_for,
        limit=of_class,
        limited=_limited(label, of_class, steps, fields),
    )


def _steps(bases: list[type[Any]], label: str) -> dict[str, Step[...]]:
    """Return the steps of a class, last of ``bases``, and of those before it by name, each with what its body takes."""
    steps: dict[str, Step[...]] = {}
    for base in bases:
        for name, value in vars(base).items():
            if isinstance(value, Step):
                steps[name] = value
            elif name in steps:
                raise DeclarationError(
                    f"{label}: {name!r} of {base.__name__} overrides the step {name!r} and is none. "
                    "Decorate it with @step(after=…), or give it another name."
                )
    steps = {name: _of_own(declared, steps) for name, declared in steps.items()}
    for name, declared in steps.items():
        _check_name(label, name)
        registry.check_length(name, f"The name of the step {label}.{name}", LONGEST_NAME)
        declared.name = name
        declared.parameters = _parameters(label, declared)
        _take_item(label, declared)
        _check_undo(label, declared, steps)
        _check_reminder(label, declared, steps)
        _check_allowed(label, declared)
        _check_times(label, declared)
    return steps


def _of_own(declared: Step[...], steps: dict[str, Step[...]]) -> Step[...]:
    """Return a step; what undoes or reminds of one that this class overrides is declared anew, for the overriding one."""
    served = declared.undoes or declared.reminds
    own: Any = steps.get(served.name) if served else None
    if own is None or own is served:
        return declared
    if declared.undoes:
        return own.undo(declared.body)  # type: ignore[no-any-return]
    return own.reminder(  # type: ignore[no-any-return]
        declared.body, delivery=declared.delivery, retry=declared.retry, timeout=declared.timeout
    )


def _limited(
    label: str, of_class: limits.Limit | None, steps: dict[str, Step[...]], fields: dict[str, Field]
) -> dict[str, tuple[limits.Counted, ...]]:
    """Return the limits of each step that has some: its own and the class's. An undo counts with the step that it undoes."""
    found: dict[str, tuple[limits.Counted, ...]] = {}
    for name, declared in steps.items():
        counted = declared.undoes or declared
        scoped = (("", of_class), (counted.renamed_from or counted.name, declared.limit))
        found[name] = tuple(
            limits.Counted(one.number, scope, limits.by(f"{label}.{name}: per=", one.per, fields) if one.per else None)
            for scope, one in scoped
            if one is not None
        )
    return {name: several for name, several in found.items() if several}


def _fields(cls: type[Any], bases: list[type[Any]], label: str, steps: dict[str, Step[...]]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    own: list[str] = []
    for base in bases:
        if base is not cls and "_declaration" in vars(base):
            fields |= {name: field for name, field in base._declaration.fields.items() if name in vars(base)}
            continue
        typed = {name: one for name, one in _hints(label, base, own=True).items() if _is_field(name, one)}
        for name in [*typed, *(name for name in fields if name in vars(base) and name not in typed)]:
            _check_name(label, name)
            if name in steps:
                raise DeclarationError(f"{label}: {name!r} is a field and a step. Rename one.")
            default = vars(base).get(name, UNSET)  # of an inherited field, too
            field = (
                field_for(label, name, typed[name], default)
                if name in typed
                else replace(fields[name], default=default)
            )
            fields[name] = _with_default(label, field)
            own.append(name)
    for name in own:  # also those of a base that is no workflow, which others may have, too
        setattr(cls, name, FieldAttribute(name))
    return fields


def _is_field(name: str, annotation: Any) -> bool:
    return not name.startswith("_") and typing.get_origin(annotation) is not ClassVar and annotation is not ClassVar


def _with_default(label: str, field: Field) -> Field:
    if field.is_secret:
        raise DeclarationError(
            f"{label}.{field.name} is a Secret field. Secrets are inputs of steps only: state is not encrypted."
        )
    if field.default is not UNSET:
        try:
            field.encode(field.default)
        except Exception as error:
            raise DeclarationError(
                f"{label}.{field.name}: its default {field.default!r} does not fit its type: {error} "
                f"Write one that does, or give what is no default of the field {field.name!r} another name."
            ) from error
    return field


def _hints(label: str, of: Any, *, own: bool = False) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(of, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"{label}: {error}. Types of fields and parameters must be importable where the class is made."
        ) from error
    return {name: hints[name] for name in inspect.get_annotations(of)} if own else hints


def _parameters(label: str, declared: Step[...]) -> tuple[Parameter, ...]:
    if declared.child is not None:  # given= is a function of the workflow, and of the item
        return (Parameter("item", Any),) if declared.each else ()
    signature = inspect.signature(declared.body)
    return parameters_of(signature, _hints(label, declared.body), f"{label}.{declared.name}")


def _take_item(label: str, declared: Step[...]) -> None:
    """Let ``each=`` fill the body's first parameter, also of the step's undo; the others are the call's."""
    served = declared.undoes or declared.reminds
    each = declared.each or (served.each if served else None)
    if each is None:
        return
    if not declared.parameters:
        raise DeclarationError(
            f"{label}.{declared.name} is done for each item of {each.field}, but its body takes none. "
            f"Write def {declared.name}(self, item: …)."
        )
    declared.item, *others = declared.parameters
    declared.parameters = tuple(others)


_LISTS = (list, tuple, set, frozenset, Sequence, Collection, Iterable)
_KEYS = (str, int, float, UUID, Decimal, date, Enum)


def _check_each(label: str, declared: Step[...], fields: dict[str, Field]) -> None:
    each = declared.each
    if each is None:
        return
    where = f"{label}.{declared.name}: each={each.field!r}"
    if declared.is_entry:
        raise DeclarationError(
            f"{where}, but it is what start(…) begins with. Let it come after the step that sets them."
        )
    if each.field not in fields:
        near = difflib.get_close_matches(each.field, fields, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Fields: {', '.join(fields) or 'none'}."
        raise DeclarationError(f"{where} is no field. {hint}")
    annotation = _bare(fields[each.field].annotation)
    origin = typing.get_origin(annotation) or annotation
    if origin not in _LISTS:
        raise DeclarationError(f"{where} is {annotation!r}, no list. Declare {each.field}: list[…].")
    inner = typing.get_args(annotation)[0] if typing.get_args(annotation) else Any
    if declared.child is not None:
        declared.item = Parameter("item", inner)
    kind = typing.get_origin(_bare(inner)) or _bare(inner)
    keyed = inner is Any or bool(models_in(inner)) or not isinstance(kind, type) or issubclass(kind, _KEYS)
    if not keyed and not each.by:
        raise DeclarationError(
            f"{where}: an item that is a {kind.__name__} has no key. Name a part of it: by='sku', say."
        )


def _bare(annotation: Any) -> Any:
    """Return a type without what is said about it: ``list[str]`` of ``Annotated[list[str], …]``."""
    return _bare(annotation.__origin__) if typing.get_origin(annotation) is Annotated else annotation


def _check_undo(label: str, declared: Step[...], steps: dict[str, Step[...]]) -> None:
    if declared.undoes is None:
        return
    if declared.parameters:
        taken = "only the item" if declared.item else "no parameters"
        raise DeclarationError(f"{label}.{declared.name} undoes a step: nobody calls it, so it takes {taken}.")
    others = [step.name for step in steps.values() if step.undoes is declared.undoes and step is not declared]
    if others:
        raise DeclarationError(
            f"{label}.{declared.undoes.name} has two undos: {others[0]} and {declared.name}. "
            "Keep one: an inherited undo is replaced by one of its name."
        )


def _check_reminder(label: str, declared: Step[...], steps: dict[str, Step[...]]) -> None:
    where = f"{label}.{declared.name}"
    if declared.remind is not None:
        if not declared.waits or declared.is_entry:
            raise DeclarationError(f"{where}: nobody is waited for there: remind= says nothing. Take it away.")
        handlers = [step.name for step in steps.values() if step.reminds is declared]
        if len(handlers) != 1:
            found = " and ".join(handlers) or "none"
            raise DeclarationError(
                f"{where}: remind= says when, and one @{declared.name}.reminder what is done then; it has {found}."
            )
    if declared.reminds is None:
        return
    if declared.parameters:
        taken = "only the item" if declared.item else "no parameters"
        raise DeclarationError(f"{where} reminds of a step: nobody calls it, so it takes {taken}.")
    if declared.reminds.remind is None:
        raise DeclarationError(
            f"{where} reminds of {declared.reminds.name!r}, which does not say when: remind=timedelta(days=1)."
        )


def _check_allowed(label: str, declared: Step[...]) -> None:
    if declared.allowed and not declared.waits and not declared.is_entry:
        raise DeclarationError(
            f"{label}: {declared.name!r} runs by itself, so nobody calls it: allowed= says nothing there. "
            "Take it away, or give it manual=True."
        )


def _check_assigned(label: str, declared: Step[...], fields: dict[str, Field]) -> None:
    given = declared.assigned
    if given is None:
        return
    if not declared.waits or declared.is_entry:
        why = "is what start(…) calls, so it never waits" if declared.is_entry else "runs by itself"
        raise DeclarationError(
            f"{label}: {declared.name!r} {why}: assigned= says nothing there. Take it away, or give it manual=True."
        )
    if callable(given):
        return
    models = models_in(fields[given].annotation) if given in fields else []
    if [model._meta.label for model in models] != [settings.AUTH_USER_MODEL]:
        raise DeclarationError(
            f"{label}.{declared.name}: assigned={given!r} is no field that is a user. "
            f"Declare {given}: {settings.AUTH_USER_MODEL.rpartition('.')[2]}, or write a function that returns one."
        )


def _check_results(label: str, declared: Step[...], fields: dict[str, Field]) -> None:
    if unknown := [name for name in declared.results if name not in fields]:
        raise DeclarationError(
            f"{label}.{declared.name}: results= names {unknown[0]!r}, which is no field. Declare it."
        )
    if declared.child is None or not declared.results:
        return
    theirs: dict[str, Field] = declared.child._declaration.fields
    for name in declared.results.values():
        if name not in theirs:
            near = difflib.get_close_matches(name, theirs, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(theirs) or 'none'}."
            raise DeclarationError(
                f"{label}.{declared.name}: results= takes {name!r}, which is no field of {declared.child.__name__}: {hint}"
            )


def _check_renames(label: str, steps: dict[str, Step[...]], fields: dict[str, Field]) -> None:
    named: dict[str, Step[...] | Field] = {**steps, **fields}
    for new, renamed in named.items():
        old = renamed.renamed_from
        if old in named:
            raise DeclarationError(f"{label}.{new} is renamed from {old!r}, which is there still. Take one away.")


def _check_times(label: str, declared: Step[...]) -> None:
    for option, value in (("delay", declared.delay), ("until", declared.until)):
        if value is not None and declared.waits:
            raise DeclarationError(
                f"{label}: {declared.name!r} waits for somebody to call it, and {option}= holds what runs by itself. "
                f"Put a step without parameters before it, with {option}=."
            )
    if declared.is_entry and declared.waits and callable(declared.within):
        raise DeclarationError(
            f"{label}: {declared.name!r} is what start(…) calls, so it never waits: within= says nothing there. Take it away."
        )


def _check_name(label: str, name: str) -> None:
    if name in RESERVED:
        raise DeclarationError(
            f"{label}.{name} takes a name of ours. Ours are: {', '.join(sorted(RESERVED))}. Rename it."
        )
