"""What time it is for timelines. Tests travel by moving the offset, and let it stand still; stored times are UTC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

LONGEST = timedelta(days=36_525)
"""Of a span, and until a moment: a hundred years. What counts from now stays what a ``datetime`` can be."""
TOO_FAR = "is more than a hundred years ahead"
offset = timedelta(0)
"""How far the timelines' clock is ahead of the machine's. Only ``django_timelines.testing.travel`` moves it."""

_standing: ContextVar[datetime | None] = ContextVar("django_timelines_standing", default=None)


def now() -> datetime:
    """Return the timelines' time, aware, in UTC."""
    return (_standing.get() or datetime.now(UTC)) + offset


@contextmanager
def standing_still() -> Iterator[None]:
    """Let this thread's time stand still in the block, travel apart: ``django_timelines.testing.drain`` does."""
    token = _standing.set(_standing.get() or datetime.now(UTC))
    try:
        yield
    finally:
        _standing.reset(token)


def is_too_far(given: timedelta | datetime) -> bool:
    """Tell whether a span, or how long it is until a moment, is more than the longest."""
    return given - now() > LONGEST if isinstance(given, datetime) else abs(given) > LONGEST


def to_text(moment: datetime) -> str:
    """Write a moment as it stands in events and state."""
    return moment.isoformat()


def from_text(text: str) -> datetime:
    """Read what ``to_text`` wrote."""
    return datetime.fromisoformat(text)
