"""Run the five-step flow in each system, by 1, 2 and 4 clients at once, on databases of one PostgreSQL.

Each client is a process with a connection of its own. The rounds are interleaved, so that what else happens falls on all alike.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from psycopg.sql import SQL, Identifier

from ..databases import connect
from ..measure import Effort, Figure, figure

HERE = Path(__file__).parent
PYTHON = settings.BUILD / "peers" / "bin" / "python"
CLIENTS = (1, 2, 4)


@dataclass(frozen=True)
class Contestant:
    """A system, one way to use it, and what that way promises."""

    script: str
    kind: str
    promises: str

    @property
    def database(self) -> str:
        """Of this run, and of nobody else."""
        return f"{settings.DATABASE}_{self.script.partition('_')[0]}_{self.kind}"

    def environment(self) -> dict[str, str]:
        """Return what its processes find in theirs."""
        given = settings.DATABASES["default"]
        url = f"postgresql://{given['USER']}@{given['HOST']}:{given['PORT']}/{self.database}"
        return {**os.environ, "RACE_URL": url, "RACE_KIND": self.kind, "BENCH_DATABASE": self.database}

    def command(self, *arguments: str) -> list[str]:
        """Return what starts one of its processes."""
        python = sys.executable if self is OURS else str(PYTHON)
        return [python, str(HERE / f"{self.script}.py"), *arguments]


OURS = Contestant("ours", "inline", "exactly once with the ORM's transaction, a commit each, events")
PEERS = {
    "DBOS, transaction steps": Contestant("dbos_steps", "transactions", "exactly once with SQLAlchemy's transaction"),
    "DBOS, steps": Contestant("dbos_steps", "steps", "at least once"),
    "Absurd, steps": Contestant("absurd_steps", "steps", "at least once"),
    "viewflow, handles": Contestant("viewflow_steps", "handles", "a commit each, for who calls them one by one"),
    "viewflow, functions": Contestant(
        "viewflow_steps", "functions", "one commit for all five: nothing in between is kept"
    ),
    "joeflow": Contestant("joeflow_steps", "celery", "a commit each; a lost message of the broker's stops it"),
}


def race(effort: Effort) -> list[Figure]:
    """Return a line for each peer and number of clients: our milliseconds for a flow, through theirs. Say what each promises."""
    if not PYTHON.exists():
        sys.exit("The peers are not installed. `make peers` does, into an environment of their own, and runs this.")
    everybody = {"ours": OURS, **PEERS}
    lines: list[Figure] = []
    with ExitStack() as stack:
        for one in everybody.values():
            stack.enter_context(prepared(one))
        for many in CLIENTS:
            took = rounds({name: [one] * many for name, one in everybody.items()}, effort)
            for name in PEERS:
                text = f"five-step flow, {many} client{'s' * (many > 1)}, to {name}"
                lines += figure(text, took["ours"], took[name], "ms a flow", (None, 1.0))
    print(*(f"{name}: {one.promises}." for name, one in everybody.items()), "", sep="\n")
    return lines


def rounds(teams: dict[str, list[Contestant]], effort: Effort) -> dict[str, float]:
    """Let each team run in each round, forwards and backwards in turn; return the medians of the milliseconds for a flow.

    Their processes are there while they run and no longer: some poll the database even when they have nothing to do.
    """
    found: dict[str, list[float]] = {name: [] for name in teams}
    for number in range(max(effort.rounds // 8, 1)):
        for name in list(teams) if number % 2 else list(reversed(teams)):
            with ExitStack() as stack:
                processes = [stack.enter_context(client(one)) for one in teams[name]]
                found[name].append(together(processes, effort.few * 6))
    return {name: statistics.median(took) for name, took in found.items()}


def together(processes: list[subprocess.Popen[str]], flows: int) -> float:
    """Let all begin at once; return the milliseconds until the last is done, for each of their flows."""
    began = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{flows}\n")
        process.stdin.flush()
    for process in processes:
        hear(process, "done")
    return (time.perf_counter() - began) * 1000 / (flows * len(processes))


@contextmanager
def prepared(one: Contestant) -> Iterator[None]:
    """Make its database, and drop it in the end."""
    name = Identifier(one.database)
    with connect("postgres", autocommit=True) as server:
        server.execute(SQL("CREATE DATABASE {}").format(name))
        try:
            subprocess.run(one.command("prepare"), env=one.environment(), check=True, stdout=subprocess.DEVNULL)
            yield
        finally:
            server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@contextmanager
def client(one: Contestant) -> Iterator[subprocess.Popen[str]]:
    """Start one of its processes, and end it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(one.command(), env=one.environment(), stdin=pipe, stdout=pipe, text=True) as process:
        try:
            hear(process, "ready")
            yield process
        finally:
            process.kill()


def hear(process: subprocess.Popen[str], wanted: str) -> None:
    """Wait for the line; what else it writes is not for us."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == wanted:
            return
    raise RuntimeError(f"{process.args} ended; what it wrote stands above.")
