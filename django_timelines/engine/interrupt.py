"""Interrupting a body: an exception raised in the thread that runs it.

In a process's main thread (an RQ worker) a signal carries it, which also ends a system call. In other threads Python raises
it between two bytecodes (``PyThreadState_SetAsyncExc``): what blocks in C code is interrupted when it returns, and what waits
for PostgreSQL is made to. An async body runs in an event loop, which may be another thread's: its task is cancelled, and who
waits for it is interrupted only if that does not end it. A body that cannot be interrupted gets no more heartbeats after its
``timeout=``, so its lease ends and the clock rescues the attempt; what the old one comes to then is recorded, never applied.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from .awaited import Awaited
    from .runner import Runner

_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in.argtypes = (ctypes.c_ulong, ctypes.py_object)
SIGNAL = getattr(signal, "SIGALRM", None)  # Windows has none
MOMENT = 1.0  # seconds for a body to notice that it is interrupted
_here = threading.local()


class Interrupted(BaseException):
    """Raised in a body that is to end. A ``BaseException``: no ``except Exception`` swallows it.

    ``runner``: whose body it is, which may be one around the body that it goes through; None: of whoever catches it first.
    ``in_time``: that body had not begun, so it has had no effect. ``guard_passed``, ``links``: as of ``Failed``.
    """

    runner: Runner | None = None
    in_time = False
    guard_passed = False
    links: frozenset[str] = frozenset()

    def ends(self, runner: Runner) -> bool:
        """Tell whether it is this runner's body that is to end."""
        return self.runner is None or self.runner is runner


class TimedOut(Interrupted):
    """Raised in a body whose ``timeout=`` has run out."""


class Stopped(Interrupted):
    """Raised in a body whose worker ends, and at its end where the timeline is newer code's by then."""


class Cancelled(Interrupted):
    """Raised in an async body whose caller is cancelled: a browser that is gone, say. The caller gets its ``CancelledError``."""


class AtCheckpoint(Stopped):
    """Raised between two items of a long step: its worker ends, or its timeline is paused or cancelled.

    What it did until then is committed, with its cursor.
    """


class Again(BaseException):
    """Raised in a body whose call could not be written with its first batch. The engine raises ``error`` in its place.

    A ``BaseException``: no ``except Exception`` swallows it.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error


class Interruptible:
    """A block of this thread in which a runner's body runs. ``interrupt`` ends it, and it ends by itself after ``limit``.

    ``wake`` has a query return for which the block waits where a signal does not end that.
    """

    def __init__(self, runner: Runner, limit: timedelta | None, wake: Callable[[], None]) -> None:
        self._runner = runner
        self._wake = wake
        self._thread = threading.current_thread()
        self._by_signal = SIGNAL is not None and self._thread is threading.main_thread()
        self._timer = _timer(limit.total_seconds(), self.interrupt, TimedOut) if limit else None
        self._lock = threading.RLock()  # a signal's handler interrupts its own thread
        self._awaited: Awaited | None = None
        self._around: Interruptible | None = None
        self._raised: type[Interrupted] | None = None
        self._before: Any = None
        self._leaving = False
        self.done = threading.Event()

    def __enter__(self) -> Self:
        self._around, _here.block = getattr(_here, "block", None), self
        if self._by_signal:
            self._before = signal.signal(SIGNAL, self._on_signal)  # type: ignore[arg-type]
        if self._timer:
            self._timer.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._leaving = True  # first of all: a signal from now on raises nothing
        if self._timer:
            self._timer.cancel()
        with self._lock:
            self.done.set()
            if self._raised and not self._by_signal:
                _raise_in(
                    self._thread.ident or 0, ctypes.py_object()
                )  # it ended by itself: what is on its way is taken back
        if self._by_signal:
            signal.signal(SIGNAL, self._before or signal.SIG_DFL)  # type: ignore[arg-type]
        _here.block = self._around

    @property
    def is_here(self) -> bool:
        """Tell whether it is a block of the calling thread."""
        return self._thread is threading.current_thread()

    def interrupt(self, error: type[Interrupted], *, again: bool = False) -> None:
        """Raise this in the block, if it has not ended. Once, unless somebody insists."""
        with self._lock:
            if self.done.is_set() or (self._raised and not again):
                return
            self._raised = type(error.__name__, (error,), {"runner": self._runner})  # Python makes the instance
            if self._awaited is None:
                self._raise()
            else:
                self._awaited.cancel(self._raised)
                _timer(MOMENT, self._raise_late).start()

    @contextmanager
    def waits_for(self, awaited: Awaited) -> Iterator[None]:
        """Let an interruption of the block's thread in here go to the task that it waits for: the outermost, if it is in one."""
        outermost = self._awaited or awaited
        try:
            with self._lock:
                self._awaited = outermost
            yield
        finally:
            if outermost is awaited:
                with self._lock:
                    self._awaited = None

    def _raise_late(self) -> None:
        with self._lock:
            if self._awaited is not None and not self.done.is_set():
                self._raise()

    def _raise(self) -> None:
        if self._by_signal:
            signal.pthread_kill(self._thread.ident or 0, SIGNAL)  # type: ignore[arg-type]
        elif self._raised:
            _raise_in(self._thread.ident or 0, self._raised)
            self._wake()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._raised is None:  # somebody else's alarm, such as RQ's own timeout of a job
            if callable(self._before):
                self._before(number, frame)
        elif not self._leaving:
            raise self._raised


def innermost() -> Interruptible | None:
    """Return the block that this thread is in."""
    return getattr(_here, "block", None)


def _timer(seconds: float, does: Callable[..., None], *given: object) -> threading.Timer:
    timer = threading.Timer(seconds, does, given)
    timer.daemon = True
    return timer
