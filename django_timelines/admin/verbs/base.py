"""A verb, and what it says before it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from ... import items, registry
from ...items import status_of
from ...models import Timeline
from ...state import ENDED, StepStatus, open_runs, split_key
from ..payloads import Difference
from ..words import step_title

type_asked = Mapping[str, Any]
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that a person may say yes to, or has to where it is ``required``."""

    name: str
    label: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """What will happen. ``seen`` stands for what the person decides on: if it is another one by then, nothing is done.

    ``undo`` are the runs that are undone, in this order, if the person says yes to ``choice``.
    """

    sentences: list[str]
    seen: str = ""
    warnings: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    undo: list[str] = field(default_factory=list)
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: what it is called, whether it needs a reason, where it applies, what it will do, and how it is done.

    ``key`` names a run, or the step to go back to. ``look`` may raise ``Refused``. ``fields`` tells whether it sets fields.
    """

    name: str
    button: Any
    question: Any
    of_a_step: bool
    needs_reason: bool
    applies: Callable[[Timeline, str], bool]
    look: Callable[[Timeline, str], Outlook]
    act: Callable[[Timeline, str, type_asked, Any], str]
    permits: str = ""
    fields: str = ""  # "must" change one, or "may" set some
    asks_whom: bool = False
    is_grave: bool = False

    @property
    def permission(self) -> str:
        """The permission that it needs."""
        return f"django_timelines.{self.permits or self.name}_timeline"

    def button_for(self, timeline: Timeline, key: str) -> str:
        """Return what the button says."""
        return str(self.button(timeline, key) if callable(self.button) else self.button)

    def moved_on(self, timeline: Timeline, key: str) -> str:
        """Say that nothing was done, as what the person saw is not so any more."""
        if self.of_a_step and split_key(key).round and not run_of(timeline, key):
            return _("Nothing was done: “%(step)s” has come to its end.") % {"step": title(key)}
        if self.of_a_step:
            status = str(status_of(timeline, key))
            words = {"step": title(key), "status": _(status)}
            return _("Nothing was done: “%(step)s” has moved on since you saw it. It is %(status)s now.") % words
        if self.applies(timeline, key):
            return _("Nothing was done: the timeline has moved on since you saw it. This would happen now.")
        if "undoing" in timeline.state:
            return _("Nothing was done: the timeline is being rewound already; what is undone comes to its end first.")
        return _("Nothing was done: the timeline is %(status)s.") % {"status": _(timeline.status)}


def run_of(timeline: Timeline, key: str) -> dict[str, Any]:
    """Return what the state holds of a run, or nothing."""
    return dict(items.run_of(timeline, key))


def with_status(timeline: Timeline, *statuses: StepStatus) -> list[str]:
    """Return the keys of the open runs that stand so; of a step with items theirs, not its own."""
    runs = open_runs(items.read_all(timeline)).items()
    return [key for key, run in runs if run["status"] in statuses and "each" not in run]


def is_known(timeline: Timeline, key: str) -> bool:
    """Tell whether the code has this step, and the timeline goes on."""
    declaration = registry.find(timeline.workflow)
    return declaration is not None and split_key(key)[0] in declaration.steps and timeline.status not in ENDED


def title(key: str) -> str:
    """Return a run's name as people read it."""
    return step_title(*split_key(key))


def titles(keys: Any) -> str:
    """Return several of them, with commas; of many the first, and how many more there are."""
    named = [*keys]
    more = _(" and %(count)d more") % {"count": len(named) - MOST_NAMED} if named[MOST_NAMED:] else ""
    return ", ".join(map(title, named[:MOST_NAMED])) + more


def mark(promised: Any) -> str:
    """Return what stands for all that was promised."""
    return hashlib.sha256(json.dumps(promised, sort_keys=True).encode()).hexdigest()[:32]
