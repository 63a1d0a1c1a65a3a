"""The admin of timelines: a list, a page for each, and the verbs of a person: retry, skip, cancel. It edits nothing."""

from .timelines import TimelineAdmin

__all__ = ["TimelineAdmin"]
