"""The verbs of a person: which there are, who may use them, where they apply, and what they will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import moments, registry, store
from ..actors import of_user
from ..engine import bells, operate
from ..engine.cancel import cancellation
from ..events import EventType, NewEvent
from ..models import Timeline
from ..state import ENDED, StepStatus, TimelineStatus, fold, split_key, step_status, type_run
from .words import step_title

SKIPPABLE = (StepStatus.BLOCKED, StepStatus.RETRYING, StepStatus.DUE, StepStatus.WAITING, StepStatus.OVERDUE)


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: what it is called, whether it needs a reason, and its three questions."""

    name: str
    button: Any
    question: Any
    of_a_step: bool
    needs_reason: bool
    applies: Callable[[Timeline, str], bool]
    effects: Callable[[Timeline, str], list[str]]
    act: Callable[[Timeline, str, str, Any], str]

    @property
    def permission(self) -> str:
        """The permission that it needs."""
        return f"django_timelines.{self.name}_timeline"


def allowed_verbs(user: Any) -> frozenset[str]:
    """Return the names of the verbs that this user may use."""
    return frozenset(verb.name for verb in VERBS.values() if user.has_perm(verb.permission))


def run_of(timeline: Timeline, key: str) -> type_run:
    """Return what the state holds of a run, or nothing."""
    run: Mapping[str, Any] = timeline.state["runs"].get(key, {})
    return dict(run)


def _known(timeline: Timeline, key: str) -> bool:
    declaration = registry.find(timeline.workflow)
    return declaration is not None and split_key(key)[0] in declaration.steps and timeline.status not in ENDED


def _can_retry(timeline: Timeline, key: str) -> bool:
    status = step_status(timeline.state, *split_key(key))
    return _known(timeline, key) and status in (StepStatus.BLOCKED, StepStatus.RETRYING)


def _retry_effects(timeline: Timeline, key: str) -> list[str]:
    step, attempt = split_key(key)[0], run_of(timeline, key).get("attempt", 0) + 1
    words = {"attempt": attempt, "placement": bells.retry_placement_of(timeline.workflow, step)}
    effects = [_("It is tried again now: attempt %(attempt)s, at %(placement)s.") % words]
    if attempt >= registry.get(timeline.workflow).step(step).retry.attempts:
        effects.append(_("If this attempt fails too, nothing tries again by itself: a person is needed."))
    return effects


def _retry(timeline: Timeline, key: str, reason: str, user: Any) -> str:
    outcome, _after = operate.retry(store.snapshot_of(timeline), split_key(key), of_user(user), reason)
    return _("“%(step)s” is tried again. It is %(outcome)s now.") % {"step": _title(key), "outcome": _(str(outcome))}


def _can_skip(timeline: Timeline, key: str) -> bool:
    status = step_status(timeline.state, *split_key(key))
    return _known(timeline, key) and status in SKIPPABLE and not run_of(timeline, key).get("final")


def _skip_effects(timeline: Timeline, key: str) -> list[str]:
    declaration = registry.get(timeline.workflow)
    skipped = [NewEvent(EventType.STEP_SKIPPED, *split_key(key))]
    after = fold(timeline.state, skipped, timeline.head + 1)
    following = declaration.graph.decide(after, [key], timeline.head + 2, moments.now())
    effects = [_("It is not executed, and counts as done.")]
    if due := [step_title(event.step) for event in following if event.type == EventType.STEP_DUE]:
        effects.append(_("These steps follow: %(steps)s.") % {"steps": ", ".join(due)})
    else:
        effects.append(_("No step follows at once."))
    if missing := [name for name in declaration.fields if name not in timeline.state["fields"]]:
        names = ", ".join(name.replace("_", " ") for name in missing)
        effects.append(_("It sets no fields. Not set so far: %(fields)s.") % {"fields": names})
    return effects


def _skip(timeline: Timeline, key: str, reason: str, user: Any) -> str:
    operate.skip(store.snapshot_of(timeline), split_key(key), reason, {}, of_user(user))
    return _("“%(step)s” is skipped.") % {"step": _title(key)}


def _can_cancel(timeline: Timeline, key: str) -> bool:
    return timeline.status not in ENDED and timeline.status != TimelineStatus.CANCELLING


def _cancel_effects(timeline: Timeline, key: str) -> list[str]:
    declaration = registry.find(timeline.workflow)
    ending = cancellation(declaration, timeline.state, "").data["cancelled"]
    going_on = [run.step for run in timeline.runs.all() if (run.step, run.item) not in map(split_key, ending)]
    effects = []
    if ending:
        steps = ", ".join(_title(key) for key in ending)
        effects.append(_("This stops at once: %(steps)s.") % {"steps": steps})
    if going_on:
        steps = ", ".join(step_title(step) for step in going_on)
        effects.append(_("This was begun and comes to its end first, retries included: %(steps)s.") % {"steps": steps})
    return [*effects, _("No other step is begun. What is done stays done.")]


def _cancel(timeline: Timeline, key: str, reason: str, user: Any) -> str:
    after = operate.cancel(store.snapshot_of(timeline), reason, of_user(user))
    if after.status == TimelineStatus.CANCELLED:
        return _("The timeline is cancelled.")
    return _("The timeline is being cancelled; what was begun comes to its end first.")


def _title(key: str) -> str:
    return step_title(*split_key(key))


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "retry",
            gettext_lazy("Retry"),
            gettext_lazy("Try “%(step)s” again?"),
            of_a_step=True,
            needs_reason=False,
            applies=_can_retry,
            effects=_retry_effects,
            act=_retry,
        ),
        Verb(
            "skip",
            gettext_lazy("Skip"),
            gettext_lazy("Skip “%(step)s”?"),
            of_a_step=True,
            needs_reason=True,
            applies=_can_skip,
            effects=_skip_effects,
            act=_skip,
        ),
        Verb(
            "cancel",
            gettext_lazy("Cancel timeline"),
            gettext_lazy("Cancel this timeline?"),
            of_a_step=False,
            needs_reason=True,
            applies=_can_cancel,
            effects=_cancel_effects,
            act=_cancel,
        ),
    )
}
