"""What one of many items costs, and one of many children: of a hundred, of a thousand, of ten thousand, the last as the first.

Nobody is rung for. Each run is claimed and executed here, one after the other, as a worker would that answers its bell.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from django.db import connection

from django_timelines.actors import ActorType, acting, this_process
from django_timelines.engine import bells
from django_timelines.engine.answer import run_from
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Runner
from django_timelines.models import Run
from django_timelines.placements import Bell
from django_timelines.state import StepStatus
from django_timelines.testing.patching import wrapped

from .measure import Effort, Figure, figure
from .workflows import Family, Fan, Queue

USING = "default"
FEW, SOME, MANY = 100, 1_000, 10_000
ENDS = 50  # of the first and of the last a median is taken
AIM, AIM_AT_THE_END = 1.5, 1.3


def fanout(effort: Effort) -> list[Figure]:
    """Measure items, items that wait for room, and children."""
    counts = (FEW, SOME, MANY) if effort.rounds > 1 else (10, 30, 60)
    works: dict[str, Callable[[int], Any]] = {
        "an item": lambda count: Fan.start(items=list(range(count))),
        "an item of ten at once": lambda count: Queue.start(items=list(range(count))),
        "a child": lambda count: Family.start(items=list(range(count))),
    }
    with wrapped(bells, "ring", _nobody):
        return [line for name, begin in works.items() for line in _figures(name, begin, counts)]


def _nobody(_ring: Callable[[Bell], bool]) -> Callable[[Bell], bool]:
    return lambda bell: True


def _figures(name: str, begin: Callable[[int], Any], counts: tuple[int, ...]) -> list[Figure]:
    few, *more = counts
    _played(begin, few)  # warms it up
    one_of_few = median(_played(begin, few))
    lines = []
    for count in more:
        took = _played(begin, count)
        lines += figure(f"{name} of {count:,}, to one of {few:,}", median(took), one_of_few, "ms", (None, AIM))
        first, last = median(took[:ENDS]), median(took[-ENDS:])
        lines += figure(f"{name} of {count:,}, the last to the first", last, first, "ms", (None, AIM_AT_THE_END))
    return lines


def _played(begin: Callable[[int], Any], count: int) -> list[float]:
    """Begin so many, and return what each took, in milliseconds."""
    timeline, took = begin(count).pk, []
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum has done wherever the database is older than a minute
    while due := list(Run.objects.filter(status=StepStatus.DUE).order_by("id")[:SOME]):
        for run in due:
            began = time.perf_counter()
            _execute(run)
            took.append((time.perf_counter() - began) * 1000)
    assert not Run.objects.filter(timeline=timeline).exists()
    return took


def _execute(run: Run) -> None:
    actor = this_process(ActorType.WORKER, "bench")
    with acting(actor):
        runner = Runner(actor, "bench", USING)
        run_from(claim(run.timeline_id, (run.step, run.item), run.fence, runner), runner)
