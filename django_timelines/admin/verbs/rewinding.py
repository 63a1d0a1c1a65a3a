"""Rewind: a new round from a step on, and what that does again, takes back and leaves."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import registry, store
from ...actors import of_user
from ...engine import operate
from ...engine.renames import as_called_now
from ...engine.rewind import NEVER_BEGUN, Rewind, plan_rewind
from ...items import read_all
from ...models import Timeline
from ...registry import Declaration
from ...state import ENDED, StepStatus, awaits_child, run_key, split_key, step_status, type_state
from ...steps import Delivery
from ..payloads import differences
from ..words import run_title, step_title
from .base import Choice, Outlook, Verb, mark, title, titles, type_asked


def goals(timeline: Timeline) -> list[str]:
    """Return the steps that the timeline can be rewound to, in the order of the class."""
    declaration = registry.find(timeline.workflow)
    busy = timeline.state.get("cancelling") or "undoing" in timeline.state
    if declaration is None or timeline.status in ENDED or busy:
        return []
    state = as_called_now(declaration, store.snapshot_of(timeline)).state
    begun = [step for step in declaration.steps if step_status(state, step) not in NEVER_BEGUN]
    return [step for step in begun if step in declaration.graph.nodes]


def _can_rewind(timeline: Timeline, to: str) -> bool:
    return bool(goals(timeline))


def _look_at_rewind(timeline: Timeline, to: str) -> Outlook:
    if not to:
        return Outlook([_("A step and all that comes after it is done again, in a new round.")])
    read_all(timeline)
    declaration = registry.get(timeline.workflow)
    now = as_called_now(declaration, store.snapshot_of(timeline))
    plan = plan_rewind(declaration, now, to, undo=True)
    after = {name: value for name, value in (now.state["fields"] | plan.fields).items() if name not in plan.unset}
    promised = [plan.again, plan.undo, plan.fields, plan.unset, plan.withdrawn]
    return Outlook(
        _sentences(declaration, plan, now.state),
        mark(promised),
        _warnings(declaration, plan, now.state),
        list(differences(now.state["fields"], after)),
        [run_title(now.state, key) for key in plan.undo],
        _choice(plan, now.state),
    )


def _choice(plan: Rewind, state: type_state) -> Choice | None:
    if plan.undo:
        return Choice("undo", _("Undo first what these steps did, the last completed first"))
    return Choice("undo", _("Have them undo what they did")) if _children(plan, state) else None


def _children(plan: Rewind, state: type_state) -> list[str]:
    """Return the runs that end with it and that have begun a timeline, which is under way."""
    return [key for key in plan.withdrawn if awaits_child(state["runs"][key])]


def _sentences(declaration: Declaration, plan: Rewind, state: type_state) -> list[str]:
    sentences = [_("Done again: %(steps)s.") % {"steps": titles(plan.again)}]
    if declaration.step(plan.to).waits:
        sentences.append(_("“%(step)s” then waits for its call again.") % {"step": title(plan.to)})
    if plan.withdrawn:
        sentences.append(_("Withdrawn, as it is open now: %(steps)s.") % {"steps": titles(plan.withdrawn)})
    undone = {split_key(key)[0] for key in plan.undo}
    done = [key for key in plan.again if step_status(state, key) is StepStatus.COMPLETED]
    stays = [key for key in done if key not in undone and not declaration.undo_of(key)]
    if plan.undo and stays:
        sentences.append(_("These have no undo, so what they did stays: %(steps)s.") % {"steps": titles(stays)})
    children = _children(plan, state)
    if children:
        sentence = _(
            "These have begun timelines, which are cancelled, and undo what they did if you have that undone: %(steps)s."
        )
        sentences.append(sentence % {"steps": titles(children)})
    if not plan.undo and not children:
        sentences.append(_("What the steps wrote elsewhere stays: none of them has something to undo."))
    return sentences


def _warnings(declaration: Declaration, plan: Rewind, state: type_state) -> list[str]:
    """Say what becomes of the attempts that are being executed."""
    warnings = []
    for key in plan.withdrawn:
        step = declaration.steps.get(split_key(key)[0])
        if state["runs"][key]["status"] != StepStatus.RUNNING or step is None:
            continue
        if step.delivery is Delivery.EXACTLY_ONCE:
            sentence = _("“%(step)s” is being executed: what it has written so far rolls back.")
        else:
            sentence = _("“%(step)s” is being executed: what it comes to is recorded, and never applied.")
        warnings.append(sentence % {"step": step_title(*split_key(key))})
    return warnings


def _rewind(timeline: Timeline, to: str, asked: type_asked, user: Any) -> str:
    now, undo = store.snapshot_of(timeline), bool(asked.get("undo"))
    operate.rewind(now, to, asked["reason"], of_user(user), undo=undo, exact=True)
    return _("The timeline is rewound: a new round begins from “%(step)s”.") % {"step": step_title(run_key(to))}


REWIND = Verb(
    "rewind",
    gettext_lazy("Rewind"),
    gettext_lazy("Rewind to “%(step)s”?"),
    of_a_step=False,
    needs_reason=True,
    applies=_can_rewind,
    look=_look_at_rewind,
    act=_rewind,
)
