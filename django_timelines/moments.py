"""What time it is for timelines. Tests travel by moving the offset; stored times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

offset = timedelta(0)
"""How far the timelines' clock is ahead of the machine's. Only ``django_timelines.testing.travel`` moves it."""


def now() -> datetime:
    """Return the timelines' time, aware, in UTC."""
    return datetime.now(UTC) + offset


def to_text(moment: datetime) -> str:
    """Write a moment as it stands in events and state."""
    return moment.isoformat()


def from_text(text: str) -> datetime:
    """Read what ``to_text`` wrote."""
    return datetime.fromisoformat(text)
