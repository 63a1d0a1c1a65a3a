"""Heartbeats, with real workers: whoever executes a body keeps its lease, whatever the body does, and nobody else does."""

import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from django_timelines import store
from django_timelines.engine import clock
from django_timelines.models import Lease, Run
from tests.shop.here import HERE
from tests.waiting import eventually

from .conftest import children, type_start, watching
from .workflows import Watch

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.redis]
LEASE = 6  # seconds: short, and long enough for a machine that does other work
WORKERS: dict[str, Callable[[int], int]] = {
    "rq.SimpleWorker": lambda worker: worker,
    "rq.worker.Worker": lambda worker: children(worker)[0],  # its work-horse
}
"""The process that executes, for each worker."""


def expiry(watch: Watch) -> datetime:
    return Lease.objects.get(run__timeline=watch.pk).expires


def types(watch: Watch) -> list[str]:
    return [event.type for event in watch.timeline.events.filter(step="outside")]


@pytest.mark.parametrize("worker", WORKERS)
def test_who_executes_a_body_that_blocks_keeps_its_lease_until_it_dies(
    worker: str, start: type_start, place: Any
) -> None:
    process = start(worker, LEASE)
    watch = watching("outside", worker, place)
    claimed = expiry(watch)

    seen = {claimed}
    while len(seen) < 3 or max(seen) < claimed + timedelta(seconds=LEASE):  # by then what the claim wrote has ended
        seen.add(eventually(lambda: (at := expiry(watch)) not in seen and at))
    clock.tick(HERE)

    assert types(watch) == ["StepDue", "AttemptStarted"]

    os.kill(WORKERS[worker](process.pid), signal.SIGKILL)
    [run] = Run.objects.filter(timeline=watch.pk, step="outside")
    eventually(lambda: run.pk in store.with_ended_lease(HERE, 10))
    clock.tick(HERE)

    assert types(watch)[:3] == ["StepDue", "AttemptStarted", "AttemptInterrupted"]
