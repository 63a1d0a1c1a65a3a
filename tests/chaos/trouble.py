"""The trouble-maker: what it does, how often, and in which order is drawn from the seed."""

from __future__ import annotations

import random
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
TRIES = 30  # at catching somebody in the middle of an attempt
WORKERS = ("forking worker", "simple worker", "second simple worker")

# rather one that is in the middle of something
_TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = 'chaos' AND pid <> pg_backend_pid() ORDER BY random() - (state <> 'idle')::int LIMIT %s
"""
_HOLDS = "SELECT 1 FROM django_timelines_lease WHERE holder LIKE %s AND expires > STATEMENT_TIMESTAMP()"


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
            self.freeze_holder: 12,
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
        self._kill(*WORKERS)

    def kill_clock(self) -> None:
        self._kill("first clock", "second clock")

    def kill_holder(self) -> None:
        """Kill who is in the middle of an attempt."""
        if pid := self._catch():
            self.counted["kill -9 in the middle of an attempt"] += 1
            members = [member for member in self.crew.running(*WORKERS) if member.process and member.process.pid == pid]
            for member in members:
                self.crew.kill(member)
            if not members:
                signal_to(pid, signal.SIGKILL)

    def freeze_holder(self) -> None:
        """Stop who is in the middle of an attempt, for longer than its lease: what it then does is too late."""
        if not self.frozen and (pid := self._catch()):  # one at a time: somebody has to work
            self._freeze("frozen in the middle of an attempt", pid)

    def freeze(self) -> None:
        """Stop any process."""
        running = self.crew.running("web", "forking worker", "first clock")
        pids = [member.process.pid for member in running if member.process]
        if pids and not self.frozen:
            self._freeze("frozen", self.draw.choice(pids))

    def _freeze(self, what: str, pid: int) -> None:
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
        time.sleep(self.draw.uniform(0, 1))  # for how long it is away
        self.redis.start()

    def restart_postgres(self) -> None:
        self.counted["restart of PostgreSQL"] += 1
        self.postgres.stop()
        time.sleep(self.draw.uniform(0, 1))  # for how long it is away
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

    def _catch(self) -> int | None:
        """Stop a worker or work-horse in the middle of an attempt: one that holds a lease once it stands still."""
        for _ in range(TRIES):
            running = [member.process.pid for member in self.crew.running(*WORKERS) if member.process]
            pids = {*running, *(horse for pid in running for horse in children(pid))} - {pid for _, pid in self.frozen}
            if not pids:
                break
            pid = self.draw.choice(sorted(pids))
            signal_to(pid, signal.SIGSTOP)
            if self._holds(pid):
                return pid
            signal_to(pid, signal.SIGCONT)
            time.sleep(self.draw.uniform(0, 0.01))
        return None

    def _holds(self, pid: int) -> bool:
        with suppress(psycopg.Error), self.postgres.connect("chaos") as server:
            return server.execute(_HOLDS, [f"%:{pid} %"]).fetchone() is not None
        return False
