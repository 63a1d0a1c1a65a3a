"""``timelines revoke``: who may go on with a timeline, and see it."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.color import Style

from ...engine.revoke import THE_TIMELINE, revoke_links
from ...state import split_key
from ...store import snapshot_of
from . import finding
from .base import Answer, Verb, plain, type_options
from .explain import standing


def _for_revoke(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    help = "The step that the links lead to; of an item: 'make[latte]'. Default: those to the timeline's page."
    parser.add_argument("step", metavar="STEP", nargs="?", default="", help=help)
    parser.add_argument("--reason", required=True, help="Why, for the event.")


def _revoke(options: type_options, style: Style) -> Answer:
    timeline, step = finding.timeline(options), options["step"]
    name = split_key(step) if step else THE_TIMELINE
    revoke_links(snapshot_of(timeline), options["reason"], name=name)
    timeline.refresh_from_db()
    now = standing(timeline, style)
    said = f"Revoked: the links to {step or 'its page'} that were made by now."
    return Answer({"step": step, "revoked_at": timeline.head} | now.document, [plain(said), *now.lines])


VERBS = (Verb("revoke", "Let no link be good that was made by now.", _for_revoke, _revoke),)
