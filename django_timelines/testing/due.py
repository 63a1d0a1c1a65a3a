"""For your tests: run what is due, travel in time, look at errors instead of having them raised.

It works in ``TestCase`` and in ``TransactionTestCase``: what is due is a row, whether a doorbell rang or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType

from django.db import router
from django.db.models import Q

from . import conf, moments, store
from .actors import ActorType, acting, this_process
from .engine import clock
from .engine.claim import claim
from .engine.execute import run_from
from .engine.runner import Runner
from .exceptions import TimelinesError
from .models import Run, Timeline
from .placements import INLINE
from .state import StepStatus

__all__ = ["drain", "recorded_errors", "travel"]

TOO_MANY = 10_000


def drain(using: str | None = None) -> int:
    """Run all that is due, in this thread, until nothing is; return how many attempts were claimed.

    What an unexpected error in a body raised is recorded and then raised, as in ``with recorded_errors()`` it is not.
    Waits, backoffs and deadlines that lie in the future stay there: ``travel`` first.
    """
    using = using or router.db_for_write(Timeline)
    for claimed in range(TOO_MANY):
        clock.settle_due_deadlines(using)
        run = _next_due(using)
        if run is None:
            return claimed
        placement = run.placement if run.placement not in ("", INLINE) else "drain"
        actor = this_process(ActorType.WORKER, placement)
        with acting(actor):
            runner = Runner(actor, placement, using, raises=conf.raises_errors())
            run_from(claim(run.timeline_id, (run.step, run.item), run.fence, runner), runner)
    raise TimelinesError(f"After {TOO_MANY:,} attempts something is still due: a step seems to make itself due again.")


def _next_due(using: str) -> Run | None:
    paused = store.paused(using)
    if store.EVERYTHING in paused:
        return None
    due = Q(due=None) | Q(due__lte=moments.now())
    runs = Run.objects.using(using).filter(due, status__in=(StepStatus.DUE, StepStatus.RETRYING), ring__isnull=False)
    return runs.exclude(timeline__workflow__in=paused).order_by("due", "id").first()


class travel:  # noqa: N801 (reads as a verb)
    """Move the timelines' clock: ``travel(timedelta(days=3))``. As a context manager it moves back at the end."""

    def __init__(self, delta: timedelta) -> None:
        self._before = moments.offset
        moments.offset += delta

    def __enter__(self) -> travel:
        return self

    def __exit__(self, *raised: type[BaseException] | BaseException | TracebackType | None) -> None:
        moments.offset = self._before


@contextmanager
def recorded_errors() -> Iterator[None]:
    """Record errors of bodies, as in production, without raising them."""
    before, conf.record_errors_only = conf.record_errors_only, True
    try:
        yield
    finally:
        conf.record_errors_only = before
