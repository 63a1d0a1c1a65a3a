"""Cancel: what stops, what comes to its end first, and what is undone."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import registry, store
from ...actors import of_user
from ...engine import operate
from ...engine.cancel import cancellation
from ...engine.undo import undoable
from ...items import read_all
from ...models import Timeline
from ...state import ENDED, TimelineStatus, awaits_child, open_runs, split_key
from ..words import run_title
from .base import Choice, Outlook, Verb, mark, titles, type_asked


def _can_cancel(timeline: Timeline, key: str) -> bool:
    return timeline.status not in ENDED and not timeline.state.get("cancelling")


def _look_at_cancel(timeline: Timeline, key: str) -> Outlook:
    declaration, state = registry.find(timeline.workflow), read_all(timeline)
    ending = cancellation(declaration, state, "").data["cancelled"]
    going_on = [key for key in open_runs(state) if key not in ending]
    undo = undoable(declaration, state) if declaration else []
    sentences = []
    if ending:
        sentences.append(_("This stops at once: %(steps)s.") % {"steps": titles(ending)})
    if going_on:
        sentence = _("This was begun and comes to its end first, retries included: %(steps)s.")
        sentences.append(sentence % {"steps": titles(going_on)})
    choice = None
    has_child = any(awaits_child(state["runs"][key]) for key in going_on)  # of which it undoes what is done
    if undo or has_child or (declaration and any(declaration.undo_of(split_key(key)[0]) for key in going_on)):
        sentences.append(_("No other step is begun. What is done stays done, unless you have it undone."))
        choice = Choice("compensate", _("Then undo what completed, the last completed first"))
    else:
        sentences.append(_("No other step is begun. What is done stays done."))
    return Outlook(sentences, mark(undo), undo=[run_title(state, key) for key in undo], choice=choice)


def _cancel(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    now, compensate = store.snapshot_of(timeline), bool(asked.get("compensate"))
    exact = bool(asked["fence"])  # of several at once nobody saw what is undone
    after = operate.cancel(now, asked["reason"], of_user(user), compensate=compensate, exact=exact)
    if after.status == TimelineStatus.CANCELLED:
        return _("The timeline is cancelled.")
    if compensate:
        return _("The timeline is being cancelled; what completed is undone.")
    return _("The timeline is being cancelled; what was begun comes to its end first.")


CANCEL = Verb(
    "cancel",
    gettext_lazy("Cancel timeline"),
    gettext_lazy("Cancel this timeline?"),
    of_a_step=False,
    needs_reason=True,
    applies=_can_cancel,
    look=_look_at_cancel,
    act=_cancel,
    is_grave=True,
)
