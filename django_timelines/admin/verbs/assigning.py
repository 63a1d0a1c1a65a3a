"""Assign: give a step that waits to somebody, or back to all who may call it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import registry, store
from ...actors import of_user
from ...engine.assign import assign
from ...engine.assignee import may_be_given, whose
from ...models import Timeline
from ...state import split_key
from .base import Outlook, Verb, is_known, run_of, title, type_asked


def _can_assign(timeline: Timeline, key: str) -> bool:
    if not is_known(timeline, key) or not registry.get(timeline.workflow).step(split_key(key)[0]).waits:
        return False
    return may_be_given(run_of(timeline, key))


def _look_at_assign(timeline: Timeline, key: str) -> Outlook:
    declaration, run = registry.get(timeline.workflow), run_of(timeline, key)
    now = whose(run, declaration.step(split_key(key)[0]), declaration.make(timeline))
    sentences = [now or _("Nobody in particular has it: it waits for all who may call it.")]
    sentences.append(_("It then waits for nobody else, and no link to it that was made by now is good any more."))
    return Outlook(sentences, f"{run['fence']} {(run.get('assigned') or {}).get('id', '')}")


def _assign(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    to = asked["user"]
    assign(store.snapshot_of(timeline), split_key(key), to, of_user(user), asked["reason"], exact=True)
    if to is None:
        return _("“%(step)s” waits for all who may call it.") % {"step": title(key)}
    return _("%(name)s has “%(step)s” now.") % {"step": title(key), "name": to}


ASSIGN = Verb(
    "assign",
    gettext_lazy("Assign"),
    gettext_lazy("Who is to have “%(step)s”?"),
    of_a_step=True,
    needs_reason=False,
    applies=_can_assign,
    look=_look_at_assign,
    act=_assign,
    asks_whom=True,
)
