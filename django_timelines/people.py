"""What a step says of people: who may call it, who gets it, and when they are reminded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import moments
from .exceptions import DeclarationError

LINK = "link"
"""In ``allowed=``: the holder of the step's link."""
_RULE = re.compile(r"link|(user|group):.+|[A-Za-z_]\w*\.\w+", re.DOTALL)
type_rule = str | Callable[[Any, Any], bool]
type_assignee = str | Callable[..., Any]
type_remind = timedelta | list[timedelta] | Callable[[Any], timedelta | list[timedelta] | None]


@dataclass(frozen=True, slots=True)
class Reminding:
    """When somebody is reminded, from when the step waits: ``every`` so long, or once ``after`` each of these."""

    every: timedelta | None = None
    after: tuple[timedelta, ...] = ()

    def next(self, since: datetime, after: datetime) -> datetime | None:
        """Return the first moment later than ``after``, or None if there is none left."""
        if self.every is not None:
            return since + self.every * ((after - since) // self.every + 1)
        return next((since + span for span in self.after if since + span > after), None)

    def as_json(self) -> dict[str, Any]:
        """Return it as an event holds it, in seconds."""
        if self.every is not None:
            return {"every": self.every.total_seconds()}
        return {"after": [span.total_seconds() for span in self.after]}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Reminding:
        """Return what an event holds."""
        if "every" in said:
            return cls(timedelta(seconds=said["every"]))
        return cls(after=tuple(timedelta(seconds=seconds) for seconds in said["after"]))


def reminding(given: Any) -> Reminding:
    """Return what a ``timedelta`` or a list of them means; ``ValueError`` says what is wrong with it."""
    spans = given if isinstance(given, list | tuple) else [given]
    if not spans or not all(isinstance(span, timedelta) for span in spans):
        raise ValueError("Write timedelta(days=1), or a list of such.")
    if min(spans) <= timedelta(0):
        raise ValueError("Write more than 0.")
    if any(map(moments.is_too_far, spans)):
        raise ValueError(f"It {moments.TOO_FAR}: write less.")
    return Reminding(after=tuple(sorted(spans))) if isinstance(given, list | tuple) else Reminding(given)


def remind(name: str, given: Any) -> Reminding | Callable[[Any], Any] | None:
    """Return what ``remind=`` declares: when, or a function that says when."""
    found: Callable[[Any], Any] | None = given
    if given is None or callable(given):
        return found
    try:
        return reminding(given)
    except ValueError as error:
        raise DeclarationError(f"Step {name!r}: remind={given!r} is no time to remind at. {error}") from None


def rules(name: str, given: Any) -> tuple[type_rule, ...]:
    """Return what ``allowed=`` declares, as rules."""
    if given is None:
        return ()
    found = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not found:
        raise DeclarationError(
            f"Step {name!r}: allowed= is an empty list, so nobody could call it. Name somebody, or leave it out."
        )
    for rule in found:
        if not callable(rule) and not (isinstance(rule, str) and _RULE.fullmatch(rule)):
            raise DeclarationError(
                f"Step {name!r}: allowed={rule!r} names nobody. Write a permission ('shop.pay_order'), 'group:editors', "
                "'user:ada', 'link', a function of the workflow and the user, or a list of them."
            )
    return found


def assignee(name: str, given: Any) -> type_assignee | None:
    """Return what ``assigned=`` declares: the name of a field, or a function."""
    found: type_assignee | None = given
    if given is None or callable(given) or (isinstance(given, str) and given.isidentifier()):
        return found
    raise DeclarationError(
        f"Step {name!r}: assigned={given!r} names nobody. Write the name of a field that is a user, "
        "or a function of the workflow that returns one."
    )
