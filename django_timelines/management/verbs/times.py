"""Moments: in the time zone of the settings for people, with their offset for programs."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone


def moment(at: datetime | None) -> str:
    """Return a moment for people, to the second."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}" if at else ""


def written(at: datetime | None) -> str | None:
    """Return a moment for programs (ISO 8601)."""
    return at.isoformat() if at else None
