"""What the code calls by another name now: ``renamed_from=`` of steps and fields, written down on a timeline as an event."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from django.db import connections

from .. import registry, store
from ..actors import SYSTEM
from ..events import EventType, NewEvent
from ..exceptions import Conflict
from ..items import with_all
from ..models import Run
from ..registry import Declaration
from ..state import StepStatus, fold, in_state, split_key, type_state
from ..store import Snapshot
from .advance import advance
from .advanced import By
from .patience import Patience, conflict_if_transient
from .runner import commit, load

logger = logging.getLogger("django_timelines")
BATCH = 200


def brought_up(declaration: Declaration | None, snapshot: Snapshot) -> Snapshot:
    """Return the timeline under the names that its steps and fields have now, once that is written."""
    if declaration is None or not (declaration.renamed_steps or declaration.renamed_fields):
        return snapshot
    patience = Patience()
    while renamed := _pending(declaration, snapshot.state):
        try:
            result = advance(None, with_all(snapshot), [_event(renamed)], By(SYSTEM))
            commit(result)
            return result.after
        except Conflict as conflict:
            patience.after(conflict)
            inside = connections[snapshot.using].in_atomic_block  # whose view of the row may be old
            snapshot = load(snapshot.id, snapshot.using, lock=inside)
    return snapshot


def as_called_now(declaration: Declaration, snapshot: Snapshot) -> Snapshot:
    """Return the timeline as it will be under the names that its steps and fields have now. Nothing is written."""
    renamed = _pending(declaration, snapshot.state)
    if not renamed:
        return snapshot
    return replace(snapshot, state=fold(with_all(snapshot).state, [_event(renamed)], snapshot.head + 1))


def bring_up_all(using: str) -> int:
    """Bring up the timelines with open runs of renamed steps, a batch at most; return how many were.

    One that cannot be keeps nobody from the others.
    """
    brought = 0
    for declaration in registry.everything().values():
        if not declaration.renamed_steps:
            continue
        runs = Run.objects.using(using).filter(
            timeline__workflow__in=declaration.names, step__in=declaration.renamed_steps
        )
        for timeline in runs.exclude(status=StepStatus.RUNNING).values_list("timeline", flat=True).distinct()[:BATCH]:
            try:
                with conflict_if_transient(using), store.alone_with(using, timeline):
                    brought_up(declaration, load(timeline, using))
                brought += 1
            except Conflict:
                brought += 1  # somebody holds it, and it is looked at again
            except Exception:  # whoever goes on with it tries again
                logger.exception("Timeline %s cannot be brought up to the names of the code.", timeline)
    return brought


def _event(renamed: dict[str, Any]) -> NewEvent:
    return NewEvent(EventType.AMENDED, data={"changes": {}, "renamed": renamed, "reason": "renamed in the code"})


def _pending(declaration: Declaration, state: type_state) -> dict[str, Any]:
    """Return what is still called by its old name. An attempt that is being executed ends under the name that it knows."""
    if "ended" in state:
        return {}
    runs: dict[str, set[str]] = {}
    for key, run in in_state(state):
        runs.setdefault(split_key(key)[0], set()).update(run.get("each", (run["status"],)))
    known = {*runs, *state.get("rounds", {}), *(split_key(key)[0] for key in state.get("past", {}))}
    steps = {old: new for old, new in declaration.renamed_steps.items() if old in known}
    if any(StepStatus.RUNNING in runs.get(old, ()) for old in steps):
        return {}
    fields = {old: new for old, new in declaration.renamed_fields.items() if old in state["fields"]}
    return {"steps": steps, "fields": fields} if steps or fields else {}
