"""What the sockets need of the database."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.sessions.backends.base import SessionBase
from django.db import router
from django.db.models import Model

from .. import frames, policy
from ..children import heads_of, version_of
from ..frames import Seen
from ..models import Timeline
from ..outline import is_moving
from ..sight import ALL, look

BATCH = 500


def may_view(id: uuid.UUID, user: Any, session: Any) -> bool:
    """Ask the policy of the pages. Nobody may view what is not there."""
    timeline = _find(id)
    return timeline is not None and policy.may_view(timeline, user, session)


def may_still_view(id: uuid.UUID, user: Any, session: Any) -> bool:
    """Ask again for whom a socket was opened, with session and user as they are stored now."""
    now = session.__class__(session.session_key) if isinstance(session, SessionBase) else session
    if session is not None and SESSION_KEY in session:
        user = user_of(now)
    elif isinstance(user, Model):
        user = user._meta.model._default_manager.filter(pk=user.pk).first()
    return may_view(id, user, now)


def user_of(session: Any) -> Any:
    """Return whose session it is, as it is stored now; nobody, once they have logged out."""
    return get_user(cast("Any", SimpleNamespace(session=_Unchanged(session.items()))))


class _Unchanged(dict[str, Any]):
    """What a session holds. What Django would do to the session itself it does when a page is asked for: that has an answer
    which brings the browser the new key."""

    def cycle_key(self) -> None:
        """Leave it the key."""

    def flush(self) -> None:
        """Leave it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read for a push: the timeline's head and version, the heads of the others that its pages tell of, and frames."""

    head: int
    version: str
    others: dict[uuid.UUID, int]
    frames: dict[Seen, str]
    is_moving: bool


def read(id: uuid.UUID, clients: Collection[Seen], redraws: bool = False) -> Reading | None:
    """Read a timeline and draw the frames of those who are behind it, or of all; None if it is gone."""
    sight = look(id, router.db_for_write(Timeline), min((seen.sequence for seen in clients), default=ALL))
    if sight is None:
        return None
    drawn = frames.frames(sight, clients, redraws=redraws)
    return Reading(sight.timeline.head, version_of(sight), heads_of(sight), drawn, is_moving(sight))


def read_heads(ids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return the sequence of the newest event of each."""
    rows = Timeline.objects.using(router.db_for_write(Timeline))  # a replica may be behind
    heads: dict[uuid.UUID, int] = {}
    for first in range(0, len(ids), BATCH):
        heads |= dict(rows.filter(id__in=ids[first : first + BATCH]).values_list("id", "head"))
    return heads


def _find(id: uuid.UUID) -> Timeline | None:
    return frames.find(id, router.db_for_write(Timeline))
