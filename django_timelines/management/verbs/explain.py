"""``timelines explain ID``: why is it not moving?"""

from __future__ import annotations

from django.core.management.color import Style

from ...models import Timeline
from ...state import ENDED
from ...store import EVERYTHING
from . import finding
from .base import Answer, Verb, of_status, plain, type_options
from .pauses import pause_document, pause_line, pauses_in


def _run(options: type_options, style: Style) -> Answer:
    return standing(finding.timeline(options), style)


def standing(timeline: Timeline, style: Style) -> Answer:
    """Say where a timeline stands, with the engine's reasons."""
    reasons = timeline.explain().reasons
    pauses = [] if timeline.status in ENDED else pauses_in(timeline.using, EVERYTHING, timeline.workflow)
    status = of_status(timeline.status, style)
    document = {
        "timeline": str(timeline.pk),
        "workflow": timeline.workflow,
        "status": timeline.status,
        "reasons": [
            {"reason": reason.reason, "step": reason.step, "sentence": str(reason.sentence)} for reason in reasons
        ],
        "paused": [pause_document(pause) for pause in pauses],
    }
    lines = [f"{timeline} is {status.paint(status.text)}.", *(plain(str(reason.sentence)) for reason in reasons)]
    if not any(reason.reason == "all_paused" for reason in reasons):  # nothing waits for its end, yet
        lines += map(pause_line, pauses)
    return Answer(document, lines)


VERB = Verb("explain", "Say why a timeline is not moving.", finding.add_timeline, _run)
