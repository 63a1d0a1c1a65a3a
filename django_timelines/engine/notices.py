"""What a timeline tells others with a commit: its parent of the end, its children that they are no longer wanted."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from ..events import EventType, NewEvent
from ..models import Notice, new_id
from ..state import RunName, awaits_child, changed, open_runs, split_key, type_run, type_state
from ..statements import type_row
from ..store import Snapshot


def notices(before: Snapshot, after: Snapshot, events: Iterable[NewEvent]) -> Iterator[type_row]:
    """Return what others are told by these events: the parent of the end, children that they are no longer wanted."""
    if "parent" in after.state and "ended" in after.state and "ended" not in before.state:
        parent = after.state["parent"]
        name = RunName(parent["step"], parent["item"])
        yield notice_row(uuid.UUID(parent["timeline"]), after.id, after.head, Notice.ENDED, name)
    turned = after.state.get("cancelling") and not before.state.get("cancelling")
    undoes = any(event.type == EventType.ROUND_BEGUN and event.data.get("compensate") for event in events)
    compensate = bool(after.state.get("compensating") or undoes)
    # by child: a run that still waits for it may have another key now, of a renamed step or an earlier round
    awaited = {run["child"] for run in after.state["runs"].here().values() if awaits_child(run)}
    for key, (old, new) in _changed_or_open(before.state, after.state, turned=bool(turned)).items():
        name = split_key(key)
        goes_on = awaits_child(old) and old["child"] in awaited
        if awaits_child(old) and (turned or not goes_on) and new.get("of") == old.get("of"):
            yield notice_row(uuid.UUID(old["child"]), after.id, after.head, Notice.CANCEL, name, compensate=compensate)
        if "of" in new and awaits_child(new) and new["of"] != old.get("of"):
            yield notice_row(uuid.UUID(new["child"]), after.id, after.head, Notice.CANCEL, name, compensate=True)


def _changed_or_open(before: type_state, after: type_state, *, turned: bool) -> dict[str, tuple[type_run, type_run]]:
    changes = {key: (old or {}, new or {}) for key, old, new in changed(before, after)}
    others = {key: (run, run) for key, run in open_runs(after).items()} if turned else {}
    return others | changes


def notice_row(
    addressee: uuid.UUID, source: uuid.UUID, sequence: int, kind: str, name: RunName, *, compensate: bool = False
) -> type_row:
    """Return the row that tells a timeline something. ``name``: the parent's run that the child belongs to."""
    reason = _("The timeline that began it no longer waits for it.") if kind == Notice.CANCEL else ""
    row: type_row = {"id": new_id(), "timeline": addressee, "source": source, "sequence": sequence}
    row |= {"step": name[0], "item": name[1]}
    return row | {"kind": kind, "reason": reason, "compensate": compensate}
