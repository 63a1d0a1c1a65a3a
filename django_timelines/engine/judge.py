"""Whether a call may be made: a pure answer from the state, which says what is missing when it may not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from django.utils.translation import gettext as _

from ..actors import Actor
from ..exceptions import Refused, Unknown
from ..links import CallLink
from ..registry import Declaration
from ..state import (
    DONE,
    FOR_PEOPLE,
    MOVING,
    Outcome,
    RunName,
    StepStatus,
    awaits_child,
    has_unfitting_child,
    run_key,
    step_status,
    type_run,
    type_state,
)
from ..steps import Delivery, may_be_item
from .assignee import check_theirs
from .behind import refuse_if_behind
from .links import check_link


class Verdict(Enum):
    """What to do with a call."""

    ACCEPT = "accept"
    KEEP = "keep"
    """Too early: store it until its step can take it."""
    SAME = "same"
    """It was made before: the first one's outcome is its answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it is judged. ``digest`` is that of its input without secrets."""

    name: RunName
    digest: str
    key: str = ""
    early: bool = False  # it may be kept: the step says so, or its link was made
    seen: int | None = None  # the newest event that the caller knew of
    head: int | None = None  # that of the object which the caller holds: what came after it raced the call
    link: CallLink | None = None  # the link that the caller holds
    caller: Actor | None = None  # who calls from outside


OUTCOMES = {
    StepStatus.COMPLETED: Outcome.COMPLETED,
    StepStatus.SKIPPED: Outcome.COMPLETED,
    StepStatus.RETRYING: Outcome.RETRYING,
    StepStatus.BLOCKED: Outcome.BLOCKED,
    StepStatus.FAILED: Outcome.FAILED,
    StepStatus.NOT_TAKEN: Outcome.NOT_TAKEN,
    StepStatus.DUE: Outcome.DUE,
    StepStatus.RUNNING: Outcome.DUE,
    StepStatus.UPCOMING: Outcome.KEPT,
}


def outcome_of(state: type_state, name: RunName) -> Outcome:
    """Return what a call of this step answers as things stand."""
    run = state["runs"].get(run_key(*name), {"status": ""})
    if awaits_child(run):
        return Outcome.DUE
    status = step_status(state, *name)
    if status is StepStatus.UPCOMING and not run.get("early"):
        return Outcome.UNSETTLED  # the call was of an earlier round
    return OUTCOMES.get(status, Outcome.UNSETTLED)


def judge(declaration: Declaration, state: type_state, call: Call) -> Verdict:
    """Judge a call; ``Refused`` with reason and sentence if it cannot be made."""
    step = call.name[0]
    if step in state.get("renamed", {}):
        refuse_if_behind(declaration, state)
    check_item(declaration, state, call.name)
    if call.key and call.key in state.get("keys", {}):
        earlier_run, earlier_digest = state["keys"][call.key]
        if earlier_run == run_key(*call.name) and earlier_digest == call.digest:
            return Verdict.SAME
        raise Refused(_("The key %(key)s was used before, for another call.") % {"key": call.key}, "key_reused")
    if call.link is not None:
        check_link(declaration, state, call.link)
    run, status = state["runs"].get(run_key(*call.name), {}), step_status(state, *call.name)
    if call.caller is not None:
        check_theirs(run, step, call.caller)
    if awaits_child(run):
        if declaration.step(step).child is not None:
            return Verdict.SAME
        words = {"step": step.replace("_", " ")}
        raise Refused(_("“%(step)s” goes on as a timeline of its own, which takes no such call.") % words, "taken")
    if has_unfitting_child(run) and declaration.step(step).child is not None:
        sentence = _(
            "“%(step)s” has begun a timeline, which is done. Retry it, so that what that gives is looked at again."
        )
        raise Refused(sentence % {"step": step.replace("_", " ")}, "taken")
    if call.seen is not None and status in FOR_PEOPLE and call.seen < run["fence"]:
        raise Refused(_("“%(step)s” has changed since you saw it.") % {"step": step.replace("_", " ")}, "stale")
    is_stopped = state.get("cancelling") and "of" not in run  # what is undone goes on
    going_on = "ended" not in state and not is_stopped
    may_be_done = status is StepStatus.OVERDUE and not run.get("final")
    is_second = not call.key and run.get("digest") == call.digest  # a second click
    tried_again = status is StepStatus.BLOCKED and not (is_second and _is_answered(declaration, run, call))
    if going_on and (may_be_done or status is StepStatus.WAITING or tried_again):
        return Verdict.ACCEPT
    if is_second:
        return Verdict.SAME
    if not declaration.step(step).waits and status is not StepStatus.UPCOMING:
        return Verdict.SAME  # it runs by itself: where it stands is the answer
    if status is StepStatus.UPCOMING and not going_on:
        words = {"step": step.replace("_", " ")}
        raise Refused(_("The timeline is being cancelled, so it does not come to “%(step)s”.") % words, "cancelling")
    if status is StepStatus.UPCOMING and call.early and not run.get("early"):
        return Verdict.KEEP
    if status is StepStatus.UPCOMING and run.get("early"):
        raise Refused(
            _("A call of “%(step)s” is kept already; it waits for its turn.") % {"step": step.replace("_", " ")},
            "taken",
        )
    raise refusal(declaration, state, call.name, status, call.digest)


def _is_answered(declaration: Declaration, run: type_run, call: Call) -> bool:
    """Tell whether a blocked run is the answer to the same call again: it raced the first, or the effect may be there."""
    is_racing = call.head is not None and call.head < run["fence"]
    at_most_once = declaration.step(call.name.step).delivery is Delivery.AT_MOST_ONCE
    return is_racing or bool(run.get("done") or (at_most_once and run.get("tried")))


def check_item(declaration: Declaration, state: type_state, name: RunName) -> None:
    """Refuse a name that is none: an item of a step without ``each=``, one that is not there, or none where one is needed.

    Of an earlier round there is what goes on beside the current one.
    """
    step, item, round = name
    each, every = declaration.step(step).each, state["runs"].get(step, {})
    words = {"step": step.replace("_", " "), "item": item, "round": round}
    if round and run_key(*name) not in state["runs"]:
        raise Unknown(_("Nothing of round %(round)d of “%(step)s” goes on any more.") % words, "unknown_round")
    was_reached = every.get("status", StepStatus.UPCOMING) != StepStatus.UPCOMING and every.get("reason") != "each"
    has_items = "each" in every if was_reached else each is not None  # a release may have changed that since
    if not has_items and not declaration.step(step).is_aside and item:
        raise Unknown(_("“%(step)s” has no items, so none is called %(item)s.") % words, "unknown_item")
    if (has_items or "each" in every) and not item:  # the latter: an undo of many
        raise Refused(_("“%(step)s” is done for each item: say which one.") % words, "item_needed")
    if not round and ("each" in every or not may_be_item(item)) and run_key(*name) not in state["runs"]:
        raise Unknown(_("“%(step)s” has no item %(item)s.") % words, "unknown_item")


def refusal(
    declaration: Declaration, state: type_state, name: RunName, status: StepStatus, digest: str | None = None
) -> Refused:
    """Return why this step cannot be called now. ``digest``: of the input that it would be called with."""
    step = name[0].replace("_", " ")
    was_called = status in MOVING or status in DONE
    if was_called and digest is not None and digest == state["runs"].get(run_key(*name), {}).get("digest"):
        reason = "taken" if status in MOVING else "settled"
        return Refused(_("“%(step)s” was called already, with another key.") % {"step": step}, reason)
    if status is StepStatus.UPCOMING:
        missing = ", ".join(missing_for(declaration, state, name[0])) or _("an earlier step")
        return Refused(
            _("It is not the turn of “%(step)s” yet: %(missing)s comes first.") % {"step": step, "missing": missing},
            "not_yet",
        )
    if status in MOVING and not state["runs"][run_key(*name)].get("call"):  # its within= is being asked for
        return Refused(_("It is not the turn of “%(step)s” yet: it comes next.") % {"step": step}, "not_yet")
    if status in MOVING:
        return Refused(_("“%(step)s” was called already, with other input.") % {"step": step}, "taken")
    if status in DONE:
        return Refused(_("“%(step)s” is done already.") % {"step": step}, "settled")
    if status is StepStatus.OVERDUE:
        return Refused(_("The time for “%(step)s” has run out.") % {"step": step}, "overdue")
    return Refused(
        _("“%(step)s” cannot be called: it is %(status)s.") % {"step": step, "status": _(str(status))}, "settled"
    )


def missing_for(declaration: Declaration, state: type_state, step: str) -> list[str]:
    """Return the steps that are not settled and that this one comes after."""
    node = declaration.graph.nodes.get(step)  # a compensation has none: it comes after nothing
    return [
        dependency.step.replace("_", " ")
        for dependency in (node.after if node else ())
        if step_status(state, dependency.step) not in DONE
    ]
