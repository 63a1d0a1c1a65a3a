"""``timelines assign | revoke``: who is to go on with a timeline, and who may no longer."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.color import Style

from ...engine.assign import assign
from ...engine.assignee import user_named
from ...engine.operate import THE_TIMELINE
from ...engine.revoke import revoke_links
from ...state import split_key
from ...store import snapshot_of
from . import finding
from .base import Answer, Verb, plain, type_options
from .explain import standing
from .typed import step_or_item, word


def _for_revoke(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    help = "The step that the links lead to; of an item: 'make[latte]'. Default: those to the timeline's page."
    parser.add_argument("step", type=step_or_item, metavar="STEP", nargs="?", help=help)
    parser.add_argument("--reason", required=True, help="Why, for the event.")


def _for_assign(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    parser.add_argument("step", type=step_or_item, metavar="STEP", help="The step's name; of an item: 'make[latte]'.")
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--to", type=word, metavar="NAME", help="The user's name.")
    whom.add_argument("--nobody", action="store_true", help="It is for all who may call it.")
    parser.add_argument("--reason", default="", help="Why, for the event.")


def _assign(options: type_options, style: Style) -> Answer:
    timeline, step = finding.timeline(options), options["step"]
    user = None if options["nobody"] else user_named(options["to"])
    assign(snapshot_of(timeline), split_key(step), user, reason=options["reason"])
    timeline.refresh_from_db()
    now = standing(timeline, style)
    return Answer({"step": step, "assigned": user and user.get_username()} | now.document, now.lines)


def _revoke(options: type_options, style: Style) -> Answer:
    timeline, step = finding.timeline(options), options["step"]
    name = THE_TIMELINE if step is None else split_key(step)
    revoke_links(snapshot_of(timeline), options["reason"], name=name)
    timeline.refresh_from_db()
    now = standing(timeline, style)
    said = f"Revoked: the links to {step or 'its page'} that were made by now."
    return Answer({"step": step or "", "revoked_at": timeline.head} | now.document, [plain(said), *now.lines])


VERBS = (
    Verb("assign", "Give a step that waits to one user, or back to all who may call it.", _for_assign, _assign),
    Verb("revoke", "Let no link be good that was made by now.", _for_revoke, _revoke),
)
