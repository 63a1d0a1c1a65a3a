"""Revoke links: those to a step, and those that let their holders see the timeline."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import registry, store
from ...actors import of_user
from ...engine.revoke import revoke_links
from ...items import status_of
from ...models import Timeline
from ...state import OPEN, StepStatus, split_key
from .base import Outlook, Verb, is_known, title, type_asked


def _can_revoke(timeline: Timeline, key: str) -> bool:
    name = split_key(key)
    if not is_known(timeline, key) or not registry.get(timeline.workflow).step(name[0]).waits:
        return False
    status = status_of(timeline, key)
    was_made = {key, name[0]} & {*timeline.state.get("links", ())}
    return status in OPEN | {StepStatus.OVERDUE} or (status is StepStatus.UPCOMING and bool(was_made))


def _look_at_revoke(timeline: Timeline, key: str) -> Outlook:
    sentence = _("Whoever has a link to it that was made by now can no longer call it by that, and is told so.")
    return Outlook([sentence, _("A new link is good. Who may call it without one still may.")])


def _revoke(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    revoke_links(store.snapshot_of(timeline), asked["reason"], of_user(user), split_key(key))
    return _("No link to “%(step)s” that was made by now is good any more.") % {"step": title(key)}


def _always(timeline: Timeline, key: str) -> bool:
    return True


def _look_at_revoke_page(timeline: Timeline, key: str) -> Outlook:
    sentence = _("Whoever sees it by a link that was made by now, or by a step's, no longer does.")
    return Outlook([sentence, _("A new link is good. Links to its steps stay so: revoke these at the step.")])


def _revoke_page(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    timeline.revoke_links(reason=asked["reason"], actor=user)
    return _("No link to this timeline that was made by now is good any more.")


REVOKE = Verb(
    "revoke",
    gettext_lazy("Revoke links"),
    gettext_lazy("Revoke the links to “%(step)s”?"),
    of_a_step=True,
    needs_reason=True,
    applies=_can_revoke,
    look=_look_at_revoke,
    act=_revoke,
)
REVOKE_PAGE = Verb(
    "revoke_page",
    gettext_lazy("Revoke links"),
    gettext_lazy("Revoke the links to this timeline?"),
    of_a_step=False,
    needs_reason=True,
    applies=_always,
    look=_look_at_revoke_page,
    act=_revoke_page,
    permits="revoke",
)
