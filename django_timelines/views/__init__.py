"""The visitor's views. ``StartView``, ``StepView`` and ``TimelineView`` are for URLconfs of yours, too."""

from __future__ import annotations

from .call_link import CallLinkView
from .links import open_link, since
from .mine import MyWorkView
from .pages import StartView, StepView, TimelineView, start

__all__ = ["CallLinkView", "MyWorkView", "StartView", "StepView", "TimelineView", "open_link", "since", "start"]
