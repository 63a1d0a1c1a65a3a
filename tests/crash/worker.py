"""A worker and a clock that answer by bells alone: what no bell was rung for, and what the clock never looks at, stays undone."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

import django_rq
from django.db.models import Min
from rq import SimpleWorker

from django_timelines import moments
from django_timelines.engine import answer, clock
from django_timelines.models import Notice, Run
from django_timelines.placements import Bell, stopping
from django_timelines.placements.embedded import Embedded
from django_timelines.state import StepStatus

from . import world

LOOKS = 40
LATER = datetime.max.replace(tzinfo=UTC)
heard: deque[Bell] = deque()


def listen() -> None:
    """Hear the embedded bells of this process, as one that serves does."""
    ring = Embedded.ring

    def hear(placement: Any, bell: Bell) -> bool:
        ring(placement, bell)
        heard.append(bell)
        return True

    Embedded.ring = hear  # type: ignore[assignment, method-assign]
    Embedded.hears = lambda _: True  # type: ignore[method-assign]


def work() -> None:
    """Be a worker: answer all bells, and those that are rung meanwhile, until somebody ends it."""
    for thread in threading.enumerate():
        if thread.name == "timelines-stop":  # who ended the one before it, and may be looking still whom to end
            thread.join(world.PATIENCE)
    stopping.clear()
    while heard and not stopping.is_set():
        answer.answer(**heard.popleft().as_json())
    if world.queue_in_use():
        queue = django_rq.get_queue(world.QUEUE)
        if queue.count:  # the worker's name is told from all others in Redis
            name = f"{world.QUEUE}-{os.getpid()}-{uuid.uuid4().hex}"
            SimpleWorker([queue], name, connection=queue.connection).work(burst=True, logging_level="ERROR")


def settle() -> None:
    """Work and keep time until nothing goes on by itself any more. Time passes as far as the clock sleeps.

    It looks again after a moment, as a clock does, at what the connection of somebody who died holds until the server sees that.
    """
    before: object = None
    for _ in range(LOOKS):
        work()
        moving = Run.objects.filter(status__in=(StepStatus.DUE, StepStatus.RUNNING, StepStatus.RETRYING))
        look = moving.aggregate(at=Min("ring"))["at"]
        if Notice.objects.exists():  # the clock looks for those that nobody took
            look = min(look or LATER, moments.now() + clock.SOON)
        if look is None:
            return
        standing = [*moving.order_by("pk").values_list("pk", "fence", "rings"), Notice.objects.count()]
        if standing == before:
            time.sleep(clock.SHORTEST_SLEEP)
        before = standing
        moments.offset += max(look - moments.now(), timedelta(0))
        clock.tick(world.USING)
    raise AssertionError(f"The clock looked {LOOKS} times and something still moves.")
