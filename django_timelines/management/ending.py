"""How a process hears that somebody wants it to end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from .. import conf

type_work = Callable[[threading.Event], None]


def told_to_end() -> threading.Event:
    """Return an event that the first SIGINT or SIGTERM from now on sets. The process dies of the second.

    A thread sets it: the main one, which a signal interrupts, may hold the event's lock just then, as it waits for it.
    """
    told, numbers = threading.Event(), (signal.SIGINT, signal.SIGTERM)

    def take_note(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        threading.Thread(target=told.set, daemon=True).start()

    for number in numbers:
        signal.signal(number, take_note)
    return told


def work_until_told(work: type_work, *beside: type_work) -> None:
    """Do this until the process is told to end, with others beside it; then all have the grace to end.

    In threads: a main thread whose query hangs hears no signal.
    """
    told = told_to_end()

    def do() -> None:
        try:
            work(told)
        finally:
            told.set()

    several: list[Callable[[], None]] = [do, *(partial(one, told) for one in beside)]
    threads = [threading.Thread(target=one, daemon=True) for one in several]
    for thread in threads:
        thread.start()
    told.wait()
    deadline = time.monotonic() + conf.grace()
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))


@contextmanager
def stopped_by_ctrl_c() -> Iterator[threading.Event]:
    """Take note of the first Ctrl-C, so that what is being done comes to its end; the second ends at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def take_note(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, take_note)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
