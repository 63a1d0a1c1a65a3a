"""Rows by key: a model class as the type of a field or parameter stands for a reference by primary key."""

from __future__ import annotations

import types
from collections import deque
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import CompositePrimaryKey, Model
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_CONTAINERS = (list, tuple, set, frozenset, deque)


@dataclass(frozen=True)
class Reference:
    """Tells pydantic how to read and write an instance of this model: as its primary key."""

    model: type[Model]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if isinstance(self.model._meta.pk, CompositePrimaryKey):
            raise TypeError(
                f"a {self.model.__name__} has a composite primary key, and a row is stored by a key that is one value"
            )
        return core_schema.no_info_plain_validator_function(
            self.load, serialization=core_schema.plain_serializer_function_ser_schema(self.key)
        )

    def load(self, value: Any) -> Model:
        """Return the instance, or the row with this key. ``Model.DoesNotExist`` if it is gone."""
        if isinstance(value, self.model):
            return value
        if isinstance(value, Model):
            raise ValueError(f"a {self.model.__name__} is wanted, not a {value._meta.object_name}")
        try:
            return self.model._base_manager.using(router.db_for_write(self.model)).get(pk=value)  # a replica may lag
        except TypeError as error:  # a list, say
            raise ValueError(str(error)) from None

    def key(self, instance: Model) -> Any:
        """Return the primary key as JSON can hold it; ``ValueError`` if the row was never saved, or was deleted."""
        if not has_key(instance):
            raise ValueError(f"this {self.model.__name__} is not in the database: save it first")
        return key_of(instance, self.model)


@dataclass(frozen=True)
class KeyOnly(Reference):
    """The same, but reads no row: a value has to be what the model's primary key could be."""

    def load(self, value: Any) -> Any:
        """Return the value; ``ValueError`` if no row has such a key."""
        try:
            key = self.model._meta.pk.to_python(value)
        except ValidationError as error:
            raise ValueError("; ".join(error.messages)) from None
        if key is None:
            raise ValueError(f"no {self.model.__name__} has an empty key")
        return value

    def key(self, instance: Any) -> Any:
        """Return the key as JSON can hold it."""
        return _as_json(instance)


def _as_json(key: Any) -> Any:
    return key if isinstance(key, int) else str(key)


def has_key(row: Model) -> bool:
    """Tell whether there is a key that refers to the row: one that is made by default is there before the row is saved."""
    key = row._meta.pk
    is_made = key.has_default() or key.has_db_default()
    return row.pk is not None and not (is_made and row._state.adding)


def key_of(row: Model, model: type[Model]) -> Any:
    """Return the primary key by which a field of this model refers to the row, as JSON can hold it."""
    return _as_json(getattr(row, model._meta.pk.attname))  # a row of a model that inherits may have a key of its own


def with_references(annotation: Any, mark: type[Reference] = Reference) -> Any:
    """Return the annotation with each model class in it, however deep, marked as a reference."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return Annotated[annotation, mark(annotation)]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if not arguments or origin is None or not _mentions_model(annotation):
        return annotation
    if origin is Annotated:
        return Annotated[(with_references(arguments[0], mark), *arguments[1:])]
    marked = tuple(with_references(argument, mark) for argument in arguments)
    return Union[marked] if origin in (Union, types.UnionType) else origin[marked]  # noqa: UP007 (made at run time)


def models_in(annotation: Any) -> list[type[Model]]:
    """Return the model classes that the annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


type_keys = dict[int, tuple[Model, Any]]
"""Rows, by their ``id()``, and the keys that they had, as JSON."""


def keys_in(value: Any, before: type_keys) -> type_keys:
    """Return the rows in a value, however deep, with their keys: those that are deleted already as they were ``before``."""
    if isinstance(value, Model):
        known = (value, _as_json(value.pk)) if has_key(value) else before.get(id(value))
        return {id(value): known} if known else {}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, _CONTAINERS) else ()
    return {at: known for part in parts for at, known in keys_in(part, before).items()}


def with_keys(value: Any, gone: type_keys) -> Any:
    """Return the value with copies of its rows that are ``gone``, which have the keys that those had."""
    if isinstance(value, Model) and id(value) in gone:
        copied = copy(value)
        copied.pk = gone[id(value)][1]
        return copied
    if isinstance(value, dict):
        return {name: with_keys(part, gone) for name, part in value.items()}
    return [with_keys(part, gone) for part in value] if isinstance(value, _CONTAINERS) else value


def _mentions_model(annotation: Any) -> bool:
    return bool(models_in(annotation))
