"""``manage.py demo``: everything that the example project needs, in one terminal."""

from __future__ import annotations

import atexit
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

STAFF = "demo"  # its name, and its password
CHILDREN = (["rqworker", "default", "mail", "--worker-class", "rq.SimpleWorker"], ["timelines_clock"])
GRACE = 5  # seconds that what is under way has for coming to its end


class Command(BaseCommand):
    """Migrate, create the staff account, and serve the example project over ASGI until Ctrl-C."""

    help = "Migrate, create the staff account, and serve the example project over ASGI until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to serve."""
        parser.add_argument("--host", default="127.0.0.1", help="Listen at this address. Default: 127.0.0.1.")
        parser.add_argument(
            "--port", default=8000, type=int, help="Listen at this port; 0: any free one. Default: 8000."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it all."""
        with _listen(options["host"], options["port"]) as listener:
            _tell_address(options["host"], listener.getsockname()[1])
            _prepare_database()
            with _children() as children:
                self.stdout.write(_greeting(children))
                self.stdout.flush()
                # Said last: the worker inside, registered by the first request, is waited for before.
                atexit.register(self.stdout.write, "The demo has ended.")
                _serve(listener)


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OverflowError, ValueError, UnicodeError) as error:
            raise CommandError(f"Cannot serve at {host!r}, port {port}: {error}") from None
        except OSError as error:
            advice = f"make demo PORT={port + 1}" if port else "choose another with HOST=…"
            raise CommandError(f"Cannot serve at {host}, port {port}: {error.strerror}. Try: {advice}") from None
        listener.listen()  # from now on a browser that is early waits, and is not refused
        yield listener


def _tell_address(host: str, port: int) -> None:
    """Let the links in mails lead here, unless the environment says where."""
    if "BASE_URL" not in os.environ:
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104 (named, not bound)
        os.environ["BASE_URL"] = f"http://{name}:{port}"  # for the children
        settings.TIMELINES["BASE_URL"] = os.environ["BASE_URL"]
        settings.ALLOWED_HOSTS.append(name)


def _prepare_database() -> None:
    """Migrate, and create the staff account."""
    try:
        call_command("migrate", verbosity=0, interactive=False)
        if not User.objects.filter(username=STAFF).exists():
            User.objects.create_superuser(STAFF, "demo@example.org", STAFF)
    except DatabaseError as error:
        database = settings.DATABASES["default"]
        raise CommandError(f"Cannot use the database {database['NAME']}: {str(error).strip()}") from None


@contextmanager
def _children() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run a worker and a clock beside the server if there is a Redis; without one, the server is both."""
    if not settings.REDIS_URL:
        yield []
        return
    _ask_redis()
    # Sessions of their own: Ctrl-C reaches this process, which tells them, once.
    children = [
        subprocess.Popen(
            [sys.executable, sys.argv[0], *words, "--verbosity", "0"], start_new_session=True, stdout=subprocess.DEVNULL
        )
        for words in CHILDREN
    ]
    ending = threading.Event()
    for child in children:
        threading.Thread(target=_watch, args=(child, ending), daemon=True).start()
    try:
        yield children
    finally:
        ending.set()
        for child in children:
            child.terminate()
        for child in children:
            _see_off(child)


def _watch(child: subprocess.Popen[bytes], ending: threading.Event) -> None:
    """Say so when one ends by itself."""
    child.wait()
    if not ending.is_set():
        words = child.args[2:-2] if isinstance(child.args, list) else []
        another = shlex.join(["python", "manage.py", *map(str, words)])
        sys.stdout.write(
            f"{words[0]} has ended ({child.returncode}). Start another, in the same environment: {another}\n"
        )
        sys.stdout.flush()


def _ask_redis() -> None:
    import django_rq  # in this layout only
    from redis.exceptions import RedisError

    try:
        django_rq.get_connection("default").ping()
    except RedisError as error:
        raise CommandError(f"REDIS_URL={settings.REDIS_URL} does not answer: {error}") from None


def _see_off(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.terminate()  # said twice, RQ's worker ends its job, too; the clock gives that to another, later
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()


def _greeting(children: list[subprocess.Popen[bytes]]) -> str:
    base = settings.TIMELINES["BASE_URL"]
    if children:
        where = f"in processes of their own: rqworker {children[0].pid}, timelines_clock {children[1].pid}"
    else:
        where = "in this process"
    return f"""
  The demo of django_timelines     {base}/
  What it "sent" by mail           {base}/outbox/
  The admin (name and password: {STAFF})  {base}/admin/

  Worker and clock run {where}. Ctrl-C ends it all.
"""


def _serve(listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, and then return instead of dying of it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again, once it has ended
    config = uvicorn.Config(
        "example_project.asgi:application", log_level="warning", lifespan="off", timeout_graceful_shutdown=GRACE
    )
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says what it waits for, if it does."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        waiting = threading.Timer(0.5, print, [f"Waiting up to {2 * GRACE} s for what is under way…"], {"flush": True})
        waiting.daemon = True  # what ends at once says nothing
        waiting.start()
        super().handle_exit(sig, frame)
