"""The visitor's views. ``StartView``, ``StepView`` and ``TimelineView`` are for URLconfs of yours, too."""

from __future__ import annotations

from .links import call_link, open_link, since
from .mine import MyWorkView
from .pages import StartView, StepView, TimelineView, start

__all__ = ["MyWorkView", "StartView", "StepView", "TimelineView", "call_link", "open_link", "since", "start"]
