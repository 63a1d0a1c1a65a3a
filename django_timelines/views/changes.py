"""What has happened on a timeline since a page was made, in sentences for whoever has that page open."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ..events import EventType
from ..models import Event, Timeline

MOST = 5


def changes_since(timeline: Timeline, seen: int) -> list[str]:
    """Return the newest of what people care about, the oldest first."""
    sentences = {
        EventType.STEP_COMPLETED: _("“%(step)s” was done meanwhile."),
        EventType.STEP_SKIPPED: _("“%(step)s” was skipped meanwhile."),
        EventType.STEP_OVERDUE: _("The time for “%(step)s” has run out meanwhile."),
        EventType.STEP_REJECTED: _("“%(step)s” was tried meanwhile, with an input that did not do."),
        EventType.ROUND_BEGUN: _("It was sent back to “%(step)s” meanwhile."),
        EventType.AMENDED: _("Something was corrected meanwhile."),
        EventType.PAUSED: _("It was paused meanwhile."),
        EventType.CANCEL_REQUESTED: _("It was cancelled meanwhile."),
    }
    events = Event.objects.using(timeline.using).filter(timeline=timeline.id, sequence__gt=seen, type__in=sentences)
    found = [
        sentences[EventType(type)] % {"step": str(data.get("to") or step).replace("_", " ")}
        for type, step, data in events.order_by("-sequence").values_list("type", "step", "data")[:MOST]
    ]
    return list(dict.fromkeys(reversed(found)))
