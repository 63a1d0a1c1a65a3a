"""Bells that are delivered twice, as queues do now and then."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..engine import answer, bells
from ..engine.runner import Runner
from ..placements import Bell
from ..state import RunName
from . import due
from .patching import wrapped


@contextmanager
def deliver_twice() -> Iterator[None]:
    """Deliver each bell of the block twice: again while the first is being answered, and late, at the end of the block.

    Whatever ``drain()`` or a worker of this process claims counts as a bell. What a placement rings, it rings twice.
    """
    delivery = _Delivery()
    with wrapped(bells, "ring", _twice):
        with wrapped(answer, "claim", delivery.around_claim), wrapped(due, "claim", delivery.around_claim):
            yield
        for bell in delivery.delivered:
            answer.answer(**bell.as_json())


def _twice(ring: Callable[[Bell], bool]) -> Callable[[Bell], bool]:
    return lambda bell: any([ring(bell), ring(bell)])


class _Delivery:
    """The bells that were answered in the block."""

    def __init__(self) -> None:
        self.delivered: list[Bell] = []

    def around_claim(self, claim: Callable[..., Any]) -> Callable[..., Any]:
        def claim_and_hear_it_again(timeline: uuid.UUID, name: RunName, fence: int, runner: Runner) -> Any:
            bell = Bell(timeline.hex, *name[:2], fence, runner.using, runner.placement)
            if bell in self.delivered:  # this is the second one
                return claim(timeline, name, fence, runner)
            self.delivered.append(bell)
            held = claim(timeline, name, fence, runner)
            answer.answer(**bell.as_json())
            return held

        return claim_and_hear_it_again
