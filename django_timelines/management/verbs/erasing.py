"""``timelines erase ID``: what an ended timeline says goes, what happened stays."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.color import Style
from django.db.models import Exists, OuterRef

from ...events import EventType
from ...models import Event, Timeline
from . import finding
from .base import Answer, Verb, type_options
from .explain import standing
from .terminal import add_yes

MOST = 5


def _arguments(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    parser.add_argument("--reason", required=True, help="Why, for the event. It stays: name nobody in it.")
    add_yes(parser)


def _run(options: type_options, style: Style) -> Answer:
    timeline = finding.timeline(options)
    if not options["yes"]:
        options["terminal"].say(
            [f"{timeline}: its payloads, error texts, keys and people's names go, and nobody brings them back."]
        )
    options["terminal"].confirm(yes=options["yes"])
    timeline.erase(reason=options["reason"])
    now = standing(timeline, style)
    erased = Event.objects.using(timeline.using).filter(timeline=OuterRef("pk"), type=EventType.ERASED)
    left = list(timeline.family.filter(~Exists(erased)).defer("state", "fields"))
    others = [f"Of its family {len(left)} {'is' if len(left) == 1 else 'are'} not: {_named(left)}."] if left else []
    document = {"erased": True, "family_not_erased": [str(one.pk) for one in left]} | now.document
    return Answer(document, [f"{timeline} is erased.", *others, *now.lines])


def _named(timelines: list[Timeline]) -> str:
    """Name some of them."""
    return ", ".join(map(str, timelines[:MOST])) + (" and more" if timelines[MOST:] else "")


VERB = Verb("erase", "Erase what an ended timeline says; what happened stays.", _arguments, _run)
