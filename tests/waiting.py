"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def eventually(holds: Callable[[], Any], seconds: float = 100, stands: Callable[[], object] = lambda: "") -> Any:
    """Return what it answers once it holds; fail, saying how things stand, if it does not in time.

    A new process takes long to begin where much else runs.
    """
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"it did not come to be: {stands()}"
        time.sleep(0.05)  # it polls: nobody tells this process
    return found
