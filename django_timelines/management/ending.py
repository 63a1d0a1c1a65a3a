"""How a process that goes on until somebody ends it hears of that."""

from __future__ import annotations

import signal
import threading


def told_to_end() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set from now on.

    A thread sets it: the main one, which a signal interrupts, may hold the event's lock just then, as it waits for it.
    """
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=told.set, daemon=True).start())
    return told
