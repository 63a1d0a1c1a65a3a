"""Pause and resume: of a timeline, which is an event; of a workflow or of everything, for the bad day, which is a row."""

from __future__ import annotations

import logging
from functools import partial

from django.db import router, transaction
from django.utils.translation import gettext as _

from .. import actors, moments, registry
from ..actors import Actor
from ..events import EventType, NewEvent
from ..models import Pause
from ..runs import can_be_stored
from ..signals import paused
from ..store import EVERYTHING, Snapshot
from .cancel import clean_reason
from .operate import append, refuse_ended, say_why

logger = logging.getLogger("django_timelines")


def pause(snapshot: Snapshot, reason: str, actor: Actor | None = None) -> Snapshot:
    """Begin nothing new until ``resume``: calls are taken and become due, what is executing ends, deadlines wait."""
    say_why(reason, _("Say why the timeline is paused."))

    def event(now: Snapshot) -> NewEvent | None:
        refuse_ended(now)
        new = NewEvent(EventType.PAUSED, data={"reason": clean_reason(reason)})
        return None if now.state.get("paused") else new

    return append(registry.find(snapshot.workflow), snapshot, event, actor)


def resume(snapshot: Snapshot, reason: str = "", actor: Actor | None = None) -> Snapshot:
    """Go on with a paused timeline; the bells of what is due ring."""

    def event(now: Snapshot) -> NewEvent | None:
        refuse_ended(now)
        resumed = NewEvent(EventType.RESUMED, data={"reason": clean_reason(reason)})
        return resumed if now.state.get("paused") else None

    return append(registry.find(snapshot.workflow), snapshot, event, actor)


def pause_all(reason: str, workflow: str = EVERYTHING, actor: Actor | None = None, using: str | None = None) -> bool:
    """Begin nothing new on any timeline, or on any of one workflow, until ``resume_all``; return whether it was not paused yet.

    It holds from the next attempt on; a runner that goes on with quick steps stops within a second or so. A workflow that had
    other names before is paused under all of them: its timelines keep the label that they began with. It belongs to no
    timeline, so it is no event: the row says who and why while it holds, and the log of both ends.
    """
    say_why(reason, _("Say why everything is paused."))
    label = str(actor or actors.current())
    defaults = {"reason": clean_reason(reason), "actor_label": label[:200], "at": moments.now()}
    using = using or router.db_for_write(Pause)
    pauses = Pause.objects.using(using)
    names = registry.get(workflow).names if workflow else (EVERYTHING,)
    is_new = [pauses.get_or_create(workflow=name, defaults=defaults)[1] for name in names]
    if any(is_new):
        logger.warning(
            "%s is paused by %s: %s", workflow or "Everything", label or "nobody in particular", clean_reason(reason)
        )
    return _told(using, changed=any(is_new))


def hold_new_names(using: str) -> None:
    """Let the pause of a workflow hold under every name that the code knows it by: one that it has got since, too."""
    for row in Pause.objects.using(using).exclude(workflow=EVERYTHING):
        declaration = registry.find(row.workflow)
        for name in declaration.names if declaration else ():
            same = {"reason": row.reason, "actor_label": row.actor_label, "at": row.at}
            Pause.objects.using(using).get_or_create(workflow=name, defaults=same)


def resume_all(
    workflow: str = EVERYTHING, using: str | None = None, *, reason: str = "", actor: Actor | None = None
) -> bool:
    """Go on; what is due is rung for by the clock, at once. Return whether it was paused.

    ``Unknown`` if it was not, and is no workflow.
    """
    declaration = registry.find(workflow)
    names = declaration.names if declaration else [workflow] if can_be_stored(workflow) else []
    using = using or router.db_for_write(Pause)
    deleted, _rows = Pause.objects.using(using).filter(workflow__in=names).delete()
    if deleted:
        who, why = str(actor or actors.current()) or "nobody in particular", clean_reason(reason)
        logger.warning("%s is resumed by %s%s", workflow or "Everything", who, f": {why}" if why else "")
    elif workflow:
        registry.get(workflow)
    return _told(using, changed=bool(deleted))


def _told(using: str, *, changed: bool) -> bool:
    """Let the open pages draw themselves again: one hint for all of them, however many timelines there are."""
    if changed:
        transaction.on_commit(partial(paused.send_robust, None, using=using), using=using)
    return changed
