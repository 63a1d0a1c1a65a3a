"""Keys in time order, and text that every database compares alike."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import uuid_utils.compat
from django.db import models
from django.db.models.expressions import Col
from django.db.models.fields.json import DataContains, KeyTransform

from ..state import Runs, loaded, stored

if TYPE_CHECKING:
    from datetime import datetime


def new_id() -> uuid.UUID:
    """Make a key in time order (UUIDv7, RFC 9562)."""
    return uuid_utils.compat.uuid7()


def first_id_at(moment: datetime) -> uuid.UUID:
    """Return the least key that was made in this millisecond or later."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


class ExactCharField(models.CharField):  # type: ignore[type-arg]
    """Text that is compared as it is: MariaDB and MySQL take ``Latte``, ``latte`` and ``latte `` for one, unless told."""

    def db_parameters(self, connection: Any) -> Any:
        """Return the column's type, and a collation where the database's own is blind."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            exact = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
            parameters |= {"collation": exact}
        return parameters


class StateField(models.JSONField):
    """The fold of a timeline's events, but for its fields, a column of their own, and the runs of its items, which are rows.

    What was read knows what it lacks: whoever asks for an item that was not read is told so.
    """

    def deconstruct(self) -> Any:
        """Say that the column is one of JSON: only reading it is ours."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the state, which the runs of items can be read into; or the part that was asked for."""
        read = super().from_db_value(value, expression, connection)
        return loaded(read) if isinstance(expression, Col) else read

    def get_prep_value(self, value: Any) -> Any:
        """Leave out the runs that lie beside it."""
        return super().get_prep_value(_as_stored(value))

    def value_to_string(self, obj: models.Model) -> Any:
        """Return what ``dumpdata`` writes: the column as it is stored."""
        return _as_stored(super().value_to_string(obj))


def _as_stored(value: Any) -> Any:
    return stored(value) if isinstance(value, dict) and isinstance(value.get("runs"), Runs) else value


class Holds(models.Func):
    """Whether what a column of JSON has under this name is the given text or number, or a list with it."""

    output_field = models.BooleanField()

    def __init__(self, column: str, name: str, value: str | int) -> None:
        super().__init__(models.F(column))
        self.name, self.value = name, value

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> Any:  # type: ignore[override]
        """Ask by the database's own containment, which takes a value for a list of one."""
        [column] = self.source_expressions
        return compiler.compile(DataContains(KeyTransform(self.name, column), self.value))

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Ask by its table of what is under a path: SQLite has no containment."""
        column, values = compiler.compile(self.source_expressions[0])
        sql = f"EXISTS (SELECT 1 FROM json_each({column}, %s) WHERE value = %s)"  # noqa: S608 (a column's name)
        return sql, [*values, f'$."{self.name}"', self.value]
