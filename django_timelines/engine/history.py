"""What was: the stored events of a timeline, as the fold takes them, and the fields as they were."""

from __future__ import annotations

import uuid

from ..events import NewEvent
from ..models import Event
from ..state import empty, fold, type_state


def events_of(timeline: uuid.UUID, using: str, until: int) -> list[NewEvent]:
    """Read the first events of a timeline, up to this sequence."""
    rows = Event.objects.using(using).filter(timeline=timeline, sequence__lte=until).order_by("sequence")
    return [NewEvent(*row) for row in rows.values_list("type", "step", "item", "data", "attempt", "version")]


def state_at(timeline: uuid.UUID, using: str, sequence: int) -> type_state:
    """Return the state as of an event."""
    return fold(empty(), events_of(timeline, using, sequence), 1)
