"""The timelines that a page tells of besides its own: those that steps of it wait for, and theirs. They move when it does not."""

from __future__ import annotations

import uuid
import zlib

from . import registry
from .engine.explain import explain_publicly
from .items import read_named
from .models import Timeline
from .sight import Sight
from .state import TAKES_CALLS, awaits_child, run_key

MOST = 20  # of one timeline


def heads_of(sight: Sight) -> dict[uuid.UUID, int]:
    """Return their heads: of the first awaited children, and of whoever was looked at to explain why they stand there."""
    if not sight.heads and (awaited := _awaited(sight)):
        if not sight.seen:
            explain_publicly(sight)
        for seen in filter(None, sight.seen.values()):
            sight.heads[seen.timeline.id] = seen.timeline.head
            sight.heads.update(heads_of(seen))
        if missing := [id for id in awaited if id not in sight.seen]:
            rows = Timeline.objects.using(sight.timeline.using).filter(pk__in=missing)
            sight.heads.update(rows.values_list("id", "head"))
    return sight.heads


def version_of(sight: Sight) -> str:
    """Return a short text that is another once one of them has moved; empty if there is none."""
    heads = "".join(f"{id.hex}{head}," for id, head in sorted(heads_of(sight).items()))
    return f"{zlib.crc32(heads.encode()):08x}" if heads else ""


def _awaited(sight: Sight) -> list[uuid.UUID]:
    declaration = registry.find(sight.timeline.workflow)
    begins = {step.name for step in declaration.steps.values() if step.child is not None} if declaration else set()
    waiting = [run for run in sight.runs if run.step in begins and run.status in TAKES_CALLS]
    keys = [run_key(run.step, run.item) for run in waiting[:MOST]]
    runs = read_named(sight.timeline, keys)["runs"] if keys else {}
    return [uuid.UUID(runs[key]["child"]) for key in keys if key in runs and awaits_child(runs[key])]
