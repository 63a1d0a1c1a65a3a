"""Real workers, and a body that one of them executes for as long as a test lets it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.db import connections

from django_timelines.models import Lease, Run
from tests.shop.models import Entry
from tests.waiting import eventually

from .workflows import Watch

QUEUE = "default"
PLACES = {
    "rq.SimpleWorker": f"rq:{QUEUE}",
    "rq.worker.Worker": f"rq:{QUEUE}",
    "db_worker": "tasks:table",
    "uvicorn": "embedded",
    "daphne": "embedded",
    "runserver": "embedded",
}
type_start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[type_start]:
    """Start such a worker, with leases of so many seconds, and ``last`` for what it gives back; end it with the test."""
    queue = django_rq.get_queue(QUEUE)
    queue.empty()
    processes: list[subprocess.Popen[str]] = []

    def run(worker: str, lease: float = 60, last: float = 30) -> "subprocess.Popen[str]":
        databases = json.dumps({alias: str(connections[alias].settings_dict["NAME"]) for alias in connections})
        command = [sys.executable, "-m", "tests.placements.worker", databases, worker, PLACES[worker]]
        command += [str(lease), str(last)]
        process = subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            for pid in [*children(process.pid), process.pid]:
                with suppress(ProcessLookupError):  # a work-horse that has just ended by itself
                    os.kill(pid, signal.SIGKILL)
        process.wait()
    queue.empty()


def watching(kind: str, worker: str, place: Any) -> Watch:
    """Return a timeline on which such a worker executes this step."""
    place("workflows.Watch", background=PLACES[worker])
    Entry.objects.create(text=f"do {kind}")
    watch = Watch.start(kind=kind)
    eventually(lambda: Run.objects.filter(timeline=watch.pk, step=kind, status="running").exists())
    if kind != "inside":  # what it wrote inside nobody sees
        eventually(lambda: Entry.objects.filter(text=f"{kind} began").exists())
    else:
        eventually(lambda: Lease.objects.exists())
    return watch


def children(pid: int) -> list[int]:
    """Return a process's children: the work-horse of a forking worker."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
