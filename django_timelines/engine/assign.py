"""Assign: a person gives a step that waits to one user, or back to all who may call it. From then on no earlier link is good."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from .. import registry
from ..actors import Actor
from ..events import EventType, NewEvent
from ..exceptions import NotAllowed, Refused, Rejected
from ..registry import Declaration
from ..rules import allows
from ..state import RunName, run_key, step_status, type_run, type_state
from ..steps import Step
from ..store import Snapshot
from .assignee import described, may_be_given
from .cancel import clean_reason
from .judge import check_item
from .operate import append


def assign(
    snapshot: Snapshot, name: RunName, user: Any, actor: Actor | None = None, reason: str = "", *, exact: bool = False
) -> Snapshot:
    """Give the step to this user, or to nobody in particular (``None``). Who has it already keeps it, and nothing is written."""
    declaration = registry.get(snapshot.workflow)
    step = declaration.step(name[0])

    def event(now: Snapshot) -> NewEvent | None:
        run, to = check_waits(declaration, now.state, name), _checked(step, declaration.workflow._from(now), user)
        has, is_asked = run.get("assigned"), step.assigned is not None and not (run.get("timed") or run.get("given"))
        if (has or {}).get("id") == (to or {}).get("id") and (has or not is_asked):
            return None
        return assigned(name, to, reason)

    return append(declaration, snapshot, event, actor, name, exact=exact)


def prepared(workflow: Any, name: RunName, user: Any, reason: str) -> NewEvent:
    """Return the event that a body asks for. Its timeline may have gone on by the body's completion: see ``still_waiting``."""
    declaration = workflow._declaration
    workflow._run(name)  # of an item it may not have been read yet
    check_waits(declaration, workflow._snapshot.state, name)
    return assigned(name, _checked(declaration.step(name[0]), workflow, user), reason)


def assigned(name: RunName, to: dict[str, str] | None, reason: str) -> NewEvent:
    """Return the event."""
    return NewEvent(EventType.STEP_ASSIGNED, *name, data={"assigned": to, "reason": clean_reason(reason)})


def check_waits(declaration: Declaration, state: type_state, name: RunName) -> type_run:
    """Return the run, if it waits for a person; ``Refused`` if there is nothing to give to anybody."""
    step, words = declaration.step(name[0]), {"step": run_key(*name).replace("_", " ")}
    if not step.waits:
        raise Refused(_("“%(step)s” runs by itself: nobody has it.") % words, "not_applicable")
    check_item(declaration, state, name)
    run, status = state["runs"].get(run_key(*name), {}), step_status(state, *name)
    if not may_be_given(run):
        words["status"] = _(str(status))
        sentence = _("Only a step that waits can be given to somebody: “%(step)s” is %(status)s.")
        raise Refused(sentence % words, "not_applicable")
    return dict(run)


def _checked(step: Step[...], workflow: Any, given: Any) -> dict[str, str] | None:
    """Return the user as the event tells, read anew; say so if they could not call the step."""
    if given is None:
        return None
    users = get_user_model()
    if not isinstance(given, users):
        raise Rejected({"user": [_("%(given)r is no user.") % {"given": given}]})
    user = users._default_manager.filter(pk=given.pk).first()
    words = {"name": given, "step": step.name.replace("_", " ")}
    if user is None or not user.is_active:
        raise Rejected({"user": [_("%(name)s has left.") % words]})
    if step.allowed and not allows(step, workflow, user):
        raise NotAllowed(_("%(name)s may not call “%(step)s”. Who may is said in its allowed=.") % words)
    return described(user)
