"""Amend: a person corrects fields."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import registry, store
from ...actors import of_user
from ...engine import operate
from ...items import read_all
from ...models import Timeline
from ...state import ENDED, StepStatus, open_runs
from .base import Outlook, Verb, titles, type_asked


def _can_amend(timeline: Timeline, key: str) -> bool:
    declaration = registry.find(timeline.workflow)
    return declaration is not None and bool(declaration.fields) and timeline.status not in ENDED


def _look_at_amend(timeline: Timeline, key: str) -> Outlook:
    sentences = [_("Only what you change here is written. No step is done again for it: rewind does that.")]
    running = [key for key, run in open_runs(read_all(timeline)).items() if run["status"] == StepStatus.RUNNING]
    if running:
        sentence = _(
            "Being executed now: %(steps)s. A body that changes one of the same fields is told of your change."
        )
        sentences.append(sentence % {"steps": titles(running)})
    return Outlook(sentences)  # each field is compared with what the person saw of it


def _amend(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    changes = asked["changes"]
    operate.amend(store.snapshot_of(timeline), asked["reason"], changes, of_user(user), exact=True)
    names = ", ".join(name.replace("_", " ") for name in changes)
    return _("Corrected: %(names)s.") % {"names": names}


AMEND = Verb(
    "amend",
    gettext_lazy("Correct fields"),
    gettext_lazy("Correct the fields of this timeline?"),
    of_a_step=False,
    needs_reason=True,
    applies=_can_amend,
    look=_look_at_amend,
    act=_amend,
    fields="must",
)
