"""``timelines retry-blocked STEP``: its cause is mended, and all that was blocked there goes on."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.color import Style
from django.db import DatabaseError

from ...engine.operate import retry_blocked
from ...exceptions import Conflict, Refused
from ...state import run_key
from ..ending import stopped_by_ctrl_c
from . import finding
from .base import Answer, Verb, plain, type_options
from .typed import word

MOST = 20  # refusals of which people are told one by one
REFUSED = 1


def _arguments(parser: ArgumentParser) -> None:
    help = "The step's name. Of one with each= all items that are blocked."
    parser.add_argument("step", type=word, metavar="STEP", help=help)
    finding.add_workflow(parser, "Only on timelines of this workflow: signup.Signup, say.")
    parser.add_argument("--reason", default="", help="Why, for the events.")
    parser.add_argument("--dry-run", action="store_true", help="Only count the timelines.")


def _run(options: type_options, style: Style) -> Answer:
    step, terminal = options["step"], options["terminal"]
    found = list(finding.among(options).blocked_at(step).order_by("pk").values_list("pk", flat=True))
    if options["dry_run"]:
        document = {"step": step, "timelines": len(found), "dry_run": True}
        return Answer(document, [plain(f"{step} is blocked on {_counted(len(found), 'timeline')}.")])
    retried = 0
    moved: set[uuid.UUID] = set()
    refused: list[dict[str, Any]] = []
    with stopped_by_ctrl_c() as stopped:
        for id, refusal in ((one, refusal) for one in found for refusal in _retry(options, one)):
            if refusal:
                refused.append(refusal)
            else:
                retried += 1
                moved.add(id)
            terminal.progress(f"{retried:,} so far, on {len(moved):,} of {len(found):,} timelines …")
            if stopped.is_set():
                break
    terminal.progress("")
    document = {"step": step, "retried": retried, "timelines": len(moved), "refused": refused, "dry_run": False}
    said = f"{step} is tried again: {_counted(retried, 'run')} on {_counted(len(moved), 'timeline')}."
    said += " Ended before there were no more." if stopped.is_set() else ""
    lines = [plain(said), *(plain(f"Refused on {one['id']}: {one['error']}") for one in refused[:MOST])]
    lines += [f"Refused on {len(refused) - MOST:,} more."] if refused[MOST:] else []
    return Answer(document | {"complete": not stopped.is_set()}, lines, REFUSED if refused else 0)


def _retry(options: type_options, id: uuid.UUID) -> Iterator[dict[str, Any] | None]:
    """Try again what is blocked on one timeline; yield for each run what refused it, if something did."""
    try:
        for name, refused in retry_blocked(id, finding.database(options), options["step"], reason=options["reason"]):
            yield _refusal(id, run_key(*name), str(refused), refused.reason) if refused else None
    except Refused as refused:  # its row is damaged, or gone; the code has no such workflow
        yield _refusal(id, options["step"], str(refused), refused.reason)
    except (Conflict, DatabaseError) as error:  # somebody else wrote again and again
        yield _refusal(id, options["step"], str(error), "conflict")


def _refusal(id: uuid.UUID, step: str, error: str, reason: str) -> dict[str, Any]:
    return {"id": str(id), "step": step, "error": error, "reason": reason}


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


VERB = Verb("retry-blocked", "Try a step again on all timelines on which it is blocked.", _arguments, _run)
