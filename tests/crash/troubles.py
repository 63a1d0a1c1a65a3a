"""What befalls a body."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from django_timelines.engine import stopping
from django_timelines.engine.interrupt import TimedOut
from django_timelines.exceptions import PermanentFailure

from . import outside, points, worker, workflows
from .scenario import type_act
from .world import PATIENCE, apart


def at_first(step: str) -> Callable[[], None]:
    def fail() -> None:
        if len([1 for (tried,) in outside.noted("tried") if tried == step]) == 1:
            raise OSError("A wave came over.")

    return fail


def out_of_time_at_first(step: str) -> Callable[[], None]:
    """Let the step's timeout run out in the first body, as its timer does."""
    return _interrupted_at_first(step, lambda: [body.interrupt(TimedOut) for body in stopping._held])


def told_to_end_at_first(step: str) -> Callable[[], None]:
    """Let the worker be told to end in the first body."""
    return _interrupted_at_first(step, lambda: os.kill(os.getpid(), signal.SIGTERM))


def _interrupted_at_first(step: str, interrupt: Callable[[], object]) -> Callable[[], None]:
    def body() -> None:
        if len([1 for (tried,) in outside.noted("tried") if tried == step]) == 1:
            interrupt()
            threading.Event().wait(PATIENCE)
            raise AssertionError("nobody ended this body")

    return body


def fail_until_mended() -> None:
    if not outside.noted("mended"):
        raise PermanentFailure("The cabin leaks.")


def left_by_a_dead_runner(step: str) -> type_act:
    """Let a runner die in the body of this step."""

    def leave() -> None:
        def die_there() -> None:
            workflows.trouble[step] = points.die
            worker.settle()

        assert apart(die_there).died, f"nobody came to {step}"

    return leave
