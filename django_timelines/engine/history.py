"""What was: the stored events of a timeline, as the fold takes them, and the fields as they were."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from ..databases import as_they_are
from ..events import EventType, NewEvent
from ..models import Event
from ..state import RunName, Runs, empty, fold, name_of, run_key, type_state
from ..store import Snapshot


def events_of(timeline: uuid.UUID, using: str, until: int, *, fresh: bool = False) -> list[NewEvent]:
    """Read the first events of a timeline, up to this sequence. ``fresh``: also where a transaction's view is older."""
    rows = Event.objects.using(using).filter(timeline=timeline, sequence__lte=until).order_by("sequence")
    rows = as_they_are(rows) if fresh else rows
    read = rows.values_list("type", "step", "item", "data", "attempt", "version")
    return [NewEvent(type, step, item, 0, *more) for type, step, item, *more in read]


def as_it_ended(before: Snapshot, after: Snapshot, name: RunName) -> type_state:
    """Return the state for who acted on a run at ``before``: under the run's plain name it stands there as it ended.

    That differs from the newest state where the work was sent back since, so that the step begins anew, and for a run of an
    earlier round, which leaves with its end.
    """
    rounds, plain = before.state.get("rounds", {}).get(name.step, 1), RunName(name.step, name.item)
    if not name.round and after.state.get("rounds", {}).get(name.step, 1) == rounds:
        return after.state
    run = before.state["runs"].here().get(run_key(*name))
    state = {**before.state, "runs": Runs({run_key(*plain): run} if run else {})}
    events = Event.objects.using(after.using).filter(timeline=after.id, sequence__gt=before.head)
    mine = name
    for event in events.filter(Q(step=name.step, item=name.item) | Q(type=EventType.ROUND_BEGUN)).order_by("sequence"):
        if event.type == EventType.ROUND_BEGUN and "going_on" not in event.data:
            return after.state  # a person rewound: what it comes to is not applied
        if event.type == EventType.ROUND_BEGUN and name.step in event.data["rounds"]:
            mine = RunName(*plain[:2], name.round or rounds)
        elif name_of(event) == mine:
            data = {key: value for key, value in event.data.items() if key != "round"}
            state = fold(state, [NewEvent(event.type, *plain, data=data, attempt=event.attempt)], event.sequence)
    return state


def state_at(timeline: uuid.UUID, using: str, sequence: int, *, fresh: bool = False) -> type_state:
    """Return the state as of an event."""
    return fold(empty(), events_of(timeline, using, sequence, fresh=fresh), 1)


def kept_back_at(now: Snapshot, sequence: int) -> dict[str, Any]:
    """Return the changes of a body that an event tells and that were not taken, since others had changed the same fields."""
    rows = as_they_are(Event.objects.using(now.using)).filter(timeline=now.id, sequence=sequence)
    kept_back: dict[str, Any] = rows.values_list("data", flat=True).get().get("changes_kept_back", {})
    return kept_back


def fields_at(now: Snapshot, sequence: int, set_by: Sequence[int]) -> dict[str, Any]:
    """Return the fields as of an event. ``set_by``: the few that say all of them, where an item knows; all up to the first do."""
    first, *others = set_by or (sequence,)
    fields: dict[str, Any] = state_at(now.id, now.using, first, fresh=True)["fields"]
    rows = as_they_are(Event.objects.using(now.using)).filter(timeline=now.id, sequence__in=others).order_by("sequence")
    for type, data in rows.values_list("type", "data") if others else ():
        fields.update(data["fields"] if type == EventType.ROUND_BEGUN else data.get("changes", {}))
        for name in data.get("unset", ()):
            fields.pop(name, None)
    return fields
