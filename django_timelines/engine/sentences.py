"""What is said of one open run: to whoever runs the site, and to visitors."""

from __future__ import annotations

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from .. import moments, registry
from ..models import Run, Timeline
from ..state import RunName, StepStatus, run_key
from ..steps import Delivery, Step
from .assignee import waits_for_nobody

_TURNS = dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)  # would turn the sentence around that quotes them


def called(name: RunName) -> str:
    """Return a run's name in a sentence: "make[latte]", "charge, round 1" for one of an earlier round."""
    words = {"step": run_key(*name[:2]).replace("_", " "), "round": name.round}
    return _("%(step)s, round %(round)d") % words if name.round else str(words["step"])


def word_of(run: Run) -> str:
    """Return the word for programs: what is tried again now is due."""
    return str(StepStatus.DUE) if run.status == StepStatus.RETRYING and not is_later(run) else run.status


def is_later(run: Run) -> bool:
    """Tell whether its time has not come."""
    return run.due is not None and run.due > moments.now()


def step_of(timeline: Timeline, name: RunName) -> Step[...] | None:
    """Return its step; None if the code has it not."""
    declaration = registry.find(timeline.workflow)
    return declaration.steps.get(declaration.current(name.step)) if declaration else None


def sentences_of(run: Run, details: dict[str, object], step: Step[...] | None) -> tuple[str, str]:
    """Return what is to be said of an open run: to whoever runs the site, and to visitors."""
    match run.status:
        case StepStatus.WAITING if step is not None and waits_for_nobody(step, details):
            sentence = _(
                "“%(step)s” waits for a call, and runs by itself in this code: nobody is asked for it. "
                "Rewind to it, so that it runs, skip it, or call it by code."
            )
            return sentence, _("Waiting for “%(step)s”.")
        case StepStatus.WAITING if run.until and run.until <= moments.now():
            sentence = _(
                "The time to call “%(step)s” ran out at %(until)s; a call is taken until a clock has seen that."
            )
            return sentence, _("Waiting for “%(step)s”, which is late since %(until)s.")
        case StepStatus.WAITING if run.until:
            sentence = _("It waits until %(until)s for somebody to call “%(step)s”.")
            return sentence, _("Waiting for “%(step)s”, until %(until)s.")
        case StepStatus.WAITING:
            return _("It waits for somebody to call “%(step)s”."), _("Waiting for “%(step)s”.")
        case StepStatus.OVERDUE:
            sentence = _("“%(step)s” is overdue since %(until)s; it may still be done.")
            return sentence, sentence
        case StepStatus.BLOCKED:
            return _blocked(run, details, step.delivery if step else None), _(
                "“%(step)s” did not work; somebody has to look at it."
            )
        case StepStatus.RUNNING:
            return _("“%(step)s” is being executed, attempt %(attempt)s."), _("Working on “%(step)s”.")
        case StepStatus.RETRYING if details.get("reason") == "interrupted":
            return _interrupted(run), _("“%(step)s” is tried again now.")
        case StepStatus.RETRYING if "error" not in details:
            sentence = _("“%(step)s” was given back by what executed it, and is due again, at %(placement)s.")
            return sentence if run.placement else _("“%(step)s” is due again."), _("“%(step)s” is tried again now.")
        case StepStatus.RETRYING if is_later(run) and not run.attempt:  # after a batch: that counts as none
            sentence = _("“%(step)s” failed on its way (%(error)s) and goes on there at %(due)s.")
            return sentence, _("“%(step)s” did not get further yet; it goes on at %(due)s.")
        case StepStatus.RETRYING if is_later(run):
            sentence = _("“%(step)s” failed at attempt %(attempt)s (%(error)s) and is tried again at %(due)s.")
            return sentence, _("“%(step)s” did not work yet; it is tried again at %(due)s.")
        case StepStatus.DUE if is_later(run) and "planned" in details:
            return _("The next reminder, “%(step)s”, is at %(due)s."), ""
        case StepStatus.DUE if is_later(run):
            sentence = _("“%(step)s” is due at %(due)s, and not before.")
            return sentence, _("“%(step)s” comes next, at %(due)s.")
        case _ if run.attempt and "error" not in details:  # it was done, or is overtaken
            sentence = _("“%(step)s” is tried again, as a person asked: it is due at %(placement)s.")
            return sentence if run.placement else _("“%(step)s” is due again."), _("“%(step)s” is tried again now.")
        case _ if run.attempt:
            sentence = _("“%(step)s” failed at attempt %(attempt)s (%(error)s) and is due again, at %(placement)s.")
            return sentence if run.placement else _("“%(step)s” is due again."), _("“%(step)s” is tried again now.")
        case _:
            sentence = _("“%(step)s” is due at %(placement)s.")
            return sentence if run.placement else _("“%(step)s” is due."), _("“%(step)s” comes next.")


def _interrupted(run: Run) -> str:
    if not run.attempt:  # after a batch: that counts as none
        return _("“%(step)s” was interrupted on its way: the process that executed it went away; it goes on there.")
    if not run.placement:
        return _(
            "“%(step)s” was interrupted in attempt %(attempt)s: the process that executed it went away; it is due again."
        )
    return _(
        "“%(step)s” was interrupted in attempt %(attempt)s: the process that executed it went away; "
        "it is due again, at %(placement)s."
    )


def _blocked(run: Run, details: dict[str, object], delivery: Delivery | None) -> str:
    match details.get("reason"):
        case "interrupted" if delivery is Delivery.EXACTLY_ONCE:  # of which nothing is left
            sentence = _("“%(step)s” is blocked: what executed it went away in attempt %(attempt)s. Retry or skip it.")
        case "interrupted":
            sentence = _(
                "“%(step)s” is blocked: what executed it went away in attempt %(attempt)s, and it may have been done. "
                "Look, and then retry or skip it."
            )
        case "conflict" if delivery is Delivery.EXACTLY_ONCE:  # of which the batches are done
            sentence = _(
                "“%(step)s” is blocked: a field that it changed was changed meanwhile, and what it did since its last batch "
                "rolled back. Retry it, and it goes on there, and its own value stands. "
                "Or skip it, setting the value that is right."
            )
        case "conflict":
            sentence = _(
                "“%(step)s” is blocked: it was done, but a field that it changed was changed meanwhile. "
                "Skip it, setting the value that is right; a retry does it again."
            )
        case _ if not run.attempt:
            sentence = _("“%(step)s” is blocked: %(error)s. Retry or skip it.")
        case _:
            sentence = _("“%(step)s” is blocked after attempt %(attempt)s: %(error)s. Retry or skip it.")
    return sentence


def with_one_full_stop(sentence: str) -> str:
    """End a sentence with one full stop, whatever its last word ends with ("9 p.m.")."""
    return sentence[:-1] if sentence.endswith("..") else sentence


def error_of(details: dict[str, object]) -> str:
    """Return the error that a run ended with, last."""
    error = details.get("error")
    if not isinstance(error, dict):
        return _("no error was recorded")
    parts = (str(error.get("type", "")).rpartition(".")[2], str(error.get("message", "")).rstrip("."))
    return ": ".join(part for part in parts if part).translate(_TURNS)


def moment_of(moment: object) -> str:
    """Write a moment in the reader's time zone and language; nothing for None."""
    if moment is None:
        return ""
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")  # type: ignore[arg-type]
