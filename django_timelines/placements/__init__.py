"""Where a step runs: ring a doorbell, nothing more. A placement knows nothing of workflows."""

from __future__ import annotations

from functools import cache

from django.utils.module_loading import import_string

from ..exceptions import UnknownPlacement
from .base import Bell as Bell
from .base import Placement as Placement
from .base import stopping as stopping

INLINE = "inline"
EMBEDDED = "embedded"
SCHEMES = {
    "inline": "django_timelines.placements.inline.Inline",
    "embedded": "django_timelines.placements.embedded.Embedded",
    "rq": "django_timelines.placements.rq.RQ",
    "tasks": "django_timelines.placements.tasks.Tasks",
}


@cache
def get(name: str) -> Placement:
    """Return the placement of this name. What it needs (RQ, say) is imported here, when it is used."""
    scheme, _, argument = name.partition(":")
    if scheme not in SCHEMES:
        raise UnknownPlacement(
            f"There is no placement {name!r}. Write inline, embedded, rq:<queue> or tasks:<backend>."
        )
    placement: Placement = import_string(SCHEMES[scheme])(argument)
    return placement
