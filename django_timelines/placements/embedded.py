"""``embedded``: threads of the serving process, so that a first try needs neither Redis nor a second terminal.

They start with the first request of a process that serves, if something is placed here, and not in commands, shells and tests: a
bell that is rung there is rung again by the clock of a process that serves, within seconds.

They end gracefully with the process: at Python's end, and on SIGTERM before the server has it. Most servers end of that, or die:
uvicorn raises it once more when it has ended, and ``runserver --noreload`` leaves it to the system.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import close_old_connections
from django.urls import get_script_prefix, set_script_prefix
from django.utils.module_loading import import_string

from .. import conf
from .base import ANSWER, STOP, Bell, Placement, stopping

logger = logging.getLogger("django_timelines")
CLOCK = "django_timelines.engine.clock.keep_time"
FOLLOWER = "django_timelines.engine.follow.keep_following"
EMBEDDED = "embedded"
THREADS = 2


class Embedded(Placement):
    """Hands the bell to a thread of this process, if it serves."""

    def ring(self, bell: Bell) -> bool:
        """Queue the bell for the worker threads, if this process has them."""
        if worker.serving:
            worker.bells.put(bell)
        return worker.serving

    def hears(self) -> bool:
        """Tell whether this process serves."""
        return worker.serving


class Bells:
    """The bells that wait for a thread: each attempt's once, however often the clock rings again while all threads are busy."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Bell | None] = queue.SimpleQueue()
        self._waiting: set[tuple[str, str, int]] = set()

    def put(self, bell: Bell | None) -> None:
        """Let it wait, if no bell for its attempt does; None ends a thread."""
        if bell is not None:
            attempt = _attempt_of(bell)
            if attempt in self._waiting:
                return
            self._waiting.add(attempt)
        self._queue.put(bell)

    def get(self) -> Bell | None:
        """Wait for the next, and take it. What is rung from now on waits again: the answer to this may be too early for it."""
        bell = self._queue.get()
        if bell is not None:
            self._waiting.discard(_attempt_of(bell))
        return bell

    def empty(self) -> bool:
        """Tell whether none waits."""
        return self._queue.empty()


def _attempt_of(bell: Bell) -> tuple[str, str, int]:
    return bell.using, bell.timeline, bell.fence


class EmbeddedWorker:
    """The worker threads of one serving process, its clock's and its follower's."""

    def __init__(self) -> None:
        self.bells = Bells()
        self.stop = threading.Event()
        self.ended = threading.Event()
        self.threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._pid = 0

    @property
    def serving(self) -> bool:
        """Tell whether the threads run in this process, and not only in the one it was forked from."""
        return self._pid == os.getpid() and not self.stop.is_set()

    @property
    def ending(self) -> bool:
        """Tell whether the threads of this process are told to end, and what they execute has its grace."""
        return self._pid == os.getpid() and self.stop.is_set() and not self.ended.is_set()

    def start(self) -> None:
        """Start the threads, once in each process."""
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            stopping.clear()
            self.bells = Bells()
            self.threads = [self._thread(f"timelines-worker-{n + 1}", self._work) for n in range(THREADS)]
            self.threads.append(self._thread("timelines-clock", self._keep_time))
            self.threads.append(self._thread("timelines-follower", self._keep_following))
            atexit.register(self.end)

    def end(self, grace: float | None = None) -> None:
        """Take no new bell, let what runs come to its end within the grace (seconds), and give the rest back. Once."""
        if self.ended.is_set():
            return
        self.stop.set()
        for _ in self.threads:
            self.bells.put(None)
        try:
            if self._pid == os.getpid():
                import_string(STOP)(grace)
        finally:
            self.ended.set()
        deadline = time.monotonic() + 1
        for thread in self.threads:
            thread.join(max(0, deadline - time.monotonic()))

    def heed_sigterm(self) -> None:
        """In a process's main thread: from now on end on SIGTERM, and then let the handler that is there now have it."""
        before = signal.getsignal(signal.SIGTERM)
        if before is None or isinstance(before, _OnSigterm):  # None: not Python's, so it could not be put back
            return
        if not self.stop.is_set() and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _OnSigterm(self, before))

    def _thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        prefix = get_script_prefix()  # of the request that came first: in a body reverse() says what it says in a view

        def run() -> None:
            set_script_prefix(prefix)
            target()

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        answer = import_string(ANSWER)
        while (bell := self.bells.get()) is not None and not self.stop.is_set():
            close_old_connections()
            try:
                answer(**bell.as_json())
            except (
                BaseException
            ):  # SystemExit too: it would end this thread, and with the last one all that is embedded
                logger.exception("The embedded worker could not answer %s; the clock will ring again.", bell)
            finally:
                close_old_connections()

    def _keep_time(self) -> None:
        import_string(CLOCK)(self.stop)

    def _keep_following(self) -> None:
        import_string(FOLLOWER)(self.stop)


class _OnSigterm:
    """Ends the worker, while the process serves on, and passes the signal on after that. Meanwhile another changes nothing."""

    def __init__(self, worker: EmbeddedWorker, before: Any) -> None:
        self._worker = worker
        self._before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._worker.serving:
            self._worker.stop.set()
            # no daemon: a server that ends by itself meanwhile waits for it
            threading.Thread(target=self._end, args=[number], name="timelines-stop", daemon=False).start()
        elif not self._worker.ending:
            signal.signal(number, self._before)
            signal.raise_signal(number)

    def _end(self, number: int) -> None:
        try:
            self._worker.end()
        finally:
            os.kill(os.getpid(), number)


worker = EmbeddedWorker()


def heed_sigterm() -> None:
    """Let SIGTERM end the worker gracefully, if something is placed here; for the main thread of a process that is to serve."""
    if is_used() and not conf.is_tested():
        worker.heed_sigterm()


async def _heed_sigterm() -> None:
    heed_sigterm()


def serve(sender: Any = None, **kwargs: Any) -> None:
    """Start the worker if something is placed here and this request came to a real server: to none of a test's, live or not.

    The threads would go on into the tests that follow.
    """
    if worker.serving or conf.is_tested() or sender is None or not issubclass(sender, WSGIHandler | ASGIHandler):
        return
    if is_used():
        if issubclass(sender, ASGIHandler):
            async_to_sync(_heed_sigterm)()  # in the thread of the server's event loop, mostly the main one
        worker.start()


def is_used() -> bool:
    """Tell whether something is placed here, so that a process that serves keeps time as well."""
    placed = conf.placements()
    return EMBEDDED in {placed.get(conf.BACKGROUND, EMBEDDED), *placed.values()}
