"""Goal 11: what keeps time, with many timelines there (``--timelines 1000000``) and with a thousand. The same thousand are due.

The others wait for a call, every second one with a deadline that is far away. Of them there are rows only, no events: nothing
here reads them.
"""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import timedelta
from statistics import median
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_timelines import moments
from django_timelines.actors import ActorType, acting, this_process
from django_timelines.engine import clock
from django_timelines.engine.claim import claim
from django_timelines.engine.known import Known
from django_timelines.engine.runner import Runner
from django_timelines.models import Lease, Run
from django_timelines.state import StepStatus

from .measure import Effort, Figure, figure
from .workflows import Waiting

USING = "default"
FEW, DUE = 1_000, 1_000
SLICE = 20  # claimed, and then rescued, at a time
FAR = timedelta(days=30)
AIM = 1.3
MEMORY = "what a tick over nothing takes"
WORKS = ("a claim", "a rescue pass over 20", "a tick over 500 that are due", "a tick over nothing", MEMORY)
plans: dict[str, str] = {}
"""How the database goes about each statement with the many there. ``--plans`` prints it."""

# a key in time order for number n; what follows the time does not matter
_KEY = "(lpad(to_hex({n}), 12, '0') || '70008000' || lpad(to_hex({n}), 12, '0'))::uuid"
_TIMELINES = """
    INSERT INTO django_timelines_timeline
        (id, workflow, head, status, state, fields, key, correlation, started_by, started_at, changed_at)
    SELECT {key}, workflow, head, status, state, fields, '', correlation, '', started_at, changed_at
    FROM django_timelines_timeline, generate_series(%s::bigint, %s) AS n WHERE id = %s
"""
_RUNS = """
    INSERT INTO django_timelines_run
        (id, timeline_id, step, item, status, fence, attempt, due, until, placement, rings, ring)
    SELECT {key}, {key}, step, item, status, fence, attempt, due, until, placement, rings, CASE WHEN n %% 2 = 0 THEN ring END
    FROM django_timelines_run, generate_series(%s::bigint, %s) AS n WHERE timeline_id = %s
"""


def flat(effort: Effort) -> list[Figure]:
    """Measure with a thousand, then with many."""
    waiting, due = Waiting.start(name="waits").pk, Waiting.start(name="is due").pk
    Waiting.get(waiting).check.skip(reason="only the answer is awaited")
    Waiting.get(due).answer.skip(reason="only the check is due")
    copy(due, 1, DUE)
    copy(waiting, DUE + 1, DUE + FEW)
    few = measure(effort)
    copy(waiting, DUE + FEW + 1, DUE + effort.timelines)
    many = measure(effort)
    explain()
    words, units = f", {effort.timelines:,} timelines to {FEW:,}", dict.fromkeys(WORKS, "ms") | {MEMORY: "KiB"}
    return [line for work in WORKS for line in figure(work + words, many[work], few[work], units[work], (11, AIM))]


def copy(pattern: Any, first: int, last: int) -> None:
    """Make timelines like this one, and their open runs, numbered from first to last."""
    with connection.cursor() as cursor:
        for sql in (_TIMELINES, _RUNS):
            cursor.execute(sql.format(key=_KEY.format(n="n")), [first, last, pattern])
        cursor.execute("VACUUM ANALYZE django_timelines_timeline, django_timelines_run")


def measure(effort: Effort) -> dict[str, float]:
    """Return the medians of each work, in milliseconds; its memory in KiB."""
    took: dict[str, list[float]] = {work: [] for work in WORKS}
    with acting(this_process(ActorType.CLOCK, "bench")):
        for round_ in range(effort.rounds // 3 + 2):
            found = [_claims(round_), _rescue(), _tick(due=True), _tick(due=False), _memory()]
            for work, one in zip(WORKS, found, strict=True):
                if round_:  # the first warms them up
                    took[work].append(one)
    return {work: median(found) for work, found in took.items()}


def _claims(round_: int) -> float:
    """Claim some, of which none was claimed in the rounds before."""
    _ring(None)
    first = round_ * SLICE % DUE
    chosen = list(Run.objects.filter(step="check").order_by("id")[first : first + SLICE])
    return _timed(lambda: [_claim(run) for run in chosen]) / len(chosen)


def _claim(run: Run) -> None:
    runner = Runner(this_process(ActorType.WORKER, "bench"), "embedded", USING)
    assert claim(run.timeline_id, (run.step, run.item), run.fence, runner) is not None


def _rescue() -> float:
    """Rescue what was claimed last."""
    ago = moments.now() - FAR
    Lease.objects.update(expires=ago)
    assert Run.objects.filter(status=StepStatus.RUNNING).update(ring=ago) == SLICE
    return _timed(lambda: clock.tick(USING))


def _tick(*, due: bool) -> float:
    """Look at a batch that is due, or at nothing, and see when to look next."""
    _ring(moments.now() if due else None)

    def look() -> None:
        assert clock.tick(USING) == (clock.BATCH if due else 0)
        clock._until_next(USING, Known())

    return _timed(look)


def _memory() -> float:
    """Return the most that a tick over nothing takes, in KiB."""
    tracemalloc.start()
    _tick(due=False)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1024


def _ring(at: Any) -> None:
    """Let the clock look at all that is due now, or at none of it for long."""
    runs = Run.objects.filter(status__in=(StepStatus.DUE, StepStatus.RETRYING))
    runs.update(ring=at or moments.now() + FAR, rings=1)


def _timed(work: Callable[[], object]) -> float:
    if _explaining:
        with CaptureQueriesContext(connection) as asked:
            work()
        _keep_plans(query["sql"] for query in asked.captured_queries)
        return 0.0
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


_explaining = False


def explain() -> None:
    """Ask the database how it goes about each statement of a claim, a rescue and a tick."""
    global _explaining
    _explaining = True
    with acting(this_process(ActorType.CLOCK, "bench")):
        _claims(0)
        _rescue()
        _tick(due=True)
    _explaining = False


def _keep_plans(asked: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in asked:
            without_values = " ".join(_VALUE.sub("?", statement).split())[:120]
            if statement.startswith(("WITH", "SELECT", "INSERT", "UPDATE", "DELETE")) and without_values not in plans:
                cursor.execute(f"EXPLAIN {statement}")
                plans[without_values] = "\n".join(row[0] for row in cursor.fetchall())


_VALUE = re.compile(r"'[^']*'(::\w+(\[\])?)?|\b\d+\b")
