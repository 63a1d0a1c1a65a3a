"""What a step says of people: who may call it, and who gets it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .exceptions import DeclarationError

LINK = "link"
"""In ``allowed=``: the holder of the step's link."""
_RULE = re.compile(r"link|(user|group):.+|[A-Za-z_]\w*\.\w+", re.DOTALL)
type_rule = str | Callable[[Any, Any], bool]
type_assignee = str | Callable[..., Any]


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
