"""The admin of timelines: a list, a page for each, and the verbs of a person: retry, skip, cancel. It edits nothing.

Beside it, the lists of projections and of schedules.
"""

from .projections import ProjectionAdmin
from .schedules import ScheduleAdmin
from .timelines import TimelineAdmin

__all__ = ["ProjectionAdmin", "ScheduleAdmin", "TimelineAdmin"]
