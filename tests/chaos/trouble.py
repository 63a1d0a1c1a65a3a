"""The trouble-maker: what it does, how often, and in which order is drawn from the seed."""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psycopg
import redis

from .processes import Crew, Member, children, signal_to
from .servers import Postgres, Redis

EVERY = 0.4  # seconds from one trouble to the next, on average
RESTART_EVERY = 25.0  # seconds from one restart of PostgreSQL to the next
FROZEN = 1.7  # leases for which a process is stopped: its attempt is somebody else's when it goes on

# rather one that is in the middle of something
_TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = 'chaos' AND pid <> pg_backend_pid() ORDER BY random() - (state <> 'idle')::int LIMIT %s
"""
_HOLDERS = "SELECT holder FROM django_timelines_lease ORDER BY expires DESC LIMIT 20"


class Trouble:
    """Makes trouble until it is stopped, and counts it."""

    def __init__(self, crew: Crew, postgres: Postgres, redis: Redis, seed: str, lease: float) -> None:
        self.crew, self.postgres, self.redis, self.lease = crew, postgres, redis, lease
        self.draw = random.Random(f"trouble {seed}")
        self.counted: Counter[str] = Counter()
        self.frozen: list[tuple[float, int]] = []
        self.restart_at = time.monotonic() + RESTART_EVERY / 2
        self.sorts: dict[Callable[[], None], int] = {
            self.kill_web: 1,
            self.kill_worker: 2,
            self.kill_holder: 12,
            self.kill_clock: 2,
            self.freeze_holder: 6,
            self.freeze: 1,
            self.flush: 1,
            self.restart_redis: 1,
            self.terminate: 10,
        }

    def make(self, stop: threading.Event) -> None:
        """Make trouble until stopped; then let go on what is frozen."""
        try:
            while not stop.wait(self.draw.expovariate(1 / EVERY)):
                self.thaw(time.monotonic())
                if time.monotonic() >= self.restart_at:
                    self.restart_at = time.monotonic() + RESTART_EVERY
                    self.restart_postgres()
                else:
                    self.draw.choices([*self.sorts], [*self.sorts.values()])[0]()
                self.crew.fill()
        finally:
            self.thaw(float("inf"))

    def kill_web(self) -> None:
        self._kill("web")

    def kill_worker(self) -> None:
        self._kill("forking worker", "simple worker")

    def kill_clock(self) -> None:
        self._kill("first clock", "second clock")

    def kill_holder(self) -> None:
        """Kill who is in the middle of an attempt."""
        if holders := self._holders():
            pid = self.draw.choice(holders)
            self.counted["kill -9 in the middle of an attempt"] += 1
            for member in self.crew.running("simple worker"):
                if member.process is not None and member.process.pid == pid:
                    self.crew.kill(member)
                    return
            signal_to(pid, signal.SIGKILL)

    def freeze_holder(self) -> None:
        """Stop who is in the middle of an attempt, for longer than its lease: what it then does is too late."""
        self._freeze("frozen in the middle of an attempt", self._holders())

    def freeze(self) -> None:
        """Stop any process."""
        running = self.crew.running("web", "forking worker", "first clock")
        self._freeze("frozen", [member.process.pid for member in running if member.process])

    def _freeze(self, what: str, pids: list[int]) -> None:
        if pids:
            pid = self.draw.choice(pids)
            self.counted[what] += 1
            self.frozen.append((time.monotonic() + self.lease * FROZEN, pid))
            signal_to(pid, signal.SIGSTOP)

    def thaw(self, now: float) -> None:
        """Let go on what was frozen for long enough."""
        for moment, pid in self.frozen:
            if moment <= now:
                signal_to(pid, signal.SIGCONT)
        self.frozen = [(moment, pid) for moment, pid in self.frozen if moment > now]

    def flush(self) -> None:
        with suppress(redis.RedisError):
            self.redis.flush()
            self.counted["FLUSHALL"] += 1

    def restart_redis(self) -> None:
        self.counted["restart of Redis"] += 1
        self.redis.stop()
        time.sleep(self.draw.uniform(0, 1))
        self.redis.start()

    def restart_postgres(self) -> None:
        self.counted["restart of PostgreSQL"] += 1
        self.postgres.stop()
        time.sleep(self.draw.uniform(0, 1))
        self.postgres.start()

    def terminate(self) -> None:
        """End some connections to the database, whatever they are in the middle of."""
        with suppress(psycopg.Error), self.postgres.connect() as server:
            ended = server.execute(_TERMINATE, [self.draw.randint(1, 4)]).fetchall()
            self.counted["terminated connection"] += len(ended)

    def _kill(self, *names: str) -> None:
        members: list[Member] = self.crew.running(*names)
        if members:
            member = self.draw.choice(members)
            self.counted[f"kill -9 of a {member.name.removeprefix('first ').removeprefix('second ')}"] += 1
            self.crew.kill(member)

    def _holders(self) -> list[int]:
        """Return which of our workers and work-horses hold a lease just now."""
        running = self.crew.running("forking worker", "simple worker")
        ours = {member.process.pid for member in running if member.process}
        ours |= {horse for pid in ours for horse in children(pid)}
        with suppress(psycopg.Error), self.postgres.connect("chaos") as server:
            named = [re.search(r":(\d+) ", holder) for (holder,) in server.execute(_HOLDERS)]
            holders = {int(pid[1]) for pid in named if pid}
            return sorted(holders & ours - {pid for _, pid in self.frozen})
        return []
