"""Form fields from types: what a person is asked for a step's parameter. What has no form field of its own is typed as JSON."""

from __future__ import annotations

import datetime
import enum
import json
import types
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.translation import gettext as _

from .exceptions import DeclarationError
from .fields import UNSET, Field
from .references import models_in

FEW = 6  # choices that are shown at once, as radio buttons
_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "max_digits", "decimal_places", "title", "description")
_MANY = (list, set, frozenset, tuple)


class TypedField(forms.CharField):
    """Takes a value of any type as a person types it: JSON, or else a text. The type has the last word."""

    def __init__(self, field: Field, **options: Any) -> None:
        self._field = field
        options.setdefault("widget", forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}))
        super().__init__(**{"strip": False} | options)

    def clean(self, value: Any) -> Any:
        """Return what the type makes of it."""
        typed = super().clean(value)
        return read(self._field, typed) if typed else None

    def prepare_value(self, value: Any) -> Any:
        """Write a value as JSON; what was typed, and any text, stays as it is."""
        if value is None or isinstance(value, str):
            return value
        return json.dumps(self._field.encode(value), ensure_ascii=False)


class Chosen:
    """Turns a choice's text back into the value that it stands for."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = {written(value): value for value in values}

    def __call__(self, text: str) -> Any:
        """Return the value; ``ValueError`` for what is none of them, which the form field says in its own words."""
        try:
            return self._values[text]
        except KeyError:
            raise ValueError(text) from None


def form_field(field: Field, *, required: bool = True, initial: Any = UNSET) -> forms.Field:
    """Return the form field for a typed value. ``initial`` is a stored (JSON) one."""
    annotation, limits, optional = _plain(field.annotation)
    is_needed = required and not optional
    options: dict[str, Any] = {"required": is_needed}
    if title := limits.pop("title", None):
        options["label"] = title
    if description := limits.pop("description", None):
        options["help_text"] = description
    if initial is not UNSET:
        options["initial"] = initial if models_in(annotation) else _decoded(field, initial)
    made = _for_type(field, annotation, limits, options, optional=optional)
    return _hidden(field, made) if field.is_secret else made


def _hidden(field: Field, made: forms.Field) -> forms.Field:
    """Let what is typed be seen neither then nor when the form is shown again."""
    if isinstance(made, forms.ChoiceField | forms.BooleanField):
        raise DeclarationError(
            f"{field.name}: {field.annotation!r} is chosen, which cannot be hidden as what is typed is. Write Secret[str], and "
            "read it in the body; or declare a form of your own, with form_for."
        )
    made.widget = forms.PasswordInput(attrs=made.widget_attrs(forms.PasswordInput()) | {"autocomplete": "off"})
    made.widget.is_required = made.required
    if isinstance(made, forms.CharField):
        made.strip = False
    return made


def read(field: Field, text: str) -> Any:
    """Read a value that somebody typed: JSON, or else a text. The field has the last word."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    try:
        field.encode(value)
    except ValidationError:
        if value == text:
            raise
        try:
            field.encode(text)
        except ValidationError:
            field.encode(value)  # what is wrong with it as JSON tells more
        value = text
    return value


def written(value: Any) -> str:
    """Return a choice as a form sends it."""
    return str(value.value if isinstance(value, enum.Enum) else value)


def _plain(annotation: Any) -> tuple[Any, dict[str, Any], bool]:
    """Return the type itself, the limits that ``Annotated`` gives it, and whether None will do."""
    limits: dict[str, Any] = {}
    optional = False
    while True:
        if alias := getattr(annotation, "__value__", None) or getattr(annotation, "__supertype__", None):
            annotation = alias
        elif get_origin(annotation) is Annotated:
            annotation, *marks = get_args(annotation)
            limits |= _limits(marks)
        elif get_origin(annotation) in (Union, types.UnionType) and types.NoneType in get_args(annotation):
            rest = [argument for argument in get_args(annotation) if argument is not types.NoneType]
            optional, annotation = True, Union[tuple(rest)]  # noqa: UP007 (made at run time)
        else:
            return annotation, limits, optional


def _decoded(field: Field, stored: Any) -> Any:
    try:
        return field.decode(stored)
    except ValueError:  # the type has changed since
        return None


def _limits(marks: Iterable[Any]) -> dict[str, Any]:
    """Read limits and words from whatever pydantic takes as such."""
    found: dict[str, Any] = {}
    for mark in marks:
        for one in (mark, *getattr(mark, "metadata", ())):
            if isinstance(one, str):
                continue
            found |= {name: value for name in _LIMITS if (value := getattr(one, name, None)) is not None}
    return found


def _for_type(
    field: Field, annotation: Any, limits: dict[str, Any], options: dict[str, Any], *, optional: bool
) -> forms.Field:
    if (choices := _choices(annotation)) is not None:
        return _choice(choices, options)
    if get_origin(annotation) in _MANY and (several := _several(annotation, options)) is not None:
        return several
    if not isinstance(annotation, type):
        return TypedField(field, **options)
    if issubclass(annotation, bool):
        return forms.NullBooleanField(**options) if optional else forms.BooleanField(**options | {"required": False})
    if issubclass(annotation, Model):
        return forms.ModelChoiceField(annotation._default_manager.all(), **options)
    if issubclass(annotation, pydantic.EmailStr):
        return forms.EmailField(**options, **_lengths(limits), empty_value=None)
    if issubclass(annotation, pydantic.AnyUrl):
        return forms.URLField(**options, assume_scheme="https", empty_value=None)
    if annotation is str:
        return forms.CharField(**options, **_lengths(limits), empty_value=None if optional else "")
    if annotation in (int, float, Decimal):
        return _number(annotation, limits, options)
    if (moment := _moment(annotation)) is not None:
        made: forms.Field = moment(options)
        return made
    if annotation is uuid.UUID:
        return forms.UUIDField(**options)
    return TypedField(field, **options)


def _choices(annotation: Any) -> list[tuple[Any, str]] | None:
    """Return values and labels of what there is to choose from, or None."""
    if get_origin(annotation) is Literal:
        return [(value, str(value)) for value in _literals(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [(one, str(getattr(one, "label", one.name.replace("_", " ").capitalize()))) for one in annotation]
    return None


def _literals(annotation: Any) -> Iterable[Any]:
    for argument in get_args(annotation):
        if get_origin(argument) is Literal:
            yield from _literals(argument)
        else:
            yield argument


def _choice(choices: list[tuple[Any, str]], options: dict[str, Any]) -> forms.Field:
    listed = [(written(value), label) for value, label in choices]
    widget = forms.Select if len(listed) > FEW else forms.RadioSelect
    if widget is forms.Select:
        listed = [("", "---------"), *listed]
    elif not options["required"] and "initial" not in options:  # with a default one of the others is chosen
        listed = [("", _("No answer")), *listed]
    if "initial" in options:
        options = options | {"initial": written(options["initial"])}
    coerce = Chosen(value for value, _label in choices)
    return forms.TypedChoiceField(choices=listed, coerce=coerce, empty_value=None, widget=widget, **options)


def _several(annotation: Any, options: dict[str, Any]) -> forms.Field | None:
    """Return the field for a list of choices or of rows, or None for a list of something else."""
    inner = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if len(inner) != 1:
        return None
    options = options | {"required": False}  # an empty list is a list
    if (choices := _choices(inner[0])) is not None:
        listed = [(written(value), label) for value, label in choices]
        coerce = Chosen(value for value, _label in choices)
        boxes = forms.CheckboxSelectMultiple
        if "initial" in options:
            options |= {"initial": [written(value) for value in options["initial"]]}
        return forms.TypedMultipleChoiceField(choices=listed, coerce=coerce, widget=boxes, **options)
    if isinstance(inner[0], type) and issubclass(inner[0], Model):
        return forms.ModelMultipleChoiceField(inner[0]._default_manager.all(), **options)
    return None


def _lengths(limits: dict[str, Any]) -> dict[str, Any]:
    return {name: limits[name] for name in ("min_length", "max_length") if name in limits}


def _number(annotation: Any, limits: dict[str, Any], options: dict[str, Any]) -> forms.Field:
    """Return a number's field. What lies between two numbers (``gt=0`` of a fraction) the type says itself."""
    step = 1 if annotation is int else 0
    least = limits.get("ge", limits["gt"] + step if "gt" in limits else None)
    most = limits.get("le", limits["lt"] - step if "lt" in limits else None)
    if annotation is int:
        return forms.IntegerField(min_value=least, max_value=most, **options)
    if annotation is float:
        return forms.FloatField(min_value=least, max_value=most, **options)
    digits = {name: limits[name] for name in ("max_digits", "decimal_places") if name in limits}
    return forms.DecimalField(min_value=least, max_value=most, **digits, **options)


def _moment(annotation: Any) -> Any:
    """Return how the field for a time is made. The browser's own inputs send what these formats say."""

    def typed(field: Any, widget: Any, type: str, format: str) -> Any:
        return lambda options: field(widget=widget(attrs={"type": type}, format=format), **options)

    minutes = "%Y-%m-%dT%H:%M"
    return {
        datetime.datetime: typed(forms.DateTimeField, forms.DateTimeInput, "datetime-local", minutes),
        datetime.date: typed(forms.DateField, forms.DateInput, "date", "%Y-%m-%d"),
        datetime.time: typed(forms.TimeField, forms.TimeInput, "time", "%H:%M"),
        datetime.timedelta: lambda options: forms.DurationField(**options),
    }.get(annotation)
