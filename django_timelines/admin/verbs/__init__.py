"""The verbs of a person: which there are, who may use them, where they apply, and what they will do."""

from __future__ import annotations

from typing import Any

from .amending import AMEND
from .assigning import ASSIGN
from .base import Outlook, Verb
from .ending import CANCEL
from .moving import RETRY, RETRY_BLOCKED, SKIP
from .pausing import PAUSE, RESUME
from .revoking import REVOKE, REVOKE_PAGE
from .rewinding import REWIND

__all__ = ["VERBS", "Outlook", "Verb", "allowed_verbs"]

VERBS = {
    verb.name: verb
    for verb in (
        *(RETRY, SKIP, ASSIGN, REVOKE),
        *(RETRY_BLOCKED, AMEND, REWIND, PAUSE, RESUME, REVOKE_PAGE, CANCEL),
    )
}
"""In the order of the buttons: of a step, of a timeline."""


def allowed_verbs(user: Any) -> frozenset[str]:
    """Return the names of the verbs that this user may use."""
    return frozenset(verb.name for verb in VERBS.values() if user.has_perm(verb.permission))
