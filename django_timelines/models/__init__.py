"""What is stored, and its constraints. Nothing here decides anything, and only ``store`` appends events."""

from .columns import ExactCharField, first_id_at, new_id
from .events import Event
from .keeping_time import Pause, Schedule, Sighting
from .limits import Slot, UniqueValue
from .notices import Notice
from .projections import News, Place, Projection
from .runs import Item, Lease, Run, RunQuerySet, SealedInput
from .timelines import Timeline, TimelineQuerySet

__all__ = [
    "Event",
    "ExactCharField",
    "Item",
    "Lease",
    "News",
    "Notice",
    "Pause",
    "Place",
    "Projection",
    "Run",
    "RunQuerySet",
    "Schedule",
    "SealedInput",
    "Sighting",
    "Slot",
    "Timeline",
    "TimelineQuerySet",
    "UniqueValue",
    "first_id_at",
    "new_id",
]
