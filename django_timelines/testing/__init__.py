"""For your tests: run what is due, travel in time, tell stories of steps, and see what holds when things go wrong.

It works in ``TestCase`` and in ``TransactionTestCase``: what is due is a row, whether a doorbell rang or not.
"""

from __future__ import annotations

from .bells import deliver_twice
from .clock import travel
from .crashes import Crash, crash_at
from .due import drain
from .errors import fail_step, recorded_errors
from .holds import assert_holds
from .stories import Story, given

__all__ = [
    "Crash",
    "Story",
    "assert_holds",
    "crash_at",
    "deliver_twice",
    "drain",
    "fail_step",
    "given",
    "recorded_errors",
    "travel",
]
