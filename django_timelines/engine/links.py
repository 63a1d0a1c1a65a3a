"""Links that are good no longer: of an earlier round, or revoked by a person. The state says so; no table is needed.

A link names the round that its step was in, and the newest event that had revoked its like when it was made.
"""

from __future__ import annotations

import uuid

from django.utils.translation import gettext as _

from ..exceptions import Refused
from ..links import CallLink, ViewLink
from ..registry import Declaration
from ..state import revoked_at, round_of, run_key, type_state


def call_link(declaration: Declaration, state: type_state, timeline: uuid.UUID, step: str, item: str) -> CallLink:
    """Return the link to a run that is good as things stand."""
    names = declaration.names_of(step)
    revoked = max(revoked_at(state, name, item) for name in names)
    return CallLink(timeline, names[0], item, max(round_of(state, name) for name in names), revoked)


def check_link(declaration: Declaration, state: type_state, link: CallLink) -> None:
    """Refuse a link that is good no longer, whatever its step waits for."""
    step = declaration.now_called(link.step, state)
    current = call_link(declaration, state, link.timeline, step, link.item)
    words = {"step": run_key(current.step, current.item).replace("_", " ")}
    if link.revoked_at < current.revoked_at:
        raise Refused(_("This link to “%(step)s” was revoked.") % words, "revoked")
    if link.round < current.round:
        sentence = _("“%(step)s” is to be done anew since this link was made. A newer link leads there.")
        raise Refused(sentence % words, "superseded")


def check_view_link(state: type_state, link: ViewLink) -> None:
    """Refuse a timeline's link that is good no longer."""
    if link.revoked_at < revoked_at(state):
        raise Refused(_("This link was revoked."), "revoked")
