"""Typed fields and parameters: JSON in the database, Python values in a step's body. Pydantic does the work."""

from __future__ import annotations

import inspect
import json
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pydantic
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from . import conf
from .exceptions import DeclarationError
from .references import KeyOnly, with_references
from .steps import SECRET, Parameter

DEEPEST = 26  # levels of a payload: MariaDB takes 32, and what lies around it are some
UNSET: Any = type("Unset", (), {"__repr__": lambda self: "<unset>"})()
_TAKEN_APART = ("__dataclass_fields__", "__total__", "_fields")  # of a dataclass, a typed dict, a named tuple
_CONFIG = pydantic.ConfigDict(arbitrary_types_allowed=False, allow_inf_nan=False, ser_json_inf_nan="constants")


@dataclass(frozen=True)
class RenamedFrom:
    """The name that a field had before: ``email: Annotated[str, RenamedFrom("address")]``."""

    name: str


@dataclass(frozen=True)
class Field:
    """One typed value: how it is checked, encoded and decoded."""

    name: str
    annotation: Any
    default: Any = UNSET

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The pydantic adapter of the type."""
        return _adapter(with_references(self.annotation))

    @cached_property
    def _without_rows(self) -> TypeAdapter[Any]:
        return _adapter(with_references(self.annotation, KeyOnly))

    @cached_property
    def _has_sets(self) -> bool:
        return _mentions(self.annotation, lambda part: isinstance(part, type) and issubclass(part, Set))

    @property
    def is_secret(self) -> bool:
        """Tell whether the type is ``Secret[…]``."""
        return get_origin(self.annotation) is Annotated and SECRET in get_args(self.annotation)

    @property
    def renamed_from(self) -> str:
        """The name that it had before, or an empty string."""
        marks = get_args(self.annotation)[1:] if get_origin(self.annotation) is Annotated else ()
        return next((mark.name for mark in marks if isinstance(mark, RenamedFrom)), "")

    def encode_default(self) -> Any:
        """Return the default as JSON, or ``UNSET``: what timelines have that began before the field was declared."""
        return UNSET if self.default is UNSET else self.encode(self.default)

    def stored_in(self, fields: Mapping[str, Any], otherwise: Any = UNSET) -> Any:
        """Return what stored fields have of it, under its former name too, or its default as JSON, or ``otherwise``."""
        for name in (self.name, self.renamed_from):
            if name in fields:
                return fields[name]
        default = self.encode_default()
        return otherwise if default is UNSET else default

    def brought_up(self, encoded: Any) -> Any:
        """Return a stored value as the type has it now: a validator may take what it was before. No row is read."""
        value = self._without_rows.validate_python(_copy(encoded))
        return self._in_order(value, self._without_rows.dump_python(value, mode="json"))

    def is_same(self, encoded: Any, stored: Any) -> bool:
        """Tell whether a stored value, maybe of an older type or with its sets in another order, is what is encoded now."""
        if encoded == stored or stored is UNSET:
            return bool(encoded == stored)
        try:
            return bool(encoded == self.brought_up(stored))
        except Exception:  # a validator is the project's own code, and may not take what is stored
            return False

    def _in_order(self, value: Any, encoded: Any) -> Any:
        return in_order(value, encoded) if self._has_sets else encoded

    def check(self, value: Any) -> Any:
        """Return the value as the type has it; ``ValidationError`` if it does not fit."""
        try:
            return self.adapter.validate_python(value)
        except pydantic.ValidationError as error:
            raise ValidationError([_sentence(one, self.is_secret) for one in error.errors()], code="invalid") from None
        except (ObjectDoesNotExist, OverflowError) as error:
            raise ValidationError(str(error), code="invalid") from None

    def encode(self, value: Any, *, checked: bool = False) -> Any:
        """Return the JSON value; ``ValidationError`` for what JSON or a database cannot hold."""
        try:
            value = value if checked else self.check(value)
            encoded = self._in_order(value, self.adapter.dump_python(value, mode="json"))
        except (PydanticSerializationError, ValueError) as error:
            raise ValidationError(str(error), code="invalid") from None
        text(encoded)
        return encoded

    def decode(self, encoded: Any) -> Any:
        """Return the Python value of what ``encode`` made, which a body may change. A referenced row is loaded here."""
        return self.adapter.validate_python(_copy(encoded))

    def check_stored(self, encoded: Any) -> None:
        """Raise what ``decode`` would, but for rows that are gone: none is read, keys only have to look like keys."""
        self._without_rows.validate_python(_copy(encoded))


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=_CONFIG)
    except pydantic.PydanticUserError:  # dataclasses and pydantic models bring a config of their own
        return TypeAdapter(annotation)


def field_for(workflow: str, name: str, annotation: Any, default: Any = UNSET) -> Field:
    """Make a field and see that its type works, or say in the class's terms that it does not."""
    field = Field(name, annotation, default)
    try:
        field.adapter  # noqa: B018 (the check)
    except Exception as error:
        raise DeclarationError(
            f"{workflow}.{name} has the type {annotation!r}, which cannot be stored: {error}. "
            "Use a type that pydantic knows, a model class, or a container of them."
        ) from error
    if not field.is_secret and _mentions(annotation, lambda part: isinstance(part, str) and part == SECRET):
        raise DeclarationError(
            f"{workflow}.{name} has a Secret within its type {annotation!r}, which would be stored in clear. "
            "Make all of it secret: Secret[str | None], Secret[list[str]], Secret[Card]."
        )
    return field


def _mentions(annotation: Any, is_meant: Callable[[Any], bool], seen: tuple[Any, ...] = ()) -> bool:
    """Tell whether a type, or one that it is made of, is one that is meant."""
    if is_meant(annotation):
        return True
    if annotation in seen:  # a type may be of itself
        return False
    parts = [*get_args(annotation), get_origin(annotation)]
    parts += [getattr(annotation, name, None) for name in ("__value__", "__supertype__")]  # what another name is for
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        of_model = annotation.model_fields.values()
        parts += [part for one in of_model for part in (one.annotation, *one.metadata)]
    elif isinstance(annotation, type) and any(hasattr(annotation, mark) for mark in _TAKEN_APART):
        parts += get_type_hints(annotation, include_extras=True).values()
    return any(_mentions(part, is_meant, (*seen, annotation)) for part in parts if part is not None)


def in_order(value: Any, encoded: Any) -> Any:
    """Return what this value was encoded as with its sets, however deep, in one order: their own is another in each process."""
    value = value.root if isinstance(value, pydantic.RootModel) else value
    if isinstance(encoded, dict):
        if isinstance(value, Mapping):
            parts = list(value.values()) if len(value) == len(encoded) else []
        else:  # a dataclass, or a model of pydantic's
            names = _by_alias(value)
            parts = [getattr(value, names.get(str(name), str(name)), None) for name in encoded]
        return encoded | {name: in_order(part, encoded[name]) for name, part in zip(encoded, parts, strict=False)}
    if not isinstance(encoded, list) or not isinstance(value, Set | list | tuple | deque) or len(value) != len(encoded):
        return encoded
    several = [in_order(*pair) for pair in zip(value, encoded, strict=True)]
    if type(value) not in (set, frozenset):  # another has the order that its type gives it
        return several
    try:
        return sorted(several)
    except TypeError:  # of several types, or of dicts
        return sorted(several, key=lambda one: json.dumps(one, sort_keys=True))


def _by_alias(value: Any) -> dict[str, str]:
    """Return the names of a model's fields by those that it may be written under."""
    declared = type(value).model_fields if isinstance(value, pydantic.BaseModel) else {}
    return {field.serialization_alias or name: name for name, field in declared.items()}


def text(payload: Any) -> str:
    """Write a payload as JSON text; ``ValidationError`` for NaN, NUL characters, lone surrogates and the too large or deep."""
    try:
        written = json.dumps(payload, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
        size = len(written.encode())
    except UnicodeEncodeError:
        raise ValidationError(_("A text holds a lone surrogate, which is no character."), code="invalid") from None
    except (ValueError, TypeError, RecursionError) as error:
        said = _("This cannot be stored as JSON: %(error)s.") % {"error": error}
        raise ValidationError(said, code="invalid") from None
    if "\\u0000" in written and _has_nul(payload):
        raise ValidationError(_("A text holds a NUL character, which the database cannot store."), code="invalid")
    if written.count("[") + written.count("{") > DEEPEST and _is_deep(payload):
        said = _("This is nested more than %(deepest)d levels deep, which MariaDB cannot store.")
        raise ValidationError(said % {"deepest": DEEPEST}, code="too_deep")
    if size > conf.REFUSE_BYTES:
        said = _("This is %(size)s bytes long; at most %(most)s are stored. Keep it in a file and store its name.")
        words = {
            "size": number_format(size, force_grouping=True),
            "most": number_format(conf.REFUSE_BYTES, force_grouping=True),
        }
        raise ValidationError(said % words, code="too_large")
    if size > conf.WARN_BYTES:
        warnings.warn(
            f"A payload of {size:,} bytes: each change of a field of its timeline writes it again.", RuntimeWarning, 2
        )
    return written


def _copy(payload: Any) -> Any:
    """Return JSON that shares nothing with this: a validator may change what it is given, and hands on ``Any`` as it is."""
    if isinstance(payload, dict):
        return {name: _copy(part) for name, part in payload.items()}
    return [_copy(part) for part in payload] if isinstance(payload, list) else payload


def _is_deep(payload: Any) -> bool:
    level = [payload]
    for _depth in range(DEEPEST + 1):
        level = [part for one in level for part in _parts(one)]
    return bool(level)


def _parts(payload: Any) -> Iterable[Any]:
    return payload.values() if isinstance(payload, dict) else payload if isinstance(payload, list | tuple) else ()


def _has_nul(payload: Any) -> bool:
    if isinstance(payload, str):
        return "\x00" in payload
    if isinstance(payload, dict):
        return any(_has_nul(key) or _has_nul(value) for key, value in payload.items())
    return isinstance(payload, list) and any(_has_nul(value) for value in payload)


def _sentence(error: Any, secret: bool) -> str:
    where = ".".join(str(part) for part in error["loc"])
    said = _("This is not valid.") if secret else error["msg"]
    return f"{where}: {said}" if where else said


def parameters_of(signature: inspect.Signature, hints: dict[str, Any], owner: str) -> tuple[Parameter, ...]:
    """Return a body's parameters after ``self``, or say which has no type."""
    found = []
    if not signature.parameters:
        raise DeclarationError(f"{owner} takes no self. A step is a method: def {owner.rpartition('.')[2]}(self): …")
    for parameter in list(signature.parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DeclarationError(
                f"{owner} takes *{parameter.name}. Name each parameter, so that a form can ask for it."
            )
        if parameter.name not in hints:
            raise DeclarationError(
                f"{owner}: the parameter {parameter.name!r} has no type. Write {parameter.name}: str, say."
            )
        found.append(Parameter(parameter.name, hints[parameter.name], parameter.default))
    return tuple(found)
