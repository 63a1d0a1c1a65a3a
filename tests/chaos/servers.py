"""A PostgreSQL and a Redis of this run's own, so that they may be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

PATIENCE = 30.0  # seconds for a server to come up
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # the machine itself does not die: what was written is there after a restart
    "max_connections": "200",
    "log_min_messages": "fatal",
}


def free_port() -> int:
    """Return a port that nobody listens to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(what: str, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {patience:.0f} s")
        time.sleep(0.02)  # it polls: a server that starts tells nobody


class Server:
    """A server's process, which may be started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory.parent / f"{directory.name}.log"

    def launch(self, command: list[str], **options: Any) -> None:
        """Start it in a session of its own: a Ctrl-C at the terminal is ours to handle."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options
            )

    def end(self, number: signal.Signals) -> None:
        """End it with this signal, and wait for it."""
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


class Postgres(Server):
    """A cluster in the run's directory. It does not run as root, so there it runs as ``postgres``."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.programs = programs()
        self.user: dict[str, Any] = {}
        directory.mkdir(mode=0o700)
        if os.geteuid() == 0:
            directory.parent.chmod(0o711)
            shutil.chown(directory, "postgres", "postgres")
            self.user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        initdb = [self.programs / "initdb", "-D", directory, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/", **self.user)

    def start(self) -> None:
        """Start it and wait until it answers."""
        given = [option for name, value in SETTINGS.items() for option in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(self.directory), "-p", str(self.port), *given]
        self.launch(command, cwd="/", **self.user)
        until("PostgreSQL answers", self._answers)

    def stop(self) -> None:
        """Stop it as a crash would: it recovers from its log when it starts (an "immediate" shutdown)."""
        self.end(signal.SIGQUIT)

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Return a connection that commits each statement."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True, connect_timeout=5
        )

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended: {self.log.read_text()[-2000:]}")
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


class Redis(Server):
    """A Redis that keeps nothing: killed, it comes back empty."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        directory.mkdir()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {"--port": str(self.port), "--bind": "127.0.0.1", "--save": "", "--appendonly": "no"}
        self.launch(["redis-server", *(word for pair in options.items() for word in pair)], cwd=self.directory)
        until("Redis answers", self._answers)

    def stop(self) -> None:
        """Kill it."""
        self.end(signal.SIGKILL)

    def flush(self) -> None:
        """Forget everything."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def _answers(self) -> bool:
        with suppress(redis.RedisError), redis.Redis(port=self.port) as client:
            return bool(client.ping())
        return False


def programs() -> Path:
    """Return where PostgreSQL's server programs are; Debian keeps them off the PATH."""
    found = [Path(path).parent for path in (shutil.which("initdb"),) if path]
    if pg_config := shutil.which("pg_config"):
        found.append(Path(subprocess.check_output([pg_config, "--bindir"], text=True).strip()))
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for directory in found:
        if (directory / "initdb").exists():
            return directory
    sys.exit("There is no initdb on this machine: install PostgreSQL's server.")
