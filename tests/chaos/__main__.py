"""Make trouble for so many minutes, let it settle, and check everything. Any finding fails.

python -m tests.chaos                       # one minute
python -m tests.chaos --minutes 5 --seed 7  # the same draws as another run with that seed
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .driver import People
from .processes import Crew
from .servers import Postgres, Redis, until
from .trouble import Trouble

QUIET = 12.0  # seconds without trouble before a clock that is far ahead takes the waiting out
AHEAD = 600  # seconds
SETTLE = 90.0  # seconds for everything to come to its end
EVER = datetime(1970, 1, 1, tzinfo=UTC)  # since when the projection reacts
LEFT = """SELECT (SELECT count(*) FROM django_timelines_run) + (SELECT count(*) FROM django_timelines_notice)
    + (SELECT count(*) FROM django_timelines_news)"""


def main() -> int:
    """Run it; return 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)))
    parser.add_argument("--lease", type=float, default=3, help="seconds")
    parser.add_argument("--logs", type=Path, help="a directory, to keep what the processes wrote")
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {asked.minutes:g} min, a lease of {asked.lease:g} s", flush=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    with directory(asked.logs) as work, ExitStack() as stack:
        postgres, redis = Postgres(work / "postgres"), Redis(work / "redis")
        stack.callback(postgres.stop)
        stack.callback(redis.stop)
        postgres.start()
        redis.start()
        environment = prepare(work, postgres, redis, asked)
        crew = Crew(work, environment, random.Random(f"crew {asked.seed}"))
        stack.callback(crew.end)
        people = People(crew.port, asked.seed)
        stack.callback(people.stop.set)
        trouble = Trouble(crew, postgres, redis, asked.seed, asked.lease)
        took = run(crew, people, trouble, asked.minutes * 60)
        return judge(work, crew, people, trouble, took)


@contextmanager
def directory(logs: Path | None) -> Iterator[Path]:
    """A directory of this run's own, gone in the end; what the processes wrote is kept where that is asked for."""
    path = Path(tempfile.mkdtemp(prefix="timelines-chaos-"))
    try:
        yield path
    finally:
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
            for log in [*path.glob("*.out"), *path.glob("*.log")]:
                shutil.copy(log, logs)
        shutil.rmtree(path, ignore_errors=True)


def prepare(work: Path, postgres: Postgres, redis: Redis, asked: Any) -> dict[str, str]:
    """Make the database; return what all processes read from their environment."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        "CHAOS_POSTGRES_PORT": str(postgres.port),
        "CHAOS_REDIS_PORT": str(redis.port),
        "CHAOS_SEED": asked.seed,
        "CHAOS_LEASE": str(asked.lease),
        "CHAOS_OUTSIDE": str(work / "outside.txt"),
        "PYTHONUNBUFFERED": "1",
    }
    os.environ.update(environment)
    import django  # only now: the settings read the environment

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from django_timelines.engine.projecting import begin_new

    with postgres.connect() as server:
        server.execute("CREATE DATABASE chaos")
    call_command("migrate", run_syncdb=True, verbosity=0)
    begin_new("default", since=EVER)
    connections.close_all()
    return environment


def run(crew: Crew, people: People, trouble: Trouble, seconds: float) -> dict[str, int]:
    """Make trouble for so long, then wait for everything to come to its end; return how long each took."""
    began = time.monotonic()
    crew.fill()
    people.begin()
    until("somebody gets an answer", lambda: bool(people.answers))
    up = time.monotonic()
    stop = threading.Event()
    maker = threading.Thread(target=trouble.make, args=[stop], daemon=True)
    maker.start()
    try:
        maker.join(seconds)
        failed = not maker.is_alive()
    finally:  # also when somebody ends the run: nothing is restarted behind that
        stop.set()
        maker.join(60)
    if failed:
        raise RuntimeError("The trouble-maker ended early; what it said stands above.")
    people.closing.set()
    end_schedules(crew)
    quiet = time.monotonic()
    settle(crew, people, trouble)
    people.end()
    return {
        "to start (s)": round(up - began),
        "of trouble (s)": round(quiet - up),
        "to settle (s)": round(time.monotonic() - quiet),
    }


def end_schedules(crew: Crew) -> None:
    """Let them begin nothing more: what they have begun comes to its end, too. A tick that failed is tried again before."""
    from django.db import connections

    from django_timelines import moments
    from django_timelines.actors import SYSTEM
    from django_timelines.engine.ticks import pause
    from django_timelines.models import Schedule

    crew.fill()
    failing = Schedule.objects.exclude(error="")
    failing.update(ring=moments.now())
    until("schedules go on", lambda: not failing.exists())
    for row in Schedule.objects.all():
        pause(row, SYSTEM)
    connections.close_all()


def settle(crew: Crew, people: People, trouble: Trouble) -> None:
    """Leave everything alone until nothing is open, or for as long as we are patient."""
    began, clock_ahead = time.monotonic(), False
    while time.monotonic() - began < SETTLE:
        crew.fill()
        with trouble.postgres.connect("chaos") as connection:
            row = connection.execute(LEFT).fetchone()
        if row == (0,) and not people.unanswered():
            return
        if not clock_ahead and time.monotonic() - began > QUIET:
            clock_ahead = True
            crew.add_clock(AHEAD)
        time.sleep(0.3)  # it polls: the history tells nobody that it is settled


def judge(work: Path, crew: Crew, people: People, trouble: Trouble, took: dict[str, int]) -> int:
    """Check the whole history, and print what was tried and what was found."""
    from .checker import findings
    from .reading import explanations, read
    from .report import show, show_findings, totals

    why = explanations()
    crew.end()
    history = read(work / "outside.txt", people.answers, why)
    found = findings(history)
    show("Took", took)
    show("Tried", dict(sorted((trouble.counted + crew.counted).items())))
    show("People", {"answers": len(people.answers), **dict(sorted(people.counted.items()))})
    show("Timelines", totals(history))
    show("Fences", {"overtaken attempts that wrote nothing": crew.said("has overtaken the attempt")})
    show_findings(found, history)
    return 1 if found or people.unanswered() else 0


if __name__ == "__main__":
    sys.exit(main())
