"""The world of a run of the harness: a database and a queue of its own, and processes that are forked into it."""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django_rq
from django.conf import settings
from django.db import connections

import django_timelines
from django_timelines import conf
from django_timelines.models import (
    Event,
    Item,
    Lease,
    News,
    Notice,
    Pause,
    Place,
    Run,
    SealedInput,
    Sighting,
    Slot,
    Timeline,
    UniqueValue,
)
from tests.emptying import empty
from tests.projections.models import Account, Seen, Thanks
from tests.shop.models import Entry

from . import outside

USING = "default"
QUEUE = f"crash-{os.getpid()}"
WRITTEN = (
    Lease,
    Slot,
    UniqueValue,
    SealedInput,
    Run,
    Item,
    Event,
    Notice,
    News,
    Place,
    Timeline,
    Sighting,
    Pause,
    Entry,
    Account,
    Seen,
    Thanks,
)
PATIENCE = 120  # seconds after which a process hangs


@dataclass(frozen=True)
class Exit:
    """How a forked process ended: with an answer, killed at its point, or otherwise."""

    answer: Any = None
    died: bool = False
    problem: str = ""


def apart(do: Callable[[], Any]) -> Exit:
    """Do it in a process of its own, forked from here, and wait for its end."""
    connections.close_all()
    sys.stdout.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(do, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        died = os.WTERMSIG(status) == signal.SIGKILL
        return Exit(died=died, problem="" if died else f"it hung, or was ended by signal {os.WTERMSIG(status)}")
    answer = json.loads(said)
    return Exit(answer.get("answer"), problem=answer.get("problem", ""))


def _child(do: Callable[[], Any], writing: int) -> None:
    signal.alarm(PATIENCE)
    try:
        try:
            said = {"answer": do()}
        except BaseException:
            said = {"problem": traceback.format_exc()}
        os.write(writing, json.dumps(said).encode())
    finally:
        os._exit(0)


@contextmanager
def own() -> Iterator[None]:
    """Make the database, with all tables, and take it away in the end. The file of the outside world is beside it."""
    connection = connections[USING]
    settings.RQ_QUEUES[QUEUE] = settings.RQ_QUEUES["default"]
    given = connection.settings_dict
    name = f"timelines_crash_{os.getpid()}"
    given["TEST"]["NAME"] = str(settings.BUILD / f"{name}.sqlite3") if connection.vendor == "sqlite" else name
    if connection.vendor == "postgresql":  # only processes die here, no disk does
        given["OPTIONS"]["options"] = "-c synchronous_commit=off"
    elif connection.vendor == "sqlite":
        given["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    before = given["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            outside.file = Path(folder) / "outside"
            empty(USING)  # which looks for the tables once, before any process is forked
            _import_all()
            gc.freeze()  # else each child copies what its collector looks at
            yield
    finally:
        connection.creation.destroy_test_db(before, verbosity=0)
        for left in settings.BUILD.glob(f"{name}.sqlite3*"):  # SQLite's log
            left.unlink()


def _import_all() -> None:
    """Import what is imported where it is used only: else each child does so anew."""
    for module in pkgutil.walk_packages(django_timelines.__path__, "django_timelines."):
        if not module.name.startswith(("django_timelines.migrations", "django_timelines.pytest_plugin")):
            importlib.import_module(module.name)


def clean() -> None:
    """Leave nothing for the next."""
    if queue_in_use():
        sweep([QUEUE, *(pk.hex for pk in Timeline.objects.values_list("pk", flat=True))])
    empty(USING)
    outside.forget()


def queue_in_use() -> bool:
    """Tell whether something is placed at RQ."""
    return f"rq:{QUEUE}" in conf.placements().values()


def sweep(names: list[str]) -> None:
    """Take from Redis all that RQ keeps under these names: jobs, registries, and workers that died."""
    redis: Any = django_rq.get_connection(QUEUE)
    for key in redis.scan_iter("rq:*", count=1000):
        if any(name in key.decode() for name in names):
            redis.delete(key)
    for everyone in ("rq:workers", "rq:queues"):
        ours = [member for member in redis.smembers(everyone) if QUEUE in member.decode()]
        if ours:
            redis.srem(everyone, *ours)
