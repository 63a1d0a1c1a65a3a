"""``timelines prune --older-than 90d``: what ended long ago goes."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, timedelta

from django.core.management.color import Style

from ... import moments
from ...engine.prune import kept_for, prune
from ..ending import stopped_by_ctrl_c
from . import finding
from .base import Answer, Verb, type_options

_AGE = re.compile(r"([1-9][0-9]{0,7})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # where the time in a timeline's key begins


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--older-than", type=age, required=True, metavar="AGE", help="30m, 12h, 90d or 2w, say.")
    finding.add_workflow(parser, "Only those of this workflow: signup.Signup, say.")
    parser.add_argument("--dry-run", action="store_true", help="Only count them.")


def age(text: str) -> timedelta:
    """Read how long ago."""
    found = _AGE.fullmatch(text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is no age. Write 30m, 12h, 90d or 2w, say.")
    asked = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if asked > moments.now() - _EPOCH:
        raise ArgumentTypeError(f"{text!r} is before 1970.")
    return asked


def _run(options: type_options, style: Style) -> Answer:
    label, dry_run, terminal = options["workflow"], options["dry_run"], options["terminal"]
    finding.among(options)  # refuses what is no workflow
    gone, using = 0, finding.database(options)
    with stopped_by_ctrl_c() as stopped:
        for batch in prune(options["older_than"], label or "", dry_run=dry_run, using=using):
            gone += batch
            terminal.progress(f"{gone:,} so far …")
            if stopped.is_set():
                break
    terminal.progress("")
    kept = kept_for(options["older_than"], label or "", using=using)
    document = {"timelines": gone, "dry_run": dry_run, "complete": not stopped.is_set(), "kept": kept}
    said = [f"Kept, as rows of {model} protect them or their families: {count:,}." for model, count in kept.items()]
    return Answer(document, [_said(gone, dry_run=dry_run, stopped=stopped.is_set()), *said])


def _said(gone: int, *, dry_run: bool, stopped: bool) -> str:
    what = f"{gone:,} timeline{'' if gone == 1 else 's'}"
    sentence = f"{what} would be deleted." if dry_run else f"{what} deleted."
    return f"{sentence} Ended before there were no more." if stopped else sentence


VERB = Verb("prune", "Delete the timelines that ended long ago, with all that is theirs.", _arguments, _run)
