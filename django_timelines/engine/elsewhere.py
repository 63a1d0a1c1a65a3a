"""What the code of this process does not have: that of another process may, of a newer release that is being rolled out.

So it is left to that for some five minutes, in which the clock rings again and again; only then is it taken for removed.
"""

from __future__ import annotations

from datetime import timedelta

from .. import moments
from ..models import Notice, Run, first_id_at
from ..registry import Declaration
from ..state import type_state

RINGS = 7  # it rings at once, and after 5, 15, 35, 75, 155 and 315 seconds
LONG = timedelta(minutes=5)


def lacks(declaration: Declaration | None, step: str, state: type_state) -> bool:
    """Tell whether the code has no step that the timeline knows by this name, or not even its workflow."""
    return declaration is None or declaration.now_called(step, state) not in declaration.steps


def is_left(run: Run) -> bool:
    """Tell whether an open run of a step that the code lacks is for others still."""
    return run.rings < RINGS


def is_fresh(notice: Notice) -> bool:
    """Tell whether a notice about a step that the code lacks is for others still."""
    return notice.id > first_id_at(moments.now() - LONG)
