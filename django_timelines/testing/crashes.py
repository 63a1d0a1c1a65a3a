"""A process that dies in the middle: the block ends as if it had been killed there, with what was committed by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from django.db import connections, transaction
from django.db.transaction import Atomic

from .. import store
from ..engine import execute
from ..events import OUTCOMES, EventType
from ..registry import Declaration
from ..steps import Step
from ..store import Change
from .patching import Which, wrapped

type_point = Literal["before claim", "before body", "after body", "before commit", "after commit"]
POINTS: tuple[str, ...] = get_args(type_point)


class Crash(BaseException):
    """The process died here. A ``BaseException``: neither the engine nor a body catches it."""


@contextmanager
def crash_at(point: type_point, step: Step[...] | str | None = None) -> Iterator[None]:
    """Let the process die at this point of an attempt (at the step, or at whichever comes there first), and end the block.

    ``"before claim"``: it was heard that the step is due, and nothing was written. A claim that rides with the completion of
    the step before takes that with it. ``"before body"``: the attempt is claimed. ``"after body"``: the body has run, and its
    outcome is not recorded. ``"before commit"``: the outcome is written, not committed. ``"after commit"``: it is committed;
    no bell has rung, no hint has left.

    An undo has attempts as any step, and so has a step that begins a child; of a step whose time or assignee a function
    tells, the first attempt is the one that asks it.

    Transactions roll back, the lease stays: ``travel`` past it, and ``drain()`` goes on as after a restart.
    ``AssertionError`` if the block ends without having come to that point.
    """
    if point not in POINTS:
        raise ValueError(f"There is no point {point!r}. Known: {', '.join(POINTS)}.")
    death = _Death(point, Which.of(step))
    with (
        wrapped(execute, "run_body", death.around_body),
        wrapped(store, "commit", death.around_commit),
        wrapped(Atomic, "__exit__", death.around_exit),
    ):
        try:
            yield
        except Crash as crash:
            if crash is not death.crash:
                raise
    if death.crash is None:
        raise AssertionError(f"The block came to its end and never to the point {point!r} of {death.which}.")


@dataclass
class _Death:
    """Where the process is to die, and whether it has."""

    point: str
    which: Which
    crash: Crash | None = None
    last: Any = None  # the transaction with whose commit it dies

    def come_to(self, point: str, workflow: str, *runs: tuple[str, str]) -> None:
        """Die, if this is the place."""
        if self._is_here(point, workflow, *runs):
            self.die()

    def die(self) -> None:
        self.crash = Crash(f"The process died {self.point} of {self.which}.")
        raise self.crash

    def _is_here(self, point: str, workflow: str, *runs: tuple[str, str]) -> bool:
        wanted = self.crash is None and point == self.point
        return wanted and any(self.which.matches(workflow, *run) for run in runs)

    def around_body(self, run_body: Callable[..., Any]) -> Callable[..., Any]:
        def run(declaration: Declaration, seen: Any, name: tuple[str, str], *rest: Any) -> Any:
            self.come_to(
                "before claim", declaration.label, name[:2]
            )  # a call that runs here is claimed with its outcome
            self.come_to("before body", declaration.label, name[:2])
            ended = run_body(declaration, seen, name, *rest)
            if (
                self.crash is not None
            ):  # it died in what the body called; the engine takes that for an error of the body
                raise self.crash
            self.come_to("after body", declaration.label, name[:2])
            return ended

        return run

    def around_commit(self, commit: Callable[..., None]) -> Callable[..., None]:
        def write(change: Change, **options: bool) -> None:
            workflow, using = change.after.workflow, change.after.using
            claimed = [(row["step"], row["item"]) for row in change.events if row["type"] == EventType.ATTEMPT_STARTED]
            ended = [(row["step"], row["item"]) for row in change.events if row["attempt"] and row["type"] in OUTCOMES]
            self.come_to("before claim", workflow, *claimed)
            if self._is_here("before commit", workflow, *ended):
                with transaction.atomic(using=using):
                    commit(change)
                    self.die()
            dies_with_it = self._is_here("after commit", workflow, *ended)
            commit(change, **options)
            if dies_with_it:
                self.last = next(
                    (one for one in connections[using].atomic_blocks if not getattr(one, "_from_testcase", False)), None
                )
                if self.last is None:
                    self.die()

        return write

    def around_exit(self, leave: Callable[..., None]) -> Callable[..., None]:
        def leave_and_die(block: Any, *raised: Any) -> None:
            if block is not self.last or raised[0] is not None:
                return leave(block, *raised)
            self.last = None
            _forget_hooks(block)
            leave(block, *raised)
            return self.die()

        return leave_and_die


def _forget_hooks(block: Any) -> None:
    """Drop what was to happen after the commit of this transaction (in a ``TestCase``: of this savepoint)."""
    connection = transaction.get_connection(block.using)
    depth = connection.atomic_blocks.index(block)
    savepoint = connection.savepoint_ids[depth - 1] if depth else None
    hooks = connection.run_on_commit
    connection.run_on_commit = [hook for hook in hooks if depth and savepoint not in hook[0]]
