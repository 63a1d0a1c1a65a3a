"""Where the helpers reach into the engine from outside, so that the engine has no line for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..steps import Step


@contextmanager
def wrapped(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Replace ``owner.name`` for the block by what ``wrap`` makes of it."""
    original = getattr(owner, name)
    setattr(owner, name, wrap(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


@dataclass(frozen=True, slots=True)
class Which:
    """Which step a helper is about: ``Signup.activate``, ``"activate"``, ``"signup.Signup.activate"``, or any."""

    step: str = ""
    workflow: str = ""

    @classmethod
    def of(cls, step: Step[...] | str | None) -> Which:
        """Read what the test wrote."""
        if step is None:
            return cls()
        workflow, _dot, name = (step.name if isinstance(step, Step) else step).rpartition(".")
        return cls(name, workflow)

    def matches(self, workflow: str, step: str) -> bool:
        """Tell whether this step of this workflow is meant."""
        return self.step in ("", step) and self.workflow in ("", workflow)

    def __str__(self) -> str:
        return ".".join(part for part in (self.workflow, self.step) if part) or "any step"
