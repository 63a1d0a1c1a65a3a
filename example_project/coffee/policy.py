"""Who may call a step from outside: as ever, but for the hand-over, which is the barista's and not the customer's."""

from __future__ import annotations

from typing import Any

from django_timelines import policy
from django_timelines.models import Timeline


def can_call(timeline: Timeline, step: str, *, user: Any, session: Any) -> bool:
    """Staff hands an order over; for all else ask the default."""
    if (timeline.workflow, step) == ("coffee.Order", "hand_over"):
        return bool(user is not None and user.is_active and user.is_staff)
    return policy.can_call(timeline, step, user=user, session=session)
