"""Functions of the project answer when they are called. A coroutine or a generator is no answer: nobody awaits it."""

from __future__ import annotations

import inspect
from types import AsyncGeneratorType, GeneratorType
from typing import Any, TypeVar

from .exceptions import DeclarationError, NoAnswer

T = TypeVar("T")


def check(where: str, given: Any) -> None:
    """Refuse a function that gives no answer when it is called; ``where`` says whose it is. What is no function passes."""
    what = "is an async def" if _is(inspect.iscoroutinefunction, given) else "has a yield" if has_yield(given) else ""
    if what:
        raise DeclarationError(f"{where}{given!r} {what}, so it gives no answer when it is called. Write a plain def.")


def has_yield(given: Any) -> bool:
    """Tell whether calling this function runs nothing of it: it makes a generator."""
    return _is(inspect.isgeneratorfunction, given) or _is(inspect.isasyncgenfunction, given)


def answered(where: str, answer: T) -> T:
    """Return what a function answered; ``NoAnswer`` for what is to be awaited or gone through, of which nothing is done then."""
    kind = type(answer)
    if not (hasattr(kind, "__await__") or issubclass(kind, GeneratorType | AsyncGeneratorType)):
        return answer
    if hasattr(kind, "close"):  # else Python warns of it
        answer.close()  # type: ignore[attr-defined]
    raise NoAnswer(
        f"{where} returned a {kind.__name__}, which nobody awaits or goes through: it has done nothing and says nothing. "
        "Do it there, and return what it comes to."
    )


def _is(asked: Any, given: Any) -> bool:
    return callable(given) and bool(asked(given) or asked(type(given).__call__))
