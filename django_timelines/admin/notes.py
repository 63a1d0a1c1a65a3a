"""What an event says besides the fields that it changed, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from ..audit import name_of
from ..events import EventType
from ..models import Event
from ..state import split_key
from . import words
from .payloads import Payload, payload, title_of

type_notes = Iterator[tuple[str, str]]


def notes_of(event: Event) -> type_notes:
    """Yield what an event of ours says: a title, and a text that may be empty."""
    data = event.data
    if data.get("waiting"):
        yield _("waits for"), _("the timeline that it began") if "child" in data else _("a call")
    if "of" in data:
        yield _("undoes"), _run(data["of"], data.get("round", 0))
    if "each" in data:
        yield _("items"), str(data["each"])
    if data.get("enough") is not None:
        yield _("enough, once done"), str(data["enough"])
    if "may_fail" in data:
        yield _("of which may fail"), str(data["may_fail"])
    if data.get("final"):
        yield _("it cannot be done any more"), ""
    if event.type == EventType.STEP_ASSIGNED:
        yield _("to"), (data["assigned"] or {}).get("label") or _("all who may call it")
    elif data.get("assigned"):
        yield _("for"), data["assigned"]["label"]
    if event.type == EventType.STEP_DUE and "planned" in data:
        yield _("reminder"), str(data["number"])
    yield from _of_a_round(event)
    yield from _of_a_late_result(data)
    if "renamed" in data:
        names = {**data["renamed"]["steps"], **data["renamed"]["fields"]}
        yield _("renamed in the code"), ", ".join(f"{title_of(old)} → {title_of(new)}" for old, new in names.items())
    elif event.type == EventType.STEP_DUE and "reason" in data:  # only a person's retry has one, maybe an empty one
        yield _("tried again by %(name)s") % {"name": name_of(event)}, str(data["reason"])
    elif data.get("reason") and event.type != EventType.ATTEMPT_INTERRUPTED:  # whose title is the word
        yield _("reason"), str(data["reason"])
    if data.get("due"):
        yield _("not before") if event.type == EventType.STEP_DUE else _("next attempt"), words.moment_of(data["due"])
    if data.get("until"):
        yield _("until"), words.moment_of(data["until"])
    if data.get("late"):
        yield _("its time had run out"), words.moment_of(data["was_until"]) if "was_until" in data else ""


def kept_back(data: Mapping[str, Any]) -> list[tuple[str, Payload]]:
    """Return what a body changed that was not taken: it came too late, or somebody else changed it too."""
    return [(title_of(name), payload(value)) for name, value in (data.get("changes_kept_back") or {}).items()]


def _of_a_round(event: Event) -> type_notes:
    data = event.data
    if event.type == EventType.ROUND_BEGUN:
        yield _("from"), _run(data["to"], data["rounds"].get(data["to"], 0))
        if undone := data.get("undo"):
            yield _("undone first"), ", ".join(map(_run, undone))
        if going_on := data.get("going_on"):
            yield _("goes on beside it"), ", ".join(map(_run, going_on.values()))
        if withdrawn := data.get("withdrawn"):
            yield _("withdrawn"), ", ".join(_run(key) for key in withdrawn)
    if event.type == EventType.CANCEL_REQUESTED and (ending := data.get("cancelled")):
        yield _("ended with it"), ", ".join(_run(key) for key in ending)
    if data.get("compensate"):
        yield _("what completed is undone"), ""


def _of_a_late_result(data: Mapping[str, Any]) -> type_notes:
    if not data.get("superseded"):
        return
    if data.get("outcome") == "completed":
        yield _("it completed too late: the step had been taken from it, and nothing of it was applied"), ""
    else:
        yield _("it failed too late: the step had been taken from it already"), ""


def _run(key: str, number: int = 0) -> str:
    step, item, round = split_key(key)
    return words.step_title(step, item, round or number)
