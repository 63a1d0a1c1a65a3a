"""Holding a timeline's row without waiting for whoever holds it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

from ..databases import sees_the_past
from ..exceptions import Conflict
from ..models import Timeline


@contextmanager
def alone_with(using: str, timeline: uuid.UUID) -> Iterator[None]:
    """Hold a timeline's row for the block, in one transaction; ``Conflict`` if somebody else holds it.

    A caller's transaction may hold it for as long as a request takes; who has others to look after does not wait for that. A
    database that has one writer is waited for.
    """
    if not connections[using].features.has_select_for_update_skip_locked:
        yield
        return
    rows = Timeline.objects.using(using).filter(pk=timeline).order_by().values_list("pk", flat=True)
    with transaction.atomic(using=using):
        if not rows.select_for_update(skip_locked=True) and rows:
            raise Conflict(f"Somebody else holds timeline {timeline}.")
        yield


def take_row(using: str, timeline: uuid.UUID) -> None:
    """Take a timeline's row if what belongs to it is to be locked, too (``as_they_are``): who writes it begins with the row."""
    if sees_the_past(connections[using]):
        rows = Timeline.objects.using(using).filter(pk=timeline).order_by().values_list("pk", flat=True)
        rows.select_for_update().first()
