"""``timelines retry | skip | amend | cancel``: what a person does when a timeline does not go on by itself."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.color import Style

from ... import registry
from ...engine import operate
from ...exceptions import Refused, Rejected
from ...inputs import read
from ...items import read_named
from ...models import Timeline
from ...state import Outcome, RunName, StepStatus, run_key, split_key
from ...store import snapshot_of
from . import finding
from .base import Answer, Verb, plain, type_options, value_text
from .explain import standing
from .typed import step_or_item

_FORCE = "Also over an attempt that is being executed, and what may have been done already."


def _for_a_step(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    parser.add_argument("step", type=step_or_item, metavar="STEP", help="The step's name; of an item: 'make[latte]'.")


def _for_retry(parser: ArgumentParser) -> None:
    _for_a_step(parser)
    parser.add_argument("--reason", default="", help="Why, for the event.")
    parser.add_argument("--force", action="store_true", help=_FORCE)


def _for_skip(parser: ArgumentParser) -> None:
    _for_a_step(parser)
    _add_reason(parser)
    _add_set(parser, "A field that the step would have set")


def _for_amend(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    _add_reason(parser)
    _add_set(parser, "A field to correct", required=True)


def _for_cancel(parser: ArgumentParser) -> None:
    finding.add_timeline(parser)
    _add_reason(parser)
    parser.add_argument("--compensate", action="store_true", help="Then undo what completed, the last completed first.")


def _add_reason(parser: ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, help="Why, for the event.")


def _add_set(parser: ArgumentParser, what: str, *, required: bool = False) -> None:
    help = f"{what}, as JSON or else as text; may be given several times."
    parser.add_argument(
        "--set", type=field_value, action="append", default=[], metavar="FIELD=VALUE", required=required, help=help
    )


def field_value(text: str) -> tuple[str, str]:
    """Split ``name=value``."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ArgumentTypeError(f"{text!r} is no FIELD=VALUE.")
    return name, value


def _fields(timeline: Timeline, options: type_options) -> dict[str, Any]:
    """Read the values that were typed, as the admin does: JSON or else text, of which a field's type has the last word."""
    declaration = registry.find(timeline.workflow)
    declared = declaration.fields if declaration else {}
    given, errors = dict[str, Any](options["set"]), {}
    for name in given.keys() & declared.keys():
        try:
            given[name] = read(declared[name], given[name])
        except ValidationError as error:
            errors[name] = error.messages
    if errors:
        raise Rejected(errors)
    return given


def _retry(options: type_options, style: Style) -> Answer:
    timeline = finding.timeline(options)
    run, reason = split_key(options["step"]), options["reason"]
    if not options["force"]:
        _see_that_it_is_not_done(timeline, run)
    outcome, _after = operate.retry(snapshot_of(timeline), run, reason=reason, force=options["force"])
    return _moved(timeline, options, outcome, style)


def _see_that_it_is_not_done(timeline: Timeline, name: RunName) -> None:
    declaration = registry.find(timeline.workflow)
    keys = [run_key(step, *name[1:]) for step in declaration.names_of(name.step)] if declaration else []
    runs = read_named(timeline, keys)["runs"]
    blocked = [runs[key] for key in keys if key in runs and runs[key]["status"] == StepStatus.BLOCKED]
    if declaration is not None and any(operate.may_be_done(declaration, name, run) for run in blocked):
        raise Refused(
            f"{run_key(*name)!r} may have been done already. Look, and then skip it, or retry it with --force.",
            "not_applicable",
        )


def _skip(options: type_options, style: Style) -> Answer:
    timeline = finding.timeline(options)
    run, fields = split_key(options["step"]), _fields(timeline, options)
    outcome, _after = operate.skip(snapshot_of(timeline), run, options["reason"], fields)
    return _moved(timeline, options, outcome, style)


def _amend(options: type_options, style: Style) -> Answer:
    timeline = finding.timeline(options)
    fields = _fields(timeline, options)
    operate.amend(snapshot_of(timeline), options["reason"], fields)
    timeline.refresh_from_db()
    now = standing(timeline, style)
    amended = {name: timeline.state["fields"].get(name) for name in fields}
    said = ", ".join(f"{name} = {value_text(value)}" for name, value in amended.items())
    return Answer({"fields": amended} | now.document, [plain(f"Amended: {said}"), *now.lines])


def _cancel(options: type_options, style: Style) -> Answer:
    timeline = finding.timeline(options)
    timeline.cancel(reason=options["reason"], compensate=options["compensate"])
    return standing(timeline, style)


def _moved(timeline: Timeline, options: type_options, outcome: Outcome, style: Style) -> Answer:
    timeline.refresh_from_db()
    now = standing(timeline, style)
    return Answer({"step": options["step"], "outcome": str(outcome)} | now.document, now.lines)


VERBS = (
    Verb("retry", "Try a blocked step again, or one that waits for its next attempt, now.", _for_retry, _retry),
    Verb("skip", "Go past a step, setting the fields that it would have set.", _for_skip, _skip),
    Verb("amend", "Correct fields.", _for_amend, _amend),
    Verb("cancel", "Stop what nobody has begun; what is being executed ends first.", _for_cancel, _cancel),
)
