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

    The holder of the timeline's signed link becomes one of the latter by opening it. Who may see a parent may see its children.
    """
    known = session.get(SESSION_KEY, ()) if session is not None else ()
    who = str(user.pk) if user is not None and user.is_authenticated and user.is_active else ""
    if who and user.is_staff and user.has_perm("django_timelines.view_timeline"):
        return True
    seen: Timeline | None = timeline
    while seen is not None:
        if seen.id.hex in known or (who and seen.started_by == who):
            return True
        seen = _parent_of(seen)
    return False


def _parent_of(timeline: Timeline) -> Timeline | None:
    if timeline.parent is None:
        return None
    parents = Timeline.objects.using(timeline.using).filter(pk=timeline.parent)
    return parents.only("id", "parent", "started_by").first()


def remember(session: Any, timelines: list[str]) -> None:
    """Let this browser's session see these timelines (32 hexadecimal digits each)."""
    known = [id for id in cast("MutableMapping[str, Any]", session).get(SESSION_KEY, []) if id not in timelines]
    session[SESSION_KEY] = [*known, *timelines][-REMEMBERED:]
