"""How punctual it is with default settings, on real parts: worker processes, Redis, PostgreSQL, and the time of day.

python -m tests.chaos.punctual    # two minutes; ends with 1 if a bound was not kept

Workers are killed in the middle of a body, at several times after a heartbeat: how long until the step goes on? And, while
workers are busy: how late are a second try and a deadline? Nothing here is a test that a slow machine could fail: run it alone.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from . import outside
from .__main__ import directory, prepare
from .processes import Crew, signal_to
from .servers import Postgres, Redis, until

LEASE = 60  # seconds: the default, with a heartbeat every third of it
GOES_ON_WITHIN = 75.0  # seconds from the death of a worker to the next attempt at its step
LATE_BY_AT_MOST = 1.0  # seconds
KILLED_AFTER = (2, 21, 39)  # seconds in the body: between the heartbeats, right after one, right before one
APPOINTMENTS, PAUSE = 300, 0.05  # how many, and the seconds between two
LONG = 100.0  # seconds after which something is lost, not late


def main() -> int:
    """Measure both, print the figures; return 1 if one is over its bound."""
    argparse.ArgumentParser(prog="python -m tests.chaos.punctual", description=__doc__.splitlines()[0]).parse_args()
    asked = argparse.Namespace(seed="punctual", lease=LEASE)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    with directory(None) as work, ExitStack() as stack:
        postgres, redis = Postgres(work / "postgres"), Redis(work / "redis")
        stack.callback(postgres.stop)
        stack.callback(redis.stop)
        postgres.start()
        redis.start()
        crew = Crew(work, prepare(work, postgres, redis, asked), random.Random(0), shifts=(0,))
        crew.members = [member for member in crew.members if "worker" in member.name or member.name == "first clock"]
        stack.callback(crew.end)
        crew.fill()
        found = [
            *(line(f"late, {what}", late, LATE_BY_AT_MOST) for what, late in appointments().items()),
            line("until a killed worker's step goes on", errands(crew, work / "outside.txt"), GOES_ON_WITHIN),
        ]
    return 0 if all(found) else 1


def line(what: str, seconds: Iterable[float], bound: float) -> bool:
    """Print one line; tell whether the bound was kept."""
    seconds = sorted(seconds)
    kept = seconds[-1] <= bound
    said = "kept" if kept else "NOT KEPT"
    print(
        f"{what:40} {len(seconds):4} times  median {statistics.median(seconds):6.2f} s  "
        f"longest {seconds[-1]:6.2f} s  promised {bound:g} s: {said}",
        flush=True,
    )
    return kept


def appointments() -> dict[str, list[float]]:
    """Make many, so that the workers have something to do; return how late each second try and each deadline was."""
    from .workflows import Appointment

    made = []
    for number in range(APPOINTMENTS):
        made.append(Appointment.start(name=str(number)).pk)
        time.sleep(PAUSE)  # their due times are as far apart: each is to be met, not all at once
    until("all appointments are over", lambda: not _open(), LONG)
    late: dict[str, list[float]] = {"a second try": [], "a deadline": []}
    for pk in made:
        events = {(event.type, event.step, event.attempt): event for event in Appointment.get(pk).timeline.events.all()}
        due = events["AttemptFailed", "remind", 1].data["due"]
        late["a second try"].append(_after(due, events["AttemptStarted", "remind", 2].at))
        limit = events["StepDue", "come", None].data["until"]
        late["a deadline"].append(_after(limit, events["StepOverdue", "come", None].at))
    return late


def errands(crew: Crew, file: Path) -> list[float]:
    """Let each worker begin an errand and be killed in it; return how long it took until somebody went on with it."""
    from .workflows import Errand, OuterErrand

    begun = [
        kind.start(name=f"errand-{n}") for n, kind in zip(KILLED_AFTER, (Errand, OuterErrand, Errand), strict=True)
    ]
    until("each worker has one", lambda: len(outside.happened(file)) == len(begun), LONG)
    processes, since, killed = dict(outside.happened(file)), time.time(), dict[str, float]()
    for seconds, (name, process) in zip(KILLED_AFTER, sorted(processes), strict=True):
        time.sleep(max(0.0, since + seconds - time.time()))  # that far into its body it is killed
        for member in crew.members:
            member.may_die = True
        signal_to(process, signal.SIGKILL)
        killed[name] = time.time()
        crew.fill()
    until("all errands are done", lambda: crew.fill() or not _open(), LONG)
    return [_went_on(errand).timestamp() - killed[type(errand).get(errand.pk).name] for errand in begun]


def _went_on(errand: Any) -> datetime:
    at: datetime = errand.timeline.events.get(type="AttemptStarted", step="carry", attempt=2).at
    return at


def _after(moment: str, at: datetime) -> float:
    return (at - datetime.fromisoformat(moment)).total_seconds()


def _open() -> bool:
    from django_timelines.models import Run

    return Run.objects.exists()


if __name__ == "__main__":
    sys.exit(main())
