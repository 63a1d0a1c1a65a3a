"""Pause and resume: of a timeline, which is an event; of a workflow or of everything, for the bad day, which is a row."""

from __future__ import annotations

from django.db import router
from django.utils.translation import gettext as _

from .. import actors, moments, registry
from ..actors import Actor
from ..events import EventType, NewEvent
from ..models import Pause
from ..store import EVERYTHING, Snapshot
from .cancel import clean_reason
from .operate import append, refuse_ended, say_why


def pause(snapshot: Snapshot, reason: str, actor: Actor | None = None) -> Snapshot:
    """Begin nothing new until ``resume``: calls are taken and become due, what is executing ends, deadlines wait."""
    say_why(reason, _("Say why the timeline is paused."))

    def event(now: Snapshot) -> NewEvent | None:
        refuse_ended(now)
        paused = NewEvent(EventType.PAUSED, data={"reason": clean_reason(reason)})
        return None if now.state.get("paused") else paused

    return append(registry.find(snapshot.workflow), snapshot, event, actor)


def resume(snapshot: Snapshot, reason: str = "", actor: Actor | None = None) -> Snapshot:
    """Go on with a paused timeline; the bells of what is due ring."""

    def event(now: Snapshot) -> NewEvent | None:
        refuse_ended(now)
        resumed = NewEvent(EventType.RESUMED, data={"reason": clean_reason(reason)})
        return resumed if now.state.get("paused") else None

    return append(registry.find(snapshot.workflow), snapshot, event, actor)


def pause_all(reason: str, workflow: str = EVERYTHING, actor: Actor | None = None) -> bool:
    """Begin nothing new on any timeline, or on any of one workflow, until ``resume_all``; return whether it was not paused yet.

    It holds from the next attempt on; a runner that goes on with quick steps stops within a second or so.
    """
    say_why(reason, _("Say why everything is paused."))
    if workflow:
        registry.get(workflow)
    label = str(actor or actors.current())
    defaults = {"reason": clean_reason(reason), "actor_label": label[:200], "at": moments.now()}
    _pause, is_new = Pause.objects.using(router.db_for_write(Pause)).get_or_create(workflow=workflow, defaults=defaults)
    return is_new


def resume_all(workflow: str = EVERYTHING) -> bool:
    """Go on; what is due is rung for by the clock, at once. Return whether it was paused."""
    paused, _rows = Pause.objects.using(router.db_for_write(Pause)).filter(workflow=workflow).delete()
    return bool(paused)
