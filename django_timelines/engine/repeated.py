"""Whether a call repeats one that was made before a parameter's type has changed: across releases, too, it counts once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..events import EventType
from ..models import Event
from ..registry import Declaration
from ..state import run_key
from ..store import Snapshot
from .asked import Input
from .judge import Call


def as_called_before(declaration: Declaration, snapshot: Snapshot, asked: Call, given: Input) -> Call:
    """Return the call with the digest of the one with its key, or of the run's, if today's types make its input of that one's."""
    run = snapshot.state["runs"].get(run_key(*asked.name), {})
    by_key = snapshot.state.get("keys", {}).get(asked.key)
    digest = by_key[1] if by_key else run.get("digest")
    if not digest or digest == asked.digest:
        return asked
    calls = Event.objects.using(snapshot.using).filter(timeline=snapshot.id, type=EventType.STEP_CALLED)
    calls = calls.filter(data__key=asked.key) if by_key else calls.filter(sequence=run["call"])
    inputs = [data["input"] for data in calls.order_by("-sequence").values_list("data", flat=True)[:1]]
    is_repeated = any(given.encoded == _as_now(declaration, asked, one) for one in inputs)
    return replace(asked, digest=digest) if is_repeated else asked


def _as_now(declaration: Declaration, asked: Call, stored: dict[str, Any]) -> dict[str, Any] | None:
    """Return a stored input as it would be stored now, without what the step no longer takes; None if that does not fit."""
    fields = declaration.inputs[declaration.step(asked.name.step).name]
    taken = [name for name in stored if name in fields and not fields[name].is_secret]
    try:
        return {name: fields[name].brought_up(stored[name]) for name in taken}
    except Exception:  # a validator is the project's own code, and may not take what is stored
        return None
