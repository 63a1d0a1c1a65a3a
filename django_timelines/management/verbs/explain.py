"""``timelines explain ID``: why is it not moving?"""

from __future__ import annotations

from django.core.management.color import Style

from ...models import Timeline
from . import finding
from .base import Answer, Verb, of_status, plain, type_options


def _run(options: type_options, style: Style) -> Answer:
    return standing(finding.timeline(options), style)


def standing(timeline: Timeline, style: Style) -> Answer:
    """Say where a timeline stands, with the engine's reasons."""
    reasons = timeline.explain().reasons
    status = of_status(timeline.status, style)
    document = {
        "timeline": str(timeline.pk),
        "workflow": timeline.workflow,
        "status": timeline.status,
        "reasons": [
            {"reason": reason.reason, "step": reason.step, "sentence": str(reason.sentence)} for reason in reasons
        ],
    }
    lines = [f"{timeline} is {status.paint(status.text)}.", *(plain(str(reason.sentence)) for reason in reasons)]
    return Answer(document, lines)


VERB = Verb("explain", "Say why a timeline is not moving.", finding.add_timeline, _run)
