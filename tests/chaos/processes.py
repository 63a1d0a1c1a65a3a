"""The processes under fire: a web process, workers and clocks. One that dies is started again, as a supervisor does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .servers import free_port

ROOT = Path(__file__).resolve().parents[2]
MARK = "CHAOS_CREW"
SHIFTS = (0, 0, 0, -2, 2, -4, 4)  # seconds by which a process's clock is wrong


@dataclass
class Member:
    """One place in the crew, and the process that fills it now."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    may_die: bool = False  # killed by us: its end is no surprise


@dataclass
class Crew:
    """All of them. ``mark``: what their environment has, and that of their children, by which orphans are found."""

    directory: Path
    environment: dict[str, str]
    draw: random.Random
    shifts: tuple[int, ...] = SHIFTS
    port: int = field(default_factory=free_port)
    members: list[Member] = field(default_factory=list)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    counted: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock)
    ended: bool = False

    def __post_init__(self) -> None:
        manage = [sys.executable, str(ROOT / "manage.py")]
        rqworker = [*manage, "rqworker", "chaos", "--verbosity", "0"]
        commands = {
            "web": [sys.executable, "-m", "tests.chaos.web", str(self.port)],
            "forking worker": rqworker,
            "simple worker": [*rqworker, "--worker-class", "rq.SimpleWorker"],
            "second simple worker": [*rqworker, "--worker-class", "rq.SimpleWorker"],
            "first clock": [*manage, "timelines_clock"],
            "second clock": [*manage, "timelines_clock"],
        }
        self.members = [Member(name, command) for name, command in commands.items()]

    def fill(self) -> None:
        """Start a process in each empty place."""
        for member in self.members:
            with self.lock:
                if self.ended or (member.process is not None and member.process.poll() is None):
                    continue
                if member.process is not None and not member.may_die:
                    self.counted[f"{member.name} ended by itself"] += 1
                self._start(member, self.draw.choice(self.shifts))

    def add_clock(self, ahead: int) -> None:
        """Add a clock that is far ahead, so that nothing that waits for a ring takes its time."""
        with self.lock:
            command = [sys.executable, str(ROOT / "manage.py"), "timelines_clock"]
            self.members.append(Member("last clock", command))
            self._start(self.members[-1], ahead)

    def running(self, *names: str) -> list[Member]:
        """Return the members of these names that run."""
        return [m for m in self.members if m.name in names and m.process and m.process.poll() is None]

    def kill(self, member: Member) -> None:
        """End a member's process at once; its place stays empty until it is filled."""
        with self.lock:
            if member.process is not None:
                member.may_die = True
                member.process.kill()
                member.process.wait()

    def end(self) -> None:
        """End all processes of ours, orphans too."""
        with self.lock:
            self.ended = True
            for pid in marked(f"{MARK}={self.mark}"):
                signal_to(pid, signal.SIGKILL)
            for member in self.members:
                if member.process is not None:
                    member.process.wait()

    def said(self, text: str) -> int:
        """Count the lines with this text in what the processes wrote."""
        logs = self.directory.glob("*.out")
        return sum(text in line for log in logs for line in log.read_text(errors="replace").splitlines())

    def _start(self, member: Member, shift: int) -> None:
        environment = {**os.environ, **self.environment, "CHAOS_SHIFT": str(shift), MARK: self.mark}
        with (self.directory / f"{member.name.replace(' ', '_')}.out").open("ab") as log:
            member.process = subprocess.Popen(
                member.command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        member.may_die = False


def children(pid: int) -> list[int]:
    """Return a process's children: a forking worker's work-horse."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def marked(mark: str) -> list[int]:
    """Return the processes with this in their environment. An hour uses the same process ids, and so sessions, again."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if mark.encode() in _environment_of(path)]


def _environment_of(process: Path) -> list[bytes]:
    with suppress(OSError):  # it has just ended, or is another user's
        return (process / "environ").read_bytes().split(b"\0")
    return []


def signal_to(pid: int, number: signal.Signals) -> None:
    """Send a signal to one process, which may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
