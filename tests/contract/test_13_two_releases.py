"""Clause 13 with real processes: web process, workers and clock of two releases, side by side while one replaces the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import django_rq
import pytest
from django.db import connections

from django_timelines.models import Event, Timeline
from tests.releases.entries import all_done
from tests.releases.process import ENOUGH
from tests.shop.here import HERE
from tests.waiting import eventually

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


def stand() -> Counter[tuple[str, str]]:
    """Return how many timelines of each class stand where."""
    return Counter(Timeline.objects.values_list("workflow", "status"))


def completed(workflow: str) -> int:
    return Timeline.objects.filter(workflow=workflow, status="completed").count()


@pytest.mark.timeout(600)
def test_one_release_replaces_another_and_nothing_is_lost_blocked_or_done_twice(
    deployed: Callable[[str], type_crew],
) -> None:
    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has one writer: eight processes that write are for a server")
    old = deployed("before")
    eventually(lambda: completed("carrier.Parcel") >= 3, 120, stand)
    deployed("after")
    eventually(lambda: completed("carrier.Packet") >= 3, 120, stand)
    for process in old:
        process.terminate()
        process.wait(timeout=60)

    still = Timeline.objects.exclude(status="completed")
    # what old workers heard again and again, and could not do, is rung for 160 seconds after that at the latest
    eventually(lambda: Timeline.objects.count() >= ENOUGH and not still.all().exists(), 200, stand)

    assert not Event.objects.filter(type__in=("StepBlocked", "StepFailed")).exists()
    done = all_done()
    times = Counter((one.timeline, one.step) for one in done)
    for timeline in Timeline.objects.all():
        by_step = {step: times[timeline.pk.hex, step] for step in ("take", "weigh", "sign", "tell", "insure", "file")}
        assert by_step.pop("tell") >= 1
        assert by_step.pop("insure") in (0, 1)  # none where an old process said what came after its last step
        assert set(by_step.values()) == {1}, by_step
    old, new = ({one.timeline for one in done if one.release == release} for release in ("before", "after"))
    assert old & new  # at some of them both worked
