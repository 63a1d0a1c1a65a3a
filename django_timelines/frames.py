"""Frames: what a page is told of a timeline, the same over the socket and when it polls. Made in this one place.

A frame is a JSON object::

    {"sequence": 7, "status": "waiting", "truncated": false, "html": "<header …",
     "events": [{"sequence": 7, "type": "StepDue", "step": "activate", "item": "", "attempt": null,
                 "at": "2026-11-22T15:09:00+00:00", "actor": {"type": "worker", "label": ""}}]}

``events`` are those that the client has not seen, the newest 200 at most (``truncated`` says that there were more). They
carry no payload: inputs and fields are nobody's business here. Nothing depends on who looks, so that one frame serves all.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from .actors import ActorType
from .models import Event, Timeline
from .outline import outline_of
from .sight import TOLD, Sight

FRAGMENT = "django_timelines/timeline.html"
type_seen = tuple[int, str]
"""What a client has seen: the sequence of its last frame, and the language of its page."""

_SEQUENCE = re.compile(r"[0-9]{1,10}")
_NAMELESS = frozenset({ActorType.WORKER, ActorType.CLOCK, ActorType.COMMAND})  # their labels name hosts and processes


def read_sequence(text: Any) -> int | None:
    """Read ``?after=``: a sequence of ten digits at most, or None for what is none."""
    return int(text) if isinstance(text, str) and _SEQUENCE.fullmatch(text) else None


def read_language(text: str) -> str:
    """Return the language if the site has it, else the site's own."""
    return text if text in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def frame(sight: Sight, after: int) -> str:
    """Return the frame, encoded, for one client in the language of this context."""
    language = translation.get_language() or settings.LANGUAGE_CODE
    return frames(sight, [(after, language)])[after, language]


def frames(sight: Sight, clients: Iterable[type_seen]) -> dict[type_seen, str]:
    """Return the encoded frames for clients that have seen this much, each encoded once, drawn once for each language.

    The sight has the events after the one that the last of them has seen.
    """
    wanted = set(clients)
    html = {language: _drawn(sight, language) for language in {language for _, language in wanted}}
    return {(after, language): _encoded(sight, after, html[language]) for after, language in wanted}


def _drawn(sight: Sight, language: str) -> str:
    with translation.override(language):
        return render_to_string(FRAGMENT, {"outline": outline_of(sight)})


def _encoded(sight: Sight, after: int, html: str) -> str:
    timeline = sight.timeline
    unseen = [_event(*event) for event in sight.events if event[0] > after]
    frame = {"sequence": timeline.head, "status": timeline.status, "truncated": timeline.head - after > len(unseen)}
    return json.dumps(frame | {"events": unseen, "html": html}, separators=(",", ":"))


def described(timeline: Timeline, **wanted: int) -> list[dict[str, Any]]:
    """Return these events of a timeline as frames tell them, the oldest first."""
    rows = Event.objects.using(timeline.using).filter(timeline=timeline.id, **wanted)
    return [_event(*row) for row in rows.order_by("sequence").values_list(*TOLD)]


def _event(
    sequence: int, type: str, step: str, item: str, attempt: int | None, at: Any, actor: str, label: str
) -> dict[str, Any]:
    shown = "" if actor in _NAMELESS else label
    event = {"sequence": sequence, "type": type, "step": step, "item": item, "attempt": attempt}
    return event | {"at": at.isoformat(), "actor": {"type": actor, "label": shown}}


def find(id: uuid.UUID, using: str) -> Timeline | None:
    """Return the timeline's row as it is now."""
    return Timeline.objects.using(using).filter(pk=id).first()
