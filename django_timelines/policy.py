"""Who may see a timeline: one policy for page and socket. ``TIMELINES["CAN_VIEW"]`` names another."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, cast

from django.utils.module_loading import import_string

from . import conf
from .models import Timeline

SESSION_KEY = "django_timelines"
REMEMBERED = 50  # timelines of one session; the oldest is forgotten first


def may_view(timeline: Timeline, user: Any, session: Any) -> bool:
    """Ask the configured policy."""
    return bool(import_string(conf.can_view())(timeline, user=user, session=session))


def can_view(timeline: Timeline, *, user: Any, session: Any) -> bool:
    """The default: staff with the view permission; whoever started it, as this user or in this browser's session.

    The holder of the timeline's signed link becomes one of the latter by opening it.
    """
    if timeline.id.hex in (session.get(SESSION_KEY, ()) if session is not None else ()):
        return True
    if user is None or not user.is_authenticated or not user.is_active:
        return False
    if timeline.started_by and timeline.started_by == str(user.pk):
        return True
    return bool(user.is_staff and user.has_perm("django_timelines.view_timeline"))


def remember(session: Any, timelines: list[str]) -> None:
    """Let this browser's session see these timelines (32 hexadecimal digits each)."""
    known = [id for id in cast("MutableMapping[str, Any]", session).get(SESSION_KEY, []) if id not in timelines]
    session[SESSION_KEY] = [*known, *timelines][-REMEMBERED:]
