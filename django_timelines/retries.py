"""When a failed step is tried again."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from .exceptions import DeclarationError, PermanentFailure, RetryAfter

type_or_types = type[Exception] | tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """A failure policy: ``attempts`` in all, the first wait, its factor and cap, and the errors that are worth another try.

    The wait before attempt n + 1 is drawn evenly from nought to ``min(cap, wait * factor ** (n - 1))``: "full jitter"
    (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015). ``jitter=False`` waits the whole of it.
    """

    attempts: int = 5
    wait: timedelta = timedelta(seconds=2)
    factor: float = 2
    cap: timedelta = timedelta(minutes=5)
    on: type_or_types = Exception
    jitter: bool = True

    def __post_init__(self) -> None:
        types: tuple[object, ...] = self.on if isinstance(self.on, tuple) else (self.on,)
        if not all(inspect.isclass(one) and issubclass(one, Exception) for one in types):
            raise DeclarationError(f"Retry(on={self.on!r}): an exception class, or a tuple of them.")
        if type(self.attempts) is not int or self.attempts < 1:
            raise DeclarationError(
                f"Retry(attempts={self.attempts!r}): a whole number, from 1: it counts the first, too."
            )
        if type(self.factor) not in (int, float) or not 1 <= self.factor < math.inf:
            raise DeclarationError(f"Retry(factor={self.factor!r}): a number from 1, by which each wait is longer.")
        for name, span in (("wait", self.wait), ("cap", self.cap)):
            if not isinstance(span, timedelta) or span < timedelta(0):  # type: ignore[redundant-expr]
                raise DeclarationError(f"Retry({name}={span!r}): a timedelta. Write {name}=timedelta(seconds=30), say.")

    def delay(self, attempt: int, error: BaseException, draw: Callable[[], float] = random.random) -> timedelta | None:
        """Return how long to wait after this failed attempt (counted from 1; 0: it counts as none), or None to give up."""
        if attempt >= self.attempts or isinstance(error, PermanentFailure):
            return None
        if isinstance(error, RetryAfter):
            return error.delay
        if not isinstance(error, self.on):
            return None
        return self.wait_after(attempt, draw)

    def wait_after(self, attempt: int, draw: Callable[[], float] = random.random) -> timedelta:
        """Return the wait after an attempt, whatever ended it."""
        exponent = min(max(attempt - 1, 0), 64)  # 2.0 ** 1024 overflows; the cap has long been reached
        longest = min(self.cap.total_seconds(), self.wait.total_seconds() * self.factor**exponent)
        return timedelta(seconds=longest * (draw() if self.jitter else 1))
