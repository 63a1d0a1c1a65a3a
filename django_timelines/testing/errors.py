"""Errors of bodies: looking at them, and making them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from .. import conf
from ..engine import answer, execute
from ..registry import Declaration
from ..steps import Step
from .patching import Which, wrapped


@contextmanager
def recorded_errors() -> Iterator[None]:
    """Record errors of bodies, as in production, without raising them."""
    before, conf.record_errors_only = conf.record_errors_only, True
    try:
        yield
    finally:
        conf.record_errors_only = before


@contextmanager
def fail_step(
    step: Step[...] | str, error: Exception | type[Exception], *, times: int = 1, after: bool = False
) -> Iterator[None]:
    """Let the step's body raise this error instead of running, the next ``times``; with ``after``, once it has run.

    The error is recorded and not raised, as the test asked for it. ``AssertionError`` if the step never ran in the block.
    """
    failing = _Failing(Which.of(step), error, times, after)
    with (
        wrapped(execute, "run_body", failing.around_body),
        wrapped(answer, "is_unexpected", failing.around_question),
    ):
        yield
    if not failing.raised:
        raise AssertionError(f"{failing.which} did not run in the block, so it could not fail.")


@dataclass
class _Failing:
    """A step that fails, and what it raised so far."""

    which: Which
    error: Exception | type[Exception]
    times: int
    after: bool
    raised: list[Exception] = field(default_factory=list)

    def around_body(self, run_body: Callable[..., Any]) -> Callable[..., Any]:
        def run(declaration: Declaration, seen: Any, name: tuple[str, str], *rest: Any) -> Any:
            if len(self.raised) < self.times and self.which.matches(declaration.label, *name[:2]):
                broken = {name[0]: self._broken(declaration.step(name[0]))}
                declaration = replace(declaration, steps=declaration.steps | broken)
            return run_body(declaration, seen, name, *rest)

        return run

    def around_question(self, is_unexpected: Callable[..., bool]) -> Callable[..., bool]:
        return lambda error, step: error not in self.raised and is_unexpected(error, step)

    def _broken(self, step: Step[...]) -> Step[...]:
        body = step.body

        async def fail_later(workflow: Any, **given: Any) -> None:
            if self.after:
                await body(workflow, **given)
            self._raise()

        def fail(workflow: Any, **given: Any) -> None:
            if self.after:
                body(workflow, **given)
            self._raise()

        broken: Step[...] = object.__new__(type(step))
        broken.__dict__.update(step.__dict__)
        broken.body = fail_later if inspect.iscoroutinefunction(body) else fail
        return broken

    def _raise(self) -> None:
        error = self.error() if isinstance(self.error, type) else self.error
        self.raised.append(error)
        raise error
