"""A scenario: what happened before, what is crashed, and what people do afterwards.

An act may be done twice: a person clicks again with the same key, or looks first whether it is still to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

type_act = Callable[[], object]

KEY = "form-token"
"""The key that a start is clicked with, again after a crash."""


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Scenario:
    """``before`` and ``after`` are undisturbed, ``crashed`` dies at a point. After the restart it is done again."""

    crashed: type_act
    before: tuple[type_act, ...] = ()
    after: tuple[type_act, ...] = ()
    trouble: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    placed: tuple[str, ...] = ("away", "mixed", "here")
    visits: tuple[str, ...] = ()  # steps that are called in a transaction of the caller's, who writes a row of its own
    deploy: type_act = nothing  # what each process begins with
    holds: Callable[[Scenario], Iterator[str]] = lambda _: iter(
        ()
    )  # at any moment: says what is wrong with the effects
