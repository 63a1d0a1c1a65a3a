"""A worker that ends: no new attempt, a grace for what is executing, and the rest is given back at once, not after a lease."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from types import FrameType
from typing import Any

from django.db import connections

from .. import conf
from ..exceptions import Conflict, LeaseLost
from ..placements import INLINE, stopping
from ..state import run_key
from .advance import advance
from .failure import after_stop
from .interrupt import MOMENT, Interruptible, Stopped
from .orphans import without_orphans
from .patience import Patience
from .record import check_ours
from .runner import Held, Runner, commit, load

logger = logging.getLogger("django_timelines")
_held: dict[Interruptible, tuple[Held, Runner]] = {}
_at_work: set[threading.Event] = set()  # those who answer a bell: an attempt of theirs may be about to begin
_before: dict[int, Any] = {}  # what the main thread did at a signal before it was heeded here
LAST = 2.0  # seconds for what is left to be given back
SHORT = 0.02  # seconds between two looks at who is at work


@contextmanager
def may_be_stopped(held: Held, runner: Runner) -> Iterator[None]:
    """Run a body that its step's ``timeout=`` ends, and the end of the worker that runs it."""
    with without_orphans() as cancel, Interruptible(runner, held.step.timeout, cancel) as body:
        if runner.placement != INLINE:
            _held[body] = (held, runner)
        try:
            yield
        finally:
            _held.pop(body, None)


def stop(grace: float | None = None) -> None:
    """Take no new attempt, wait this long (seconds) for what is executing, and give the rest back."""
    stopping.set()
    _wait(conf.grace() if grace is None else grace)
    deadline = time.monotonic() + MOMENT
    while True:
        for body in list(_held):
            body.interrupt(Stopped)  # once, also one that has begun just now
        if not (_held or _at_work) or time.monotonic() >= deadline:
            break
        _wait(SHORT)
    give_back_in_time(*_held.values())  # it blocks where Python cannot interrupt it


def _wait(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for ended in [*(body.done for body in list(_held)), *list(_at_work)]:
        ended.wait(max(0, deadline - time.monotonic()))


def give_back_in_time(*several: tuple[Held, Runner], **said: bool) -> None:
    """Give the attempts of a worker that ends back: each by itself, so that one whose row is held costs the others nothing.

    What cannot be given back soon its lease gives back.
    """
    context, deadline = copy_context(), time.monotonic() + LAST
    givers = [threading.Thread(target=context.copy().run, args=[_try_to_give_back, *one, said]) for one in several]
    for giver in givers:
        giver.daemon = True
        giver.start()
    for giver in givers:
        giver.join(max(0, deadline - time.monotonic()))


def _try_to_give_back(held: Held, runner: Runner, said: dict[str, bool]) -> None:
    try:
        give_back(held, runner, **said)
    except Exception:
        where = (run_key(*held.name), held.snapshot.workflow, held.snapshot.id)
        logger.warning("%s could not be given back (%s %s): its lease has to end.", *where, exc_info=True)
    finally:
        connections[runner.using].close()


def give_back(held: Held, runner: Runner, *, between_items: bool = False, in_time: bool = False) -> None:
    """Say that the attempt was interrupted: it is due again at once, and counts as none. ``in_time``: its body had not begun."""
    patience = Patience()
    while True:
        snapshot = load(held.snapshot.id, held.snapshot.using, names=[held.name])
        try:
            name = check_ours(held, snapshot)
            said = {"progressed": held.progressed, "between_items": between_items, "in_time": in_time}
            events = after_stop(held.declaration, snapshot.state, name, held.attempt, **said)
            commit(advance(held.declaration, snapshot, events, runner.by(held.fence)))
        except Conflict as conflict:
            patience.after(conflict)
            continue
        except LeaseLost as lost:
            logger.info("%s", lost)
        return


@contextmanager
def at_work() -> Iterator[None]:
    """Answer a bell so that a stop waits for what comes of it; in a process's main thread heeding the signals that end it."""
    ended = threading.Event()
    _at_work.add(ended)
    try:
        with _heeding_signals():
            yield
    finally:
        _at_work.discard(ended)
        ended.set()


@contextmanager
def _heeding_signals() -> Iterator[None]:
    """In a process's main thread: stop gracefully when it is told to end, and let the handler that was there have that, too.

    What that raises to end the process at once (RQ's does at the second signal) is for a body to be stopped at once. A process
    that a body forked is no worker: it dies of the signal.
    """
    if _before or threading.current_thread() is not threading.main_thread():
        yield
        return
    process = os.getpid()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            return
        if not stopping.is_set():
            stopping.set()
            threading.Thread(target=stop, name="timelines-stop", daemon=True).start()
        try:
            if callable(_before[number]):
                _before[number](number, frame)
        except (SystemExit, KeyboardInterrupt):
            if not _stop_here():
                raise
        finally:
            heed([number for number in _before if callable(signal.getsignal(number))])  # it may have put another there

    def heed(numbers: Iterable[int]) -> None:
        for number in numbers:
            handler = signal.getsignal(number)
            if handler is not on_signal:
                _before[number] = handler or signal.SIG_DFL
                signal.signal(number, on_signal)

    heed([signal.SIGTERM, signal.SIGINT] if _is_heeded(signal.SIGINT) else [signal.SIGTERM])
    try:
        yield
    finally:
        for number, handler in list(_before.items()):
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)
        _before.clear()


def _is_heeded(number: int) -> bool:
    """Tell whether somebody ends the process gracefully at this signal: Python itself raises in the middle of anything."""
    handler = signal.getsignal(number)
    return callable(handler) and handler is not signal.default_int_handler


def _stop_here() -> bool:
    """Stop the body that this thread executes at once; tell whether there is one."""
    here = [body for body in list(_held) if body.is_here]
    for body in here:
        body.interrupt(Stopped, again=True)
    return bool(here)


def _begin_anew() -> None:
    """Hold nothing: what is executed here is executed by the process that this one was forked from."""
    _held.clear()
    _at_work.clear()
    _before.clear()
    stopping.clear()


if hasattr(os, "register_at_fork"):  # Windows has none
    os.register_at_fork(after_in_child=_begin_anew)
