"""Frames: what a page is told of a timeline, the same over the socket and when it polls. Made in this one place.

A frame is a JSON object::

    {"sequence": 7, "version": "", "status": "waiting", "truncated": false, "html": "<header …",
     "events": [{"sequence": 7, "type": "StepDue", "step": "activate", "item": "", "attempt": null,
                 "at": "2026-11-22T15:09:00+00:00", "actor": "worker"}]}

``events`` are those that the client has not seen, the newest 200 at most (``truncated`` says that there were more). They
carry no payload: inputs and fields are nobody's business here, and of whoever acted only what kind of actor it was. Nothing
depends on who looks, so that one frame serves all.

A page also tells of the children that steps wait for. When one of them moves, this timeline does not: the ``sequence`` stays
and the ``version`` is another. Clients give both back; a frame is news to whoever differs in either.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone, translation

from .children import version_of
from .models import Event, Timeline
from .outline import outline_of
from .sight import ALL, TOLD, Sight

FRAGMENT = "django_timelines/timeline.html"
_VERSION = re.compile(r"[0-9a-f]{0,16}")
_SEQUENCE = re.compile(r"[0-9]{1,10}")


class Seen(NamedTuple):
    """What a client has seen: the sequence and the version of its last frame, and the language and time zone of its page."""

    sequence: int
    version: str
    language: str
    zone: tzinfo | None = None  # None: the site's own


def read_sequence(text: Any) -> int | None:
    """Read ``?after=``: a sequence of ten digits at most, or None for what is none. No event has a larger one than ``ALL``."""
    return min(int(text), ALL) if isinstance(text, str) and _SEQUENCE.fullmatch(text) else None


def read_version(text: str) -> str:
    """Read ``?version=``; what is none is no version that a frame has."""
    return text if _VERSION.fullmatch(text) else ""


def read_language(text: str) -> str:
    """Return the language if the site has it, else the site's own."""
    return text if text in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def read_zone(text: str) -> tzinfo | None:
    """Return the time zone of this name, or None, which is the site's own, for what names none."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # as a name that is none leads to a folder, or to a file that is none
        return None


def frames(sight: Sight, clients: Iterable[Seen], *, redraws: bool = False) -> dict[Seen, str]:
    """Return the frames of those who are behind, each encoded once, drawn once for each language and time zone; ``redraws``: all.

    The sight has the events after the one that the last of them has seen.
    """
    head, version = sight.timeline.head, version_of(sight)
    behind = {seen for seen in clients if redraws or seen.sequence < head or seen.version != version}
    html = {place: _drawn(sight, *place) for place in {(seen.language, seen.zone) for seen in behind}}
    return {seen: _encoded(sight, seen.sequence, version, html[seen.language, seen.zone]) for seen in behind}


def _drawn(sight: Sight, language: str, zone: tzinfo | None) -> str:
    with translation.override(language), timezone.override(zone):
        return render_to_string(FRAGMENT, {"outline": outline_of(sight)})


def _encoded(sight: Sight, after: int, version: str, html: str) -> str:
    timeline = sight.timeline
    unseen = [_event(*event) for event in sight.events if event[0] > after]
    frame = {"sequence": timeline.head, "version": version, "status": timeline.status}
    frame |= {"truncated": timeline.head - after > len(unseen), "events": unseen, "html": html}
    return json.dumps(frame, separators=(",", ":"))


def described(timeline: Timeline, **wanted: int) -> list[dict[str, Any]]:
    """Return these events of a timeline as frames tell them, the oldest first."""
    rows = Event.objects.using(timeline.using).filter(timeline=timeline.id, **wanted)
    return [_event(*row) for row in rows.order_by("sequence").values_list(*TOLD)]


def _event(
    sequence: int, type: str, step: str, item: str, attempt: int | None, at: datetime, actor: str
) -> dict[str, Any]:
    event = {"sequence": sequence, "type": type, "step": step, "item": item, "attempt": attempt}
    return event | {"at": at.isoformat(), "actor": actor}


def find(id: uuid.UUID, using: str) -> Timeline | None:
    """Return the timeline's row as it is now."""
    return Timeline.objects.using(using).filter(pk=id).first()
