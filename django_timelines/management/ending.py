"""How a process hears that somebody wants it to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def told_to_end() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set from now on.

    A thread sets it: the main one, which a signal interrupts, may hold the event's lock just then, as it waits for it.
    """
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=told.set, daemon=True).start())
    return told


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
