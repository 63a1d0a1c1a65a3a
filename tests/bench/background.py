"""Goals 5 and 6: a flow of five steps in an RQ worker, against one bare RQ job that does nothing."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django_rq
from django.conf import settings
from django.db import transaction
from redis import Redis

from .databases import STAMPS
from .measure import Effort, Figure, figure, interleaved, type_work
from .workflows import Queued

NOTHING, STAMP = "tests.bench.worker.nothing", "tests.bench.worker.stamp"
AT_REST = 0.03  # seconds after which a worker that has finished a job waits for the next one


def busy(effort: Effort) -> list[Figure]:
    """Queue many, then let a worker take them in one burst."""
    lines = []
    for name, options, many, rounds, aim in (
        ("SimpleWorker", ["rq.SimpleWorker"], effort.many * 2, effort.rounds // 3, 1.6),
        ("SimpleWorker that sends live hints", ["rq.SimpleWorker", "hints"], effort.many * 2, effort.rounds // 5, 1.6),
        ("forking worker", ["rq.Worker"], effort.few * 2, effort.rounds // 5, 1.4),
    ):
        with worker(*options) as process:
            took = interleaved(
                max(rounds, 1),
                {
                    "bare": burst(process, many, lambda: django_rq.get_queue(settings.QUEUE).enqueue(NOTHING)),
                    "flow": burst(process, many, Queued.start),
                },
            )
        text = f"background flow of five, busy, {name}, to one bare RQ job"
        lines += figure(text, took["flow"], took["bare"], "ms", (5, aim))
    return lines


def idle(effort: Effort) -> list[Figure]:
    """Wake a worker that waits: from just before the bell to just after the last commit."""
    with worker("rq.SimpleWorker") as process, Redis.from_url(settings.REDIS_URL) as redis:
        order(process, "wait")
        took = interleaved(
            effort.rounds,
            {
                "bare": lambda: woken(redis, ring_bare),
                "flow": lambda: woken(redis, ring_flow),
            },
        )
    text = "background flow of five, idle, bell to last commit, to a bare RQ job's start"
    return figure(text, took["flow"], took["bare"], "ms", (6, 2.5))


def burst(process: subprocess.Popen[str], many: int, enqueue: Callable[[], object]) -> type_work:
    """Return a work that queues so many and answers the worker's milliseconds for each."""

    def batch() -> float:
        for _ in range(many):
            enqueue()
        order(process, "burst")
        return float(answer(process)) * 1000 / many

    return batch


def ring_bare() -> int:
    """Enqueue a bare job; return when."""
    at = time.monotonic_ns()
    django_rq.get_queue(settings.QUEUE).enqueue(STAMP)
    return at


def ring_flow() -> int:
    """Start a flow; return when its bell began to ring: the first thing after the commit."""
    at: list[int] = []
    with transaction.atomic():
        transaction.on_commit(lambda: at.append(time.monotonic_ns()))
        Queued.start()
    return at[0]


def woken(redis: Redis, ring: Callable[[], int]) -> float:
    """Return the milliseconds from the ring to the stamp."""
    took = []
    for _ in range(3):
        at = ring()
        stamped: Any = redis.blpop([STAMPS], timeout=30)
        took.append((int(stamped[1]) - at) / 1e6)
        time.sleep(AT_REST)  # an idle worker is measured, and it tells nobody that it waits
    return statistics.median(took)


@contextmanager
def worker(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a worker's process, and end it."""
    command = [sys.executable, "-m", "tests.bench.worker", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            answer(process)
            yield process
        finally:
            process.kill()


def order(process: subprocess.Popen[str], what: str) -> None:
    """Say what to do."""
    assert process.stdin is not None
    process.stdin.write(f"{what}\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    """Return the worker's next line."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("The worker ended; what it wrote stands above.")
    return line
