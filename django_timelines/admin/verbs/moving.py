"""Retry and skip: a step that does not go on by itself."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import moments, registry, store
from ...actors import of_user
from ...engine import bells, operate
from ...engine.advance import follow
from ...events import EventType, NewEvent
from ...exceptions import Refused
from ...items import read_all, status_of
from ...models import Run, Timeline
from ...state import (
    ENDED,
    StepStatus,
    awaits_child,
    fold,
    has_unfitting_child,
    run_key,
    split_key,
    standing,
    timeline_status,
)
from ...steps import Delivery
from ..words import lease_of, step_title
from .base import MOST_NAMED, Choice, Outlook, Verb, is_known, run_of, title, titles, type_asked, with_status

MOST_AT_ONCE = 500  # runs that one request retries
SKIPPABLE = (StepStatus.BLOCKED, StepStatus.RETRYING, StepStatus.DUE, StepStatus.WAITING, StepStatus.OVERDUE)


def _can_retry(timeline: Timeline, key: str) -> bool:
    status = status_of(timeline, key)
    goes_on = status in (StepStatus.BLOCKED, StepStatus.RETRYING, StepStatus.RUNNING)
    return is_known(timeline, key) and (goes_on or _is_later(timeline, key))


def _is_later(timeline: Timeline, key: str) -> bool:
    """Tell whether it is due at a time, so that a person may have it done now."""
    return status_of(timeline, key) is StepStatus.DUE and "due" in run_of(timeline, key)


def _is_running(timeline: Timeline, key: str) -> bool:
    return status_of(timeline, key) is StepStatus.RUNNING


def _retry_button(timeline: Timeline, key: str) -> str:
    return _("Retry by force") if _is_running(timeline, key) else _("Retry")


def _look_at_retry(timeline: Timeline, key: str) -> Outlook:
    run, step = run_of(timeline, key), registry.get(timeline.workflow).step(split_key(key)[0])
    if has_unfitting_child(run):
        return Outlook(
            [_("What the timeline that it began gives is looked at again. It begins no other.")], str(run["fence"])
        )
    if operate.has_no_list(registry.get(timeline.workflow), timeline.state, split_key(key)):
        return Outlook([_("Its list is read again now.")], str(run["fence"]))
    words = {"attempt": run["attempt"] + 1, "placement": bells.retry_placement_of(timeline.workflow, step.name)}
    sentences = [_("It is tried again now: attempt %(attempt)s, at %(placement)s.") % words]
    if _is_later(timeline, key):
        sentences = [_("It is done now, whatever its time is: attempt %(attempt)s, at %(placement)s.") % words]
    if run["attempt"] >= step.retry.attempts:
        sentences.append(_("If this attempt fails too, nothing tries again by itself: a person is needed."))
    if not _is_running(timeline, key):
        may_be_done = operate.may_be_done(registry.get(timeline.workflow), split_key(key), run)
        twice = _("It may have been done already: then this does it twice. Look first; what was done is to be skipped.")
        if step.delivery is Delivery.EXACTLY_ONCE:  # a long step: others changed a field that its batches change
            twice = _(
                "It goes on after its last batch, and its own value then stands for the field that was changed meanwhile."
            )
        return Outlook(sentences, str(run["fence"]), [twice] if may_be_done else [])
    choice = Choice("force", _("Take the step from the attempt that is being executed"), required=True)
    return Outlook(sentences, str(run["fence"]), _warnings(timeline, key, step.delivery), choice=choice)


def _warnings(timeline: Timeline, key: str, delivery: Delivery) -> list[str]:
    """Say what becomes of the attempt that is being executed."""
    attempt, fence = run_of(timeline, key)["attempt"], run_of(timeline, key)["fence"]
    warnings = [_("Attempt %(attempt)s is being executed. Wait for its end, if you can.") % {"attempt": attempt}]
    held = Run.objects.using(timeline.using).filter(timeline=timeline, fence=fence)
    if (run := held.select_related("lease").first()) and (lease := lease_of(run)):
        warnings.append((_("It is %(lease)s.") % {"lease": lease}).replace("..", "."))  # "9 p.m." ends with one
    if delivery is Delivery.EXACTLY_ONCE:
        warnings.append(_("What it has written so far rolls back."))
    else:
        warnings.append(_("What it does outside may happen twice. What it comes to is recorded, and never applied."))
    return warnings


def _retry(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    now, force = store.snapshot_of(timeline), bool(asked.get("force"))
    outcome, _after = operate.retry(now, split_key(key), of_user(user), asked["reason"], force=force, exact=True)
    return _("“%(step)s” is tried again. It is %(outcome)s now.") % {"step": title(key), "outcome": _(str(outcome))}


def _can_retry_blocked(timeline: Timeline, key: str) -> bool:
    is_known = registry.find(timeline.workflow) is not None
    return is_known and timeline.status not in ENDED and StepStatus.BLOCKED in standing(timeline.state)


def _look_at_retry_blocked(timeline: Timeline, key: str) -> Outlook:
    declaration, blocked = registry.get(timeline.workflow), with_status(timeline, StepStatus.BLOCKED)
    known = [key for key in blocked if is_known(timeline, key)]
    alone = {key: None for key in known if operate.may_be_done(declaration, split_key(key), run_of(timeline, key))}
    again = [key for key in known if key not in alone]
    sentences = [_("These are tried again now, where their retries run: %(steps)s.") % {"steps": titles(again)}]
    if again[MOST_AT_ONCE:]:
        sentences.append(_("The first %(count)d of them: then do it again.") % {"count": MOST_AT_ONCE})
    left = [
        _("These may have been done. Look at each, and retry or skip it alone: %(steps)s.") % {"steps": titles(alone)}
    ]
    return Outlook(sentences if again else [_("Nothing is tried again.")], str(timeline.head), left if alone else [])


def _retry_blocked(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    head = timeline.head if asked["fence"] else None  # of several at once nobody saw what is blocked
    tries = operate.retry_blocked(timeline.pk, timeline.using, "", of_user(user), asked["reason"], head=head)
    tried = list(islice(tries, MOST_AT_ONCE))
    again = [run_key(*name) for name, refused in tried if refused is None]
    refusals = [refused for _name, refused in tried if refused]
    if not again:
        raise refusals[0] if refusals else Refused(_("Nothing is blocked any more."), "not_applicable")
    return " ".join([_("Tried again: %(steps)s.") % {"steps": titles(again)}, *map(str, refusals[:MOST_NAMED])])


def _can_skip(timeline: Timeline, key: str) -> bool:
    status = status_of(timeline, key)
    return is_known(timeline, key) and status in SKIPPABLE and not run_of(timeline, key).get("final")


def _look_at_skip(timeline: Timeline, key: str) -> Outlook:
    read_all(timeline)
    declaration, now = registry.get(timeline.workflow), store.snapshot_of(timeline)
    events = [NewEvent(EventType.STEP_SKIPPED, *split_key(key))]
    follow(declaration, now, fold(now.state, events, now.head + 1), events, moments.now())
    due = [step_title(event.step) for event in events if event.type == EventType.STEP_DUE]
    status = timeline_status(fold(now.state, events, now.head + 1))
    sentences = [_("It is not executed, and counts as done.")]
    if awaits_child(run_of(timeline, key)) and "of" not in run_of(timeline, key):
        sentences.append(_("The timeline that it began is cancelled. What that has done stays done."))
    if due:
        sentences.append(_("These steps follow: %(steps)s.") % {"steps": ", ".join(due)})
    elif status in ENDED:
        sentences.append(_("With it the timeline is %(status)s.") % {"status": _(str(status))})
    else:
        sentences.append(_("No step follows at once."))
    if missing := [name for name in declaration.fields if name not in timeline.state["fields"]]:
        names = ", ".join(name.replace("_", " ") for name in missing)
        sentences.append(_("It sets no fields but those that you set here. Not set so far: %(f)s.") % {"f": names})
    return Outlook(sentences, str(run_of(timeline, key)["fence"]))


def _skip(timeline: Timeline, key: str, asked: type_asked, user: Any) -> str:
    changes = asked.get("changes", {})
    operate.skip(store.snapshot_of(timeline), split_key(key), asked["reason"], changes, of_user(user), exact=True)
    return _("“%(step)s” is skipped.") % {"step": title(key)}


RETRY = Verb(
    "retry",
    _retry_button,
    gettext_lazy("Try “%(step)s” again?"),
    of_a_step=True,
    needs_reason=False,
    applies=_can_retry,
    look=_look_at_retry,
    act=_retry,
)
RETRY_BLOCKED = Verb(
    "retry_blocked",
    gettext_lazy("Retry what is blocked"),
    gettext_lazy("Try again what is blocked on this timeline?"),
    of_a_step=False,
    needs_reason=False,
    applies=_can_retry_blocked,
    look=_look_at_retry_blocked,
    act=_retry_blocked,
    permits="retry",
)
SKIP = Verb(
    "skip",
    gettext_lazy("Skip"),
    gettext_lazy("Skip “%(step)s”?"),
    of_a_step=True,
    needs_reason=True,
    applies=_can_skip,
    look=_look_at_skip,
    act=_skip,
    fields="may",
)
