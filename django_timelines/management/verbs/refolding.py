"""``timelines refold ID``: what is stored as its state was damaged; the events say what it was."""

from __future__ import annotations

from django.core.management.color import Style

from ...engine.refold import refold
from . import finding
from .base import Answer, Verb, type_options
from .explain import standing


def _run(options: type_options, style: Style) -> Answer:
    timeline = finding.timeline(options)
    refold(timeline.pk, timeline.using)
    timeline.refresh_from_db()
    now = standing(timeline, style)
    return Answer({"refolded": True} | now.document, [f"{timeline} is folded anew from its events.", *now.lines])


VERB = Verb("refold", "Fold a timeline's events anew, where its stored state is damaged.", finding.add_timeline, _run)
