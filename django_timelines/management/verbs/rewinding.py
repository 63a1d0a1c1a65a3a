"""``timelines rewind ID --to STEP``: a new round, once somebody has read what it will do."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.color import Style

from ... import registry
from ...engine import operate
from ...engine.renames import as_called_now
from ...engine.rewind import Rewind, plan_rewind
from ...engine.runner import load
from ...exceptions import MovedOn
from ...models import Timeline
from ...state import run_key, split_key
from ...store import Snapshot
from . import finding
from .base import Answer, Verb, columns, cut, type_options, value_text
from .explain import standing
from .terminal import add_yes
from .typed import word

VALUE = 80  # characters


def _arguments(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    help = "The step that is done again, with all after it."
    parser.add_argument("--to", type=word, required=True, metavar="STEP", help=help)
    parser.add_argument("--reason", help="Why, for the event.")
    parser.add_argument(
        "--undo", action="store_true", help="First undo what completed there, the last completed first."
    )
    parser.add_argument("--dry-run", action="store_true", help="Only say what it would do.")
    add_yes(parser)


def _run(options: type_options, style: Style) -> Answer:
    if options["reason"] is None and not options["dry_run"]:
        options["usage_error"]("the following arguments are required: --reason")
    timeline = finding.timeline(options)
    now = load(timeline.pk, timeline.using, whole=True)
    declaration = registry.get(now.workflow)
    plan = plan_rewind(declaration, as_called_now(declaration, now), options["to"], undo=options["undo"])
    lines = _lines(timeline, plan, style)
    if options["dry_run"]:
        return Answer({"timeline": str(timeline.pk), "rewind": _document(plan)}, [*lines, "Nothing was done."])
    options["terminal"].say(lines)
    options["terminal"].confirm(yes=options["yes"])
    _rewind(now, options)
    timeline.refresh_from_db()
    after = standing(timeline, style)
    return Answer({"rewind": _document(plan)} | after.document, after.lines)


def _rewind(seen: Snapshot, options: type_options) -> None:
    """Do what was shown, or nothing."""
    try:
        operate.rewind(seen, options["to"], options["reason"], undo=options["undo"], exact=True)
    except MovedOn:
        sentence = "Nothing was done: the timeline has moved on since it was looked at. Look again, and then go on."
        raise MovedOn(sentence) from None


def _document(plan: Rewind) -> dict[str, Any]:
    return {
        "to": plan.to,
        "again": list(plan.again),
        "undo": list(plan.undo),
        "fields": plan.fields,
        "unset": list(plan.unset),
        "withdrawn": list(plan.withdrawn),
    }


def _lines(timeline: Timeline, plan: Rewind, style: Style) -> list[str]:
    fields = [f"{name} = {cut(value_text(value), VALUE)}" for name, value in plan.fields.items()]
    rows = (
        ("undone first", _runs(plan.undo)),
        ("done again", ", ".join(plan.again)),
        ("goes back to", ", ".join(fields)),
        ("unset again", ", ".join(plan.unset)),
        ("ends with it", _runs(plan.withdrawn)),
    )
    said = columns([row for row in rows if row[1]], style)
    return [f"{timeline} begins a new round from {plan.to}:", *(f"  {line}" for line in said)]


def _runs(keys: Iterable[str]) -> str:
    return ", ".join(run_key(*split_key(key)[:2]) for key in keys)


VERB = Verb("rewind", "Begin a new round from a step, after saying what that does.", _arguments, _run)
