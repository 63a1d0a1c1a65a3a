"""Why is it not moving? One answer for admin, list, page and API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from .. import moments, placements, registry
from ..models import Run, Sighting, Timeline
from ..state import ENDED, StepStatus, TimelineStatus, run_key
from .clock import SIGHTING

UNSEEN = timedelta(seconds=60)
PATIENCE = timedelta(seconds=10)  # for which a due step is no reason to look for workers


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps a timeline where it is: a word for programs, a sentence for people."""

    reason: str
    sentence: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a timeline is where it is; ``str`` of it is for people."""

    reasons: tuple[Reason, ...]

    @property
    def reason(self) -> str:
        """The first reason's word."""
        return self.reasons[0].reason

    def __str__(self) -> str:
        return " ".join(reason.sentence for reason in self.reasons)


def explain(timeline: Timeline) -> Explanation:
    """Answer from the stored rows as they are now."""
    status = timeline.status
    if status in ENDED:
        when = _moment(timeline.changed_at)
        return Explanation(
            (Reason(status, _("It is %(status)s since %(when)s.") % {"status": _(status), "when": when}),)
        )
    reasons = []
    if registry.find(timeline.workflow) is None:
        sentence = _("The code has no workflow %(label)s any more: bring it back or cancel the timeline.")
        reasons.append(Reason("unknown_workflow", sentence % {"label": timeline.workflow}))
    if status == TimelineStatus.CANCELLING:
        reasons.append(Reason("cancelling", _("It is being cancelled; what was begun comes to its end first.")))
    runs = list(Run.objects.using(timeline.using).filter(timeline=timeline.id).order_by("id"))
    for run in runs:
        reasons += _reasons_of(timeline, run)
    reasons += _clock(timeline, runs)
    return Explanation(tuple(reasons) or (Reason("unknown", _("Nothing is open, yet it has not ended.")),))


def _reasons_of(timeline: Timeline, run: Run) -> Iterator[Reason]:
    name = run_key(run.step, run.item)
    words = {
        "step": name.replace("_", " "),
        "attempt": run.attempt,
        "until": _moment(run.until),
        "due": _moment(run.due),
    }
    details = timeline.state["runs"].get(name, {})
    words["error"] = _error(details)
    match run.status:
        case StepStatus.WAITING if run.until:
            sentence = _("It waits until %(until)s for somebody to call “%(step)s”.")
        case StepStatus.WAITING:
            sentence = _("It waits for somebody to call “%(step)s”.")
        case StepStatus.OVERDUE:
            sentence = _("“%(step)s” is overdue since %(until)s; it may still be done.")
        case StepStatus.BLOCKED:
            sentence = _blocked(details)
        case StepStatus.RETRYING if run.due and run.due > moments.now():
            sentence = _("“%(step)s” failed at attempt %(attempt)s (%(error)s) and is tried again at %(due)s.")
        case StepStatus.RUNNING:
            sentence = _("“%(step)s” is being executed, attempt %(attempt)s.")
        case _:
            yield from _due(timeline, run, words)
            return
    yield Reason(run.status, sentence % words, name)


def _blocked(details: dict[str, object]) -> str:
    match details.get("reason"):
        case "interrupted":
            return _(
                "“%(step)s” is blocked: its runner went away in the middle of attempt %(attempt)s. Retry or skip it."
            )
        case "conflict":
            return _("“%(step)s” is blocked: it was done, but a field that it changed was changed meanwhile.")
        case _:
            return _("“%(step)s” is blocked after attempt %(attempt)s: %(error)s. Retry or skip it.")


def _due(timeline: Timeline, run: Run, words: dict[str, object]) -> Iterator[Reason]:
    words["placement"] = run.placement
    if run.attempt:
        sentence = _("“%(step)s” failed at attempt %(attempt)s (%(error)s) and is due again at %(placement)s.")
    else:
        sentence = _("“%(step)s” is due at %(placement)s.")
    yield Reason("due", sentence % words, run_key(run.step, run.item))
    if moments.now() - timeline.changed_at < PATIENCE:
        return
    if nobody_listens(run.placement):
        yield Reason(
            "no_worker", _("No worker listens to %(placement)s: start one.") % words, run_key(run.step, run.item)
        )


def nobody_listens(placement: str) -> bool:
    """Tell whether a placement can say that it has no worker, or cannot be reached at all."""
    try:
        return placements.get(placement).workers() == 0
    except Exception:
        return True


def _clock(timeline: Timeline, runs: list[Run]) -> list[Reason]:
    if not any(run.ring for run in runs):
        return []
    seen = Sighting.objects.using(timeline.using).filter(name=SIGHTING).values_list("at", flat=True).first()
    if seen is not None and moments.now() - seen < UNSEEN:
        return []
    if seen is None:
        return [Reason("no_clock", _("No clock has been seen: start manage.py timelines_clock."))]
    return [
        Reason(
            "no_clock",
            _("No clock has been seen since %(when)s: start manage.py timelines_clock.") % {"when": _moment(seen)},
        )
    ]


def _error(details: dict[str, object]) -> str:
    error = details.get("error")
    if not isinstance(error, dict):
        return _("no error was recorded")
    return ": ".join(
        part for part in (str(error.get("type", "")).rpartition(".")[2], str(error.get("message", ""))) if part
    )


def _moment(moment: object) -> str:
    if moment is None:
        return ""
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")  # type: ignore[arg-type]
