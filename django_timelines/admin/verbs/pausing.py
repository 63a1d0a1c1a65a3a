"""Pause and resume one timeline. Both may be asked for whatever has happened meanwhile: neither says what it depends on."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import moments, store
from ...actors import of_user
from ...engine import pause
from ...models import Timeline
from ...state import CLAIMABLE, ENDED, StepStatus
from .base import Outlook, Verb, titles, type_asked, with_status


def _can_pause(timeline: Timeline, key: str) -> bool:
    return timeline.status not in ENDED and not timeline.state.get("paused")


def _can_resume(timeline: Timeline, key: str) -> bool:
    return timeline.status not in ENDED and bool(timeline.state.get("paused"))


def _look_at_pause(timeline: Timeline, key: str) -> Outlook:
    sentences = [_("Nothing new is begun until somebody resumes it. Calls are taken, and become due.")]
    if due := with_status(timeline, *CLAIMABLE):
        sentences.append(_("These stay due: %(steps)s.") % {"steps": titles(due)})
    if running := with_status(timeline, StepStatus.RUNNING):
        sentences.append(_("This is being executed and ends first: %(steps)s.") % {"steps": titles(running)})
    return Outlook([*sentences, _("A deadline that passes meanwhile is settled once it is resumed.")])


def _look_at_resume(timeline: Timeline, key: str) -> Outlook:
    sentences = []
    if due := with_status(timeline, *CLAIMABLE):
        sentences.append(_("These go on: %(steps)s.") % {"steps": titles(due)})
    else:
        sentences.append(_("Nothing is due at the moment."))
    now = moments.now()
    late = [
        key
        for key in with_status(timeline, StepStatus.WAITING, *CLAIMABLE)
        if (until := timeline.state["runs"][key].get("until")) and moments.from_text(until) <= now
    ]
    if late:
        sentences.append(_("Their time ran out meanwhile, so they are overdue: %(steps)s.") % {"steps": titles(late)})
    return Outlook(sentences)


def _pause(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    pause.pause(store.snapshot_of(timeline), asked["reason"], of_user(user))
    return _("The timeline is paused.")


def _resume(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    pause.resume(store.snapshot_of(timeline), asked["reason"], of_user(user))
    return _("The timeline is resumed.")


PAUSE = Verb(
    "pause",
    gettext_lazy("Pause"),
    gettext_lazy("Pause this timeline?"),
    of_a_step=False,
    needs_reason=True,
    applies=_can_pause,
    look=_look_at_pause,
    act=_pause,
)
RESUME = Verb(
    "resume",
    gettext_lazy("Resume"),
    gettext_lazy("Resume this timeline?"),
    of_a_step=False,
    needs_reason=False,
    applies=_can_resume,
    look=_look_at_resume,
    act=_resume,
    permits="pause",
)
