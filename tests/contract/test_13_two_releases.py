"""Clause 13 with real processes: web process, workers and clock of two releases, side by side while one replaces the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import django_rq
import pytest
from django.db import connections

from django_timelines.models import Event, Timeline
from tests.releases.entries import all_done
from tests.shop.here import HERE

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.redis]

ROLES = ("web", "clock", "rq.SimpleWorker", "rq.worker.Worker")
type_crew = list["subprocess.Popen[bytes]"]


@pytest.fixture
def deployed() -> Iterator[Callable[[str], type_crew]]:
    """Start the processes of a release; end them with the test, whatever happens."""
    queue = django_rq.get_queue("default")
    queue.empty()
    crews: dict[str, type_crew] = {}
    databases = json.dumps({alias: str(connections[alias].settings_dict["NAME"]) for alias in connections})

    def begin(release: str) -> type_crew:
        for role in ROLES:
            command = [sys.executable, "-m", "tests.releases.process", release, role, databases]
            crews.setdefault(release, []).append(subprocess.Popen(command, start_new_session=True))
        return crews[release]

    yield begin
    for process in [one for crew in crews.values() for one in crew]:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # a work-horse has a group of its own, and ends by itself
        process.wait()
    queue.empty()


def eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until it holds; fail, with what stands, if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        stands = Counter(Timeline.objects.values_list("workflow", "status"))
        assert time.monotonic() < deadline, f"it did not come to be: {stands}"
        time.sleep(0.1)


def completed(workflow: str) -> int:
    return Timeline.objects.filter(workflow=workflow, status="completed").count()


@pytest.mark.timeout(300)
def test_one_release_replaces_another_and_nothing_is_lost_blocked_or_done_twice(
    deployed: Callable[[str], type_crew],
) -> None:
    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has one writer: eight processes that write are for a server")
    old = deployed("before")
    eventually(lambda: completed("carrier.Parcel") >= 3)
    deployed("after")
    eventually(lambda: completed("carrier.Packet") >= 3)
    for process in old:
        process.terminate()
        process.wait(timeout=60)

    eventually(lambda: Timeline.objects.count() >= 60 and not Timeline.objects.exclude(status="completed").exists())

    assert not Event.objects.filter(type__in=("StepBlocked", "StepFailed")).exists()
    done = all_done()
    times = Counter((one.timeline, one.step) for one in done)
    for timeline in Timeline.objects.all():
        by_step = {step: times[timeline.pk.hex, step] for step in ("take", "weigh", "sign", "tell", "insure", "file")}
        assert by_step.pop("tell") >= 1
        assert by_step.pop("insure") in (0, 1)  # none where an old process said what came after its last step
        assert set(by_step.values()) == {1}, by_step
    assert {one.release for one in done if one.timeline in both_worked_at(done)} == {"before", "after"}


def both_worked_at(done: list) -> set[str]:
    """Return the timelines at which both releases worked."""
    old, new = ({one.timeline for one in done if one.release == release} for release in ("before", "after"))
    return old & new
