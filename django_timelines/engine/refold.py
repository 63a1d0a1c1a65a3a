"""Folding a timeline's events anew: what its row says of them is a cache, and somebody may have damaged it."""

from __future__ import annotations

import uuid

from django.db import connections, transaction

from ..databases import begin_writing
from ..exceptions import Unknown
from ..models import Item, Timeline
from ..state import lies_beside, split_key, timeline_status, type_state
from .history import state_at

BATCH = 500


def refold(timeline: uuid.UUID, using: str) -> None:
    """Write what the events say into a timeline's row and the rows of its items. No event changes; nothing is executed."""
    with transaction.atomic(using=using):
        begin_writing(connections[using])
        row = Timeline.objects.using(using).filter(pk=timeline)
        head = row.select_for_update().values_list("head", flat=True).first()
        if head is None:
            raise Unknown(f"There is no timeline {timeline}.", "unknown_timeline")
        state = state_at(timeline, using, head)
        row.update(state=state, fields=state["fields"], status=str(timeline_status(state)))
        Item.objects.using(using).filter(timeline=timeline)._raw_delete(using)
        Item.objects.using(using).bulk_create(_items(timeline, head, state), BATCH)


def _items(timeline: uuid.UUID, head: int, state: type_state) -> list[Item]:
    """Return the rows of its items, as they stand now."""
    found = []
    for key, run in state["runs"].items():
        if lies_beside(state["runs"], key):
            step, item, _round = split_key(key)
            found.append(
                Item(
                    timeline_id=timeline,
                    step=step,
                    item=item,
                    index=run.get("index"),
                    status=run["status"],
                    head=head,
                    state=run,
                )
            )
    return found
