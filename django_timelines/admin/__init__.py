"""The admin of timelines: a list, a page for each, and the verbs of a person: retry, skip, cancel. It edits nothing.

Beside it, the list of projections.
"""

from .projections import ProjectionAdmin
from .timelines import TimelineAdmin

__all__ = ["ProjectionAdmin", "TimelineAdmin"]
