"""``timelines pause | resume``: of a timeline, of a workflow, or of everything."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.color import Style

from ...engine.pause import pause_all, resume_all
from ...models import Timeline
from ...store import EVERYTHING
from . import finding
from .base import Answer, Verb, type_options
from .explain import standing
from .pauses import name_of, pause_document, pause_line, pauses_in


def _for_resume(parser: ArgumentParser) -> None:
    finding.add_timeline(parser, needed=False)
    parser.add_argument(
        "--reason", default="", help="Why, for the event, or for the log if it is about more than a timeline."
    )


def _for_pause(parser: ArgumentParser) -> None:
    finding.add_timeline(parser, needed=False)
    parser.add_argument("--reason", required=True, help="Why, for the event, and for whoever asks.")


def _pause(options: type_options, style: Style) -> Answer:
    _check(options)
    if options["timeline"] is not None:
        timeline = finding.timeline(options)
        was_paused = bool(timeline.state.get("paused"))
        timeline.pause(reason=options["reason"])
        return _one(timeline, style, changed=not was_paused, otherwise="It was paused already.")
    label = EVERYTHING if options["workflow"] is None else options["workflow"]
    is_new = pause_all(options["reason"], label, using=finding.database(options))
    said = "is paused now" if is_new else "was paused already"
    return _paused(options, f"{name_of(label)} {said}.", changed=is_new)


def _resume(options: type_options, style: Style) -> Answer:
    _check(options)
    if options["timeline"] is not None:
        timeline = finding.timeline(options)
        was_paused = bool(timeline.state.get("paused"))
        timeline.resume(reason=options["reason"])
        return _one(timeline, style, changed=was_paused, otherwise="It was not paused.")
    label = EVERYTHING if options["workflow"] is None else options["workflow"]
    was_paused = resume_all(label, finding.database(options), reason=options["reason"])
    said = "goes on" if was_paused else "was not paused"
    return _paused(options, f"{name_of(label)} {said}.", changed=was_paused)


def _check(options: type_options) -> None:
    """Take no half-said timeline for everything, or for its workflow."""
    if options["key"] and options["timeline"] is None:
        options["usage_error"]("argument --key: say which, before or after it.")
    if options["timeline"] is not None and options["workflow"] is not None and not options["key"]:
        options["usage_error"]("argument --workflow: a timeline with --key, or all of a workflow without an ID.")


def _one(timeline: Timeline, style: Style, *, changed: bool, otherwise: str) -> Answer:
    now = standing(timeline, style)
    return Answer({"changed": changed} | now.document, [*([] if changed else [otherwise]), *now.lines])


def _paused(options: type_options, sentence: str, *, changed: bool) -> Answer:
    pauses = pauses_in(finding.database(options))
    document = {"changed": changed, "paused": [pause_document(pause) for pause in pauses]}
    return Answer(document, [sentence, *map(pause_line, pauses)])


VERBS = (
    Verb("pause", "Begin nothing new: on a timeline, on those of a workflow, or on any.", _for_pause, _pause),
    Verb("resume", "Go on with a timeline, with those of a workflow, or with everything.", _for_resume, _resume),
)
