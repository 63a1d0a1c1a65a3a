"""A projection that writes a row for each event that it is given, and reacts to each completed timeline with another row.

Nothing keeps these rows from being there twice, or in another order: that is the engine's promise.
"""

from __future__ import annotations

from typing import Any

from django_timelines.projections import Projection, StoredEvent, on, reaction

from .models import Followed, Reacted

FOLLOWED = ("TimelineStarted", "StepCompleted", "TimelineCompleted", "TimelineFailed", "TimelineCancelled")
REACTED = "TimelineCompleted"


class Record(Projection):
    """What happened, event by event."""

    into = (Followed,)

    @on(*FOLLOWED)
    def follow(self, event: StoredEvent[Any]) -> None:
        Followed.objects.create(timeline=event.timeline, sequence=event.sequence)

    @reaction(REACTED)
    def react(self, event: StoredEvent[Any]) -> None:
        Reacted.objects.create(timeline=event.timeline, sequence=event.sequence)
