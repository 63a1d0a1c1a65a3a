"""Revoking links: an event, from which on those that were made before are good no longer."""

from __future__ import annotations

from django.utils.translation import gettext as _

from .. import registry
from ..actors import Actor
from ..events import EventType, NewEvent
from ..exceptions import Refused
from ..registry import Declaration
from ..state import RunName, type_state
from ..store import Snapshot
from .cancel import clean_reason
from .judge import check_item
from .operate import THE_TIMELINE, append, say_why


def revoke_links(snapshot: Snapshot, reason: str, actor: Actor | None = None, name: RunName = THE_TIMELINE) -> Snapshot:
    """Let no link be good that was made of this run by now; of a step with items those of all, of the timeline its own, which
    let their holders look.

    A new one is. Also on a timeline that has ended: its page is there still.
    """
    say_why(reason, _("Say why the links are revoked."))
    declaration = registry.get(snapshot.workflow) if name[0] else registry.find(snapshot.workflow)

    def event(now: Snapshot) -> NewEvent:
        if declaration is not None and name[0]:
            _check_step(declaration, now.state, name)
        return NewEvent(EventType.LINKS_REVOKED, *name, data={"reason": clean_reason(reason)})

    return append(declaration, snapshot, event, actor, name)


def _check_step(declaration: Declaration, state: type_state, name: RunName) -> None:
    step = declaration.step(name[0])
    if not step.waits:
        words = {"step": name[0].replace("_", " ")}
        raise Refused(_("“%(step)s” runs by itself, so no link leads to it.") % words, "not_applicable")
    if name[1]:
        check_item(declaration, state, name)
