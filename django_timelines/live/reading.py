"""What the sockets need of the database."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any, cast

from channels.auth import get_user
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.db import router
from django.db.models import Model

from .. import frames, policy
from ..frames import type_seen
from ..models import Timeline
from ..sight import ALL, look
from ..state import TimelineStatus

BATCH = 500
type_read = tuple[int, dict[type_seen, str], bool]


def may_view(id: uuid.UUID, user: Any, session: Any) -> bool:
    """Ask the policy of the pages. Nobody may view what is not there."""
    timeline = _find(id)
    return timeline is not None and policy.may_view(timeline, user, session)


def may_still_view(id: uuid.UUID, user: Any, session: Any) -> bool:
    """Ask again for whom a socket was opened, with session and user as they are stored now."""
    now = session.__class__(session.session_key) if isinstance(session, SessionBase) else session
    if session is not None and SESSION_KEY in session:
        user = cast("Any", get_user).func({"session": now})  # in this thread; nobody, once they have logged out
    elif isinstance(user, Model):
        user = user._meta.model._default_manager.filter(pk=user.pk).first()
    return may_view(id, user, now)


def read(id: uuid.UUID, clients: Collection[type_seen], redraws: bool = False) -> type_read | None:
    """Return the timeline's head, the frames of those who are behind it, and whether it is running; None if it is gone.

    ``redraws``: the frames of all.
    """
    sight = look(id, router.db_for_write(Timeline), min((seen for seen, _language in clients), default=ALL))
    if sight is None:
        return None
    head, status = sight.timeline.head, sight.timeline.status
    behind = [client for client in clients if redraws or client[0] < head]
    return head, frames.frames(sight, behind) if behind else {}, status == TimelineStatus.RUNNING


def read_heads(ids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return the sequence of the newest event of each."""
    rows = Timeline.objects.using(router.db_for_write(Timeline))  # a replica may be behind
    heads: dict[uuid.UUID, int] = {}
    for first in range(0, len(ids), BATCH):
        heads |= dict(rows.filter(id__in=ids[first : first + BATCH]).values_list("id", "head"))
    return heads


def _find(id: uuid.UUID) -> Timeline | None:
    return frames.find(id, router.db_for_write(Timeline))
