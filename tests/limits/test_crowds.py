"""``limit=`` among many workers, in threads and in processes, and when one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connections

from django_timelines.engine.claim import claim
from django_timelines.models import Run, Slot, Timeline
from django_timelines.state import RunName
from django_timelines.testing import drain, travel
from tests.limits.crowd import ROOM, Visit, answer_all
from tests.limits.test_limit import worker
from tests.races.at_once import at_once, until
from tests.shop.here import HERE
from tests.shop.models import Entry

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
type_process = subprocess.Popen[str]


@pytest.fixture
def processes() -> Iterator[list[type_process]]:
    """Workers that are ended with the test."""
    started: list[type_process] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def started() -> type_process:
    databases = json.dumps({alias: str(connections[alias].settings_dict["NAME"]) for alias in connections})
    command = [sys.executable, "-m", "tests.limits.worker", databases]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


def say(process: type_process) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def most_inside(group: str) -> int:
    seen = Entry.objects.filter(text__startswith=f"saw {group} ").values_list("text", flat=True)
    return max(int(text.rpartition(" ")[2]) for text in seen)


def assert_all_came_and_never_too_many(count: int) -> None:
    assert {*Timeline.objects.values_list("status", flat=True)} == {"completed"}
    assert Entry.objects.filter(text__startswith="in all ").count() == count
    assert most_inside("all") <= ROOM
    assert (most_inside("a"), most_inside("b")) == (1, 1)
    assert Slot.objects.count() == 0


def test_of_twenty_workers_at_once_never_more_are_inside_than_may_be() -> None:
    for number in range(20):
        Visit.start(group="ab"[number % 2])

    answers = at_once(*[answer_all] * 20)

    assert answers == [None] * 20
    assert_all_came_and_never_too_many(20)


def test_of_workers_in_many_processes_never_more_are_inside_than_may_be(processes: list[type_process]) -> None:
    for number in range(20):
        Visit.start(group="ab"[number % 2])
    processes += [started() for _ in range(4)]
    ready = [process.stdout and process.stdout.readline() for process in processes]
    for process in processes:
        say(process)

    assert ready == ["ready\n"] * 4
    assert [process.wait(timeout=150) for process in processes] == [0] * 4
    assert_all_came_and_never_too_many(20)


def test_a_worker_that_is_killed_keeps_its_slot_for_as_long_as_its_lease(processes: list[type_process]) -> None:
    first = Visit.start(group="hangs")
    processes.append(started())
    process = processes[0]
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    say(process)
    assert process.stdout.readline() == "hung\n"
    second = Visit.start(group="waits")
    until(lambda: Run.objects.filter(timeline=second.pk, step="hang", awaits__isnull=False).exists())

    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    fence = Run.objects.get(timeline=second.pk).fence
    assert claim(second.pk, RunName("hang"), fence, worker()) is None
    assert Slot.objects.get().timeline_id == first.pk
    travel(timedelta(minutes=2))
    drain(HERE)
    assert {Visit.get(one.pk).timeline.status for one in (first, second)} == {"completed"}
    assert Slot.objects.count() == 0
