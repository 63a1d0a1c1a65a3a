"""The example project as it is run for real: in processes of its own, that a browser talks to."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis

from tests.settings.base import REDIS_URL

ROOT = Path(__file__).resolve().parents[2]
POSTGRES = "postgres://{PGUSER}@{PGHOST}:{PGPORT}".format_map(  # a password comes from PGPASSWORD, as libpq reads it
    {"PGUSER": "postgres", "PGHOST": "127.0.0.1", "PGPORT": "5432"} | os.environ
)
EVENTS = "SELECT type, step FROM django_timelines_event WHERE timeline_id = '{}' ORDER BY sequence"
RUNNER = (
    "SELECT actor_id FROM django_timelines_event WHERE timeline_id = '{}' AND type = 'AttemptStarted' AND step = '{}'"
)
SEEN_OFF = 15  # seconds that a process has for ending; the embedded worker lets a step run on for 10


@dataclass
class Site:
    """The example project, served. While ``stall_file`` exists, its mail server hangs."""

    address: str
    database: str
    stall_file: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def events(self, timeline: str) -> list[tuple[str, str]]:
        """Read a timeline's events from the database: type and step."""
        return [(type, step) for type, step in self.ask(EVENTS, timeline)]

    def kill_runner_of(self, timeline: str, step: str) -> None:
        """Kill the worker that executes a step, and its work-horse, so that neither can say a word any more."""
        ((runner,),) = self.ask(RUNNER, timeline, step)
        horse = int(runner.rpartition(":")[2])
        parent = int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(horse)]))  # noqa: S607
        (worker,) = [worker for worker in self.workers if worker.pid == parent]
        worker.kill()
        os.kill(horse, signal.SIGKILL)
        worker.wait(SEEN_OFF)

    def contacts(self) -> tuple[int, int]:
        """Return how many contacts were imported, and of how many addresses."""
        return tuple(self.ask("SELECT count(*), count(DISTINCT email) FROM contacts_contact", "")[0])  # type: ignore[return-value]

    def ask(self, sql: str, timeline: str, *words: str) -> list[Any]:
        """Ask the database about one timeline."""
        if self.database.startswith("postgres"):
            with psycopg.connect(self.database) as connection:
                return connection.execute(sql.format(timeline, *words)).fetchall()
        with closing(sqlite3.connect(self.database.removeprefix("sqlite:///"))) as connection:
            return connection.execute(sql.format(timeline.replace("-", ""), *words)).fetchall()


@contextmanager
def demo(directory: Path) -> Iterator[Site]:
    """``manage.py demo``: one process, SQLite, the embedded worker and clock."""
    database, stall_file = f"sqlite:///{directory / 'demo.sqlite3'}", directory / "stall"
    environment = _environment(
        DATABASE_URL=database, OUTBOX_STALL_FILE=str(stall_file), MEDIA_ROOT=str(directory / "uploads")
    )
    with _process("manage.py", "demo", "--port", "0", environment=environment, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        said = ""
        for line in server.stdout:
            said += line.decode()
            if "Ctrl-C" in said:
                break
        address = re.search(r"(http://\S+?)/\s", said)
        assert address is not None, f"the demo did not start: {said}"
        yield Site(address[1], database, stall_file)
    assert server.returncode == 0


@contextmanager
def production(directory: Path) -> Iterator[Site]:
    """PostgreSQL and Redis, an ASGI server, two RQ workers and a clock: each a process of its own."""
    stall_file = directory / "stall"
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        database = stack.enter_context(_postgres_database())
        environment = _environment(
            DATABASE_URL=database,
            REDIS_URL=stack.enter_context(_redis_database()),
            BASE_URL=address,
            OUTBOX_STALL_FILE=str(stall_file),
            MEDIA_ROOT=str(directory / "uploads"),
            TIMELINES_LEASE="10",
            DJANGO_SUPERUSER_PASSWORD="demo",
        )
        for words in (
            ["migrate"],
            ["createsuperuser", "--noinput", "--username", "demo", "--email", "demo@example.org"],
        ):
            subprocess.run([sys.executable, "manage.py", *words, "-v", "0"], cwd=ROOT, env=environment, check=True)

        def run(*words: str, **options: Any) -> subprocess.Popen[bytes]:
            return stack.enter_context(_process(*words, environment=environment, **options))

        workers = [run("manage.py", "rqworker", "default", "mail", "-v", "0") for _ in range(2)]
        run("manage.py", "timelines_clock", "-v", "0", stdout=subprocess.DEVNULL)
        server = ["-m", "uvicorn", "example_project.asgi:application", "--lifespan=off", "--log-level=warning"]
        run(*server, "--fd", str(listener.fileno()), pass_fds=[listener.fileno()])
        urllib.request.urlopen(address, timeout=150).close()  # until it answers: all have started, or nearly
        yield Site(address, database, stall_file, workers)


@contextmanager
def _process(*words: str, environment: dict[str, str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment, **options)
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(SEEN_OFF)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _environment(**settings: str) -> dict[str, str]:
    ours = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL", "BASE_URL", "TIMELINES_LEASE", "DEBUG")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"PYTHONUNBUFFERED": "1"} | settings


@contextmanager
def _postgres_database() -> Iterator[str]:
    name = f"timelines_story_{os.getpid()}"
    with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{POSTGRES}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _redis_database() -> Iterator[str]:
    """A numbered one of its own: workers of ours must not meet the jobs of other tests."""
    server, _, number = REDIS_URL.rpartition("/")
    url = f"{server}/{(int(number) + 8) % 16}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        try:
            yield url
        finally:
            client.flushdb()
