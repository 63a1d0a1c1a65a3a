"""A process of an older release, on a timeline whose steps or fields newer code has renamed: that code goes on with it."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ..exceptions import Refused
from ..registry import Declaration
from ..state import type_state


def refuse_if_behind(declaration: Declaration | None, state: type_state) -> None:
    """Refuse what older code would write: it takes what newer code calls by another name for what is not there."""
    if declaration is not None and declaration.is_behind(state):
        sentence = _(
            "Newer code has this timeline: it calls steps or fields by other names, which this process does not know."
        )
        raise Refused(f"{sentence} {_('Call again from a process of the new release.')}", "older_code")
