"""What time it is for timelines. Tests travel by moving the offset, and let it stand still; stored times are UTC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

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


def to_text(moment: datetime) -> str:
    """Write a moment as it stands in events and state."""
    return moment.isoformat()


def from_text(text: str) -> datetime:
    """Read what ``to_text`` wrote."""
    return datetime.fromisoformat(text)
