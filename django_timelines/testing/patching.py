"""Where the helpers reach into the engine from outside, so that the engine has no line for tests."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .. import registry
from ..exceptions import Unknown
from ..state import run_key, split_key
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
    """Which step is meant: ``Signup.activate``, ``"activate"``, ``"signup.Signup.activate"``, ``"make[tea]"``, or any."""

    step: str = ""
    workflows: tuple[str, ...] = ()  # several, if they are made from the one that declares the step; none: any
    item: str = ""

    @classmethod
    def of(cls, step: Step[...] | str | None) -> Which:
        """Read what the test wrote; ``Unknown`` if no workflow has such a step."""
        if step is None:
            return cls()
        if isinstance(step, Step):
            known = [(label, one.steps.get(step.name)) for label, one in registry.everything().items()]
            return cls(step.name, tuple(label for label, one in known if one is not None and one.body is step.body))
        if not isinstance(step, str):
            raise TypeError(
                f"{step!r} is no step of a class. Write Order.pay, say, or 'make[tea]' for one of its items."
            )
        run, bracket, item = step.partition("[")
        workflow, _dot, name = run.rpartition(".")
        declared = [registry.get(workflow)] if workflow else [*registry.everything().values()]
        steps = [one for declaration in declared for one in declaration.steps]
        if name not in steps:
            near = difflib.get_close_matches(name, steps, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise Unknown(
                f"{workflow or 'No workflow'} has {'no' if workflow else 'a'} step {name!r}.{hint}", "unknown_step"
            )
        labels = (registry.current(workflow),) if workflow else ()
        return cls(name, labels, split_key(name + bracket + item).item)

    def matches(self, workflow: str, step: str, item: str = "") -> bool:
        """Tell whether this step of this workflow is meant, for this item."""
        is_theirs = not self.workflows or registry.current(workflow) in self.workflows
        return is_theirs and self.step in ("", step) and self.item in ("", item)

    def __str__(self) -> str:
        return ".".join([*self.workflows[:1], run_key(self.step, self.item)]) if self.step else "any step"
