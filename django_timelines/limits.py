"""What a class allows only so often: attempts at once (``limit=``), and timelines at once for a value (``unique=``)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from . import answers
from .answers import answered
from .exceptions import DeclarationError, FieldUnset, PermanentFailure

MOST_AT_ONCE = 10_000
"""Of a limit: whoever takes a slot looks for a free one."""
_PLAIN = (str, int, float, UUID, Decimal, date, time, timedelta, Enum)


@dataclass(frozen=True, slots=True)
class By:
    """What tells timelines apart: some of their fields, or what a function of the workflow object returns."""

    fields: tuple[str, ...] = ()
    function: Callable[[Any], Any] | None = None

    def check(self, workflow: Any) -> None:
        """Raise what a function of the class raises, or what it should not return, while it is the body's failure."""
        if self.function is not None:
            self.value(lambda name: None, lambda: workflow)

    def value(self, encoded: Callable[[str], Any], make: Callable[[], Any]) -> str | None:
        """Return what a timeline has there, as text to compare; None if a field is unset or None: then it counts nowhere."""
        if self.function is None:
            values = [encoded(name) for name in self.fields]
            return None if None in values else json.dumps(values, sort_keys=True)
        try:
            returned = answered("The function of unique= or per=", self.function(make()))
        except FieldUnset:
            return None
        return None if returned is None else json.dumps(_plain(returned), sort_keys=True)


def _plain(value: Any) -> Any:
    """Return it as JSON: a row of a model by its key, several in a list."""
    if hasattr(value, "_meta") and value.pk is not None:
        return _plain(value.pk)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bool | None):
        return value
    if not isinstance(value, _PLAIN):
        raise PermanentFailure(
            f"The function of unique= or per= returned {type(value).__name__}, which cannot be compared. "
            "Return text, a number, a row of a model, a tuple of these, or None for none."
        )
    return str(value)


type_by = str | Sequence[str] | Callable[[Any], Any] | By


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts at once, over all timelines; ``Limit(2, per="account")``: so many for each account.

    ``per``: a field, several, or a function of the workflow object. A timeline on which it is unset or None is not limited.
    """

    number: int
    per: type_by | None = None

    def __post_init__(self) -> None:
        number: Any = self.number
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_AT_ONCE:
            raise DeclarationError(
                f"Limit({number!r}): so many attempts at once cannot be. Write a number from 1 to {MOST_AT_ONCE:,}. "
                "To begin none for a while, pause the workflow."
            )


@dataclass(frozen=True, slots=True)
class Counted:
    """A limit as it is counted: for the step of this name, or for all steps of the class."""

    number: int
    scope: str
    per: By | None


def limit(where: str, given: Any) -> Limit | None:
    """Check what ``limit=`` says; ``where`` says whose it is."""
    if given is None or isinstance(given, Limit):
        return given
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST_AT_ONCE:
        raise DeclarationError(
            f"{where}limit={given!r}: so many attempts at once cannot be. Write limit=3, or limit=Limit(2, per='account')."
        )
    return Limit(given)


def by(where: str, given: Any, fields: Collection[str]) -> By:
    """Check what ``unique=`` or ``per=`` names; ``where`` says whose it is."""
    if isinstance(given, By):  # of the class that this one is made from
        return given
    if callable(given):
        answers.check(where, given)
        return By(function=given)
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise DeclarationError(f"{where}{given!r}: name a field ('email'), several in a list, or give a function.")
    for name in names:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Fields: {', '.join(fields) or 'none'}."
            raise DeclarationError(f"{where}{name!r} is no field. {hint}")
    return By(names)
