"""Travelling in time."""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType

from .. import moments


class travel:  # noqa: N801 (reads as a verb)
    """Move the timelines' clock: ``travel(timedelta(days=3))``. As a context manager it moves back at the end."""

    def __init__(self, delta: timedelta) -> None:
        self._before = moments.offset
        moments.offset += delta

    def __enter__(self) -> travel:
        return self

    def __exit__(self, *raised: type[BaseException] | BaseException | TracebackType | None) -> None:
        moments.offset = self._before
