"""A step's own ``allowed=``, asked at each call, wherever it comes from."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from .. import actors, policy
from ..actors import Actor, ActorType
from ..exceptions import NotAllowed
from ..rules import allows
from ..steps import Step
from .behind import refuse_if_behind


def check_allowed(step: Step[...], workflow: Any, actor: Actor | None) -> None:
    """See that this actor may call the step; ``NotAllowed`` if not, or ``Refused`` if only newer code can say.

    At a start there is no workflow object yet.
    """
    if not step.allowed:
        return
    actor = actor or actors.current()
    user = policy.user_of(actor)
    if not allows(step, workflow, user, holds_link=actor.type == ActorType.LINK):
        if workflow is not None:
            refuse_if_behind(workflow._declaration, workflow._snapshot.state)
        said = _("%(actor)s may not call “%(step)s”.") % {"step": step.name.replace("_", " "), "actor": actor}
        if actor.type == ActorType.SYSTEM:  # code that has not said for whom it calls, which its author reads
            said += f" Who may is said in its allowed=. Code names who calls: {step.name}.using(actor=user)(…)."
        raise NotAllowed(said)
