"""Who has a step that waits: one user, or nobody, and then it is for all who may call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from ..actors import Actor, ActorType
from ..answers import answered
from ..events import NewEvent
from ..exceptions import FieldUnset, NotAllowed, PermanentFailure, Rejected
from ..references import has_key
from ..rules import allows, is_here
from ..runs import can_be_stored
from ..state import FOR_PEOPLE, RunName, StepStatus, awaits_child, run_key, type_run
from ..steps import Step
from ..store import Snapshot
from .runner import knowing


def who_gets(step: Step[...], workflow: Any, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``StepDue`` says of ``assigned=``, asked in the step's first attempt. Nobody, if it says so."""
    if step.assigned is None:
        return {}
    try:
        said = step.assigned(workflow, *item.values()) if callable(step.assigned) else getattr(workflow, step.assigned)
    except FieldUnset:
        return {}
    user = answered(f"assigned= of {step.name!r}", said)
    if user is None:
        return {}
    if not isinstance(user, get_user_model()) or not has_key(user):
        raise PermanentFailure(
            f"assigned= of {step.name!r} returned {user!r}. Return a saved user, or None for nobody."
        )
    return {"assigned": described(user)}


def described(user: Any) -> dict[str, str]:
    """Return a user as events and state hold them; the label outlives them."""
    return {"id": str(user.pk), "label": str(user)[:200]}


def instead_of(called: NewEvent, runs: Mapping[str, type_run], actor: Actor) -> NewEvent:
    """Let a call say whose step it is, if somebody else makes it."""
    has = runs.get(run_key(called.step, called.item), {}).get("assigned")
    if not has or actor.id == has["id"]:
        return called
    return replace(called, data={**called.data, "instead_of": has["label"]})


def from_outside(called: NewEvent, step: Step[...], runs: Mapping[str, type_run], caller: Actor | None) -> NewEvent:
    """Let a call from outside say who makes it, where nobody has said yet whose the step is: its attempt asks."""
    run = runs.get(run_key(called.step, called.item), {"status": StepStatus.UPCOMING})
    is_said = run.get("timed") or run.get("given") or run["status"] not in (StepStatus.UPCOMING, StepStatus.BLOCKED)
    if caller is None or step.assigned is None or is_said:
        return called
    return replace(called, data={**called.data, "caller": caller.id if caller.type == ActorType.USER else ""})


def user_named(name: str) -> Any:
    """Return the user of this name; ``Rejected`` if there is none."""
    users = get_user_model()
    try:
        if can_be_stored(name):
            return users._default_manager.get_by_natural_key(name)
    except users.DoesNotExist:
        pass
    raise Rejected({"user": [_("There is no user %(name)s.") % {"name": name}]})


def user_who_has(run: type_run) -> Any:
    """Return the user who has a run, as the database knows them now; None if nobody has it, or they are gone."""
    has = run.get("assigned")
    return get_user_model()._default_manager.filter(pk=has["id"]).first() if has else None


def may_be_given(run: type_run) -> bool:
    """Tell whether a run waits for a person, so that it can be somebody's."""
    return run.get("status") in FOR_PEOPLE and not run.get("final")


def waits_for_nobody(step: Step[...], run: type_run) -> bool:
    """Tell whether a run waits to be called, and its step runs by itself since: no page offers it, and no worker takes it."""
    return run.get("status") == StepStatus.WAITING and not (step.waits or "each" in run or awaits_child(run))


def still_waiting(now: Snapshot, events: Sequence[NewEvent]) -> list[NewEvent]:
    """Return those of the events of a body that give a run to somebody which waits for a person still."""
    waiting = []
    for event in events:
        runs = knowing(now, RunName(event.step, event.item)).state["runs"]
        waiting += [event] if may_be_given(runs.get(run_key(event.step, event.item), {})) else []
    return waiting


def check_theirs(run: type_run, step: str, caller: Actor) -> None:
    """Refuse a call from outside by somebody else than whom the step was given to; they are told who that is."""
    has = run.get("assigned")
    if has and not (caller.type == ActorType.USER and caller.id == has["id"]):
        raise not_theirs(step, has["label"] if caller.id else "")


def not_theirs(step: str, label: str) -> NotAllowed:
    """Say whose a step is. Without a label: that it is somebody else's."""
    words = {"step": step.replace("_", " "), "name": label}
    if not label:
        return NotAllowed(_("“%(step)s” is not yours to call.") % words, "assigned")
    return NotAllowed(_("“%(step)s” is not yours to call: %(name)s has it.") % words, "assigned")


def whose(run: type_run, step: Step[...], workflow: Any) -> str:
    """Say who has an open run, and what is to be done where they cannot call it."""
    has = run.get("assigned")
    if not has:
        return ""
    words, user = {"step": step.name.replace("_", " "), "name": has["label"]}, user_who_has(run)
    if user is None or not is_here(user):
        return _("%(name)s has “%(step)s”, and has left: assign it to somebody else.") % words
    if step.allowed and not workflow._is_behind and not allows(step, workflow, user):
        return _("%(name)s has “%(step)s”, and may not call it: assign it to somebody else.") % words
    return _("%(name)s has “%(step)s”.") % words
