"""The form of a step: made from its parameters, or the author's own.

@form_for(Donation.enter_details)
class DetailsForm(forms.Form): ...

in the app's ``forms.py``, which is imported when the first form of a workflow of that app is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.module_loading import module_has_submodule
from django.views.decorators.debug import sensitive_variables

from .exceptions import DeclarationError
from .fields import UNSET, Field
from .inputs import form_field
from .items import run_of
from .models import Event, Timeline
from .registry import Declaration
from .state import split_key
from .steps import Parameter, Step

F = TypeVar("F", bound=type[forms.BaseForm])

_own: dict[Step[...], type[forms.BaseForm]] = {}


def form_for(step: Step[...]) -> Callable[[F], F]:
    """Declare the form of a step. Its fields that are named as a parameter are what the step is called with."""
    if not isinstance(step, Step):
        raise DeclarationError(f"form_for({step!r}): name a step of a class, as in form_for(Donation.enter_details).")

    def declare(form: F) -> F:
        fields = getattr(form, "base_fields", {})
        missing = [parameter.name for parameter in step.parameters if parameter.required]
        missing = [name for name in missing if name not in fields]
        if missing:
            raise DeclarationError(
                f"{form.__qualname__} does not ask for {', '.join(missing)}, which {step.name!r} needs. Add a field of that name."
            )
        _own[step] = form
        return form

    return declare


def form_class(declaration: Declaration, step: Step[...]) -> type[forms.BaseForm]:
    """Return the form of a step: the author's, or one that is made from the parameters."""
    _import_forms(declaration)
    if step in _own:
        return _own[step]
    name = f"{declaration.workflow.__name__}{step.name.title().replace('_', '')}Form"
    declared = declaration.inputs[step.name]
    fields = {
        parameter.name: form_field(
            declared[parameter.name], required=parameter.required, initial=_default(declared[parameter.name], parameter)
        )
        for parameter in step.parameters
    }
    return type(name, (forms.Form,), fields)


def make_form(
    form: type[forms.BaseForm], data: Any, *, initial: Mapping[str, Any] | None = None, without: Iterable[str] = ()
) -> Any:
    """Make a form object. It does not ask for what is known already (``without``)."""
    made = form(data, initial=dict(initial or {}), label_suffix="")
    for name in without:
        made.fields.pop(name, None)
    return made


@sensitive_variables()
def initial_of(
    declaration: Declaration, timeline: Timeline, run: str, is_theirs: Callable[[str], bool]
) -> dict[str, Any]:
    """Return what a step's form begins with where it comes back: what it was called with last, if that was typed by them.

    ``is_theirs`` is asked about the key of that call: what somebody else typed is nobody's business.
    """
    step, item, _round = split_key(run)
    if "errors" not in run_of(timeline, run) and timeline.state.get("rounds", {}).get(step, 1) == 1:
        return {}
    calls = Event.objects.using(timeline.using).filter(timeline=timeline.id, type="StepCalled", step=step, item=item)
    last = calls.order_by("-sequence").values_list("data", flat=True).first() or {}
    if not is_theirs(last.get("key", "")):
        return {}
    declared, known = declaration.inputs[declaration.current(step)], last.get("input", {})
    return {
        name: form_field(declared[name], initial=value).initial for name, value in known.items() if name in declared
    }


@sensitive_variables()
def input_of(form: Any, step: Step[...]) -> dict[str, Any]:
    """Return what a valid form says of a step's parameters. What was left empty is left to the parameter's default.

    A text that was emptied is the empty text.
    """
    given: dict[str, Any] = {}
    for parameter in step.parameters:
        value = form.cleaned_data.get(parameter.name)
        if parameter.name in form.cleaned_data and (value is not None or parameter.required):
            given[parameter.name] = value
    return given


@sensitive_variables()
def was_sent(
    form: Any, declaration: Declaration, timeline: Timeline, run: str, key: str, known: Mapping[str, Any] | None = None
) -> bool:
    """Tell whether a form that is not valid now was when it was sent first, and called this step with this key.

    What it is refused for may be what that call has taken. All that it says must be the same; secrets do not count. The call
    that a start makes has no key. ``known``: what the form does not ask for.
    """
    name, item, _round = split_key(run)
    calls = Event.objects.using(timeline.using).filter(timeline=timeline.id, type="StepCalled", item=item)
    found = calls.filter(step__in=declaration.names_of(name)).order_by("-sequence").values_list("data", flat=True)
    data: dict[str, Any] = next((data for data in found if data.get("key", "") == key), {})
    declared, earlier = declaration.inputs[name], data.get("input") or {}
    given = _sent_input_of(form, declaration.step(name)) | dict(known or {})
    given = {name: value for name, value in given.items() if not declared[name].is_secret}
    untold = {name for name, value in given.items() if value is UNSET}
    return given.keys() - untold == earlier.keys() - untold and all(
        _is_same(declared[name], value, earlier[name]) for name, value in given.items() if name not in untold
    )


@sensitive_variables()
def _sent_input_of(form: Any, step: Step[...]) -> dict[str, Any]:
    """Return what the form says field by field. ``UNSET``: its own ``clean_…`` would have made of it what nobody can tell."""
    given = input_of(form, step)
    for parameter in step.parameters:
        name = parameter.name
        if name in form.fields and name not in form.cleaned_data:
            value = form[name].data  # a choice that is there no more is a value of its type still
            with suppress(ValidationError):
                value = form.fields[name].clean(value)
                value = UNSET if hasattr(form, f"clean_{name}") else value
            if value is not None or parameter.required:
                given[name] = value
    return given


@sensitive_variables()
def _is_same(declared: Field, value: Any, stored: Any) -> bool:
    try:
        return declared.is_same(declared.encode(value), stored)
    except ValidationError:  # the key of a row that is gone, say
        return str(value) == str(stored)


@sensitive_variables()
def add_errors(form: Any, error: ValidationError) -> None:
    """Put what a step says of its input where the visitor typed it."""
    for name, sentences in error.message_dict.items() if hasattr(error, "error_dict") else [("", error.messages)]:
        for sentence in sentences:
            if name in form.fields:
                form.add_error(name, sentence)
            else:
                form.add_error(None, f"{name}: {sentence}" if name and name != "__all__" else sentence)


def _default(field: Any, parameter: Parameter) -> Any:
    if parameter.default is inspect.Parameter.empty or parameter.default is None or field.is_secret:
        return UNSET
    try:
        return field.encode(parameter.default)
    except ValidationError:  # a default that is no value of the type stands for "not given"
        return UNSET


def _import_forms(declaration: Declaration) -> None:
    config = declaration.app_config
    if config is not None and config.module is not None and module_has_submodule(config.module, "forms"):
        import_module(f"{config.name}.forms")
