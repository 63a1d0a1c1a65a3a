"""Links that are good no longer: of an earlier round, or revoked by a person. The state says so; no table is needed.

A link names the round that its step was in, and the newest event that had revoked its like when it was made.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from ..exceptions import Refused
from ..links import CallLink, ViewLink
from ..registry import Declaration
from ..state import revoked_at, round_of, run_key, type_state


def check_link(declaration: Declaration, state: type_state, link: CallLink) -> None:
    """Refuse a link that is good no longer, whatever its step waits for."""
    step = declaration.current(link.step)
    words = {"step": run_key(step, link.item).replace("_", " ")}
    known = {step, link.step}  # a timeline under way may know it by the name that it had before
    if link.revoked_at < max(revoked_at(state, name, link.item) for name in known):
        raise Refused(_("This link to “%(step)s” was revoked.") % words, "revoked")
    if link.round < max(round_of(state, name) for name in known):
        sentence = _("“%(step)s” is to be done anew since this link was made. A newer link leads there.")
        raise Refused(sentence % words, "superseded")


def check_view_link(state: type_state, link: ViewLink) -> None:
    """Refuse a timeline's link that is good no longer."""
    if link.revoked_at < revoked_at(state):
        raise Refused(_("This link was revoked."), "revoked")
