"""The timelines that a page links to: the one that began this one, and those that it began, as far as the reader may see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from . import conf, policy, registry
from .children import MOST
from .models import Timeline
from .outline import title_of


@dataclass(frozen=True, slots=True)
class Relative:
    """A timeline beside this one, and what it is called there.

    A child's status is said as well: the page is told when one moves that a step waits for.
    """

    timeline: Timeline
    title: str

    @property
    def word(self) -> str:
        """Its status, for people."""
        return _(self.timeline.status)


@dataclass(frozen=True, slots=True)
class Relatives:
    """The parent and the first children; ``may_grow``: steps may begin others.

    ``more``: how many children are not listed; 0 where that would count what the site's own policy hides.
    """

    parent: Relative | None
    children: tuple[Relative, ...]
    more: int
    may_grow: bool

    @property
    def are_there(self) -> bool:
        """Tell whether there is any."""
        return bool(self.parent or self.children)


def relatives_of(timeline: Timeline, user: Any, session: Any) -> Relatives:
    """Look for them now: the policy is asked for each."""
    declaration = registry.find(timeline.workflow)
    may_grow = declaration is not None and any(step.child is not None for step in declaration.steps.values())
    children, more = _children(timeline) if may_grow else ([], 0)
    return Relatives(
        next((Relative(one, _title(one)) for one in _parent(timeline) if policy.may_view(one, user, session)), None),
        tuple(Relative(one, _as_child(one)) for one in children if policy.may_view(one, user, session)),
        more if conf.children_are_seen() or policy.sees_all(user) else 0,
        may_grow,
    )


def _parent(timeline: Timeline) -> list[Timeline]:
    return list(Timeline.objects.using(timeline.using).filter(pk=timeline.parent)) if timeline.parent else []


def _children(timeline: Timeline) -> tuple[list[Timeline], int]:
    found = list(timeline.children[: MOST + 1])
    return found[:MOST], timeline.children.count() - MOST if found[MOST:] else 0


def _title(timeline: Timeline) -> str:
    declaration = registry.find(timeline.workflow)
    return declaration.title if declaration else timeline.workflow


def _as_child(timeline: Timeline) -> str:
    """Name it by the step that began it."""
    begun_by = timeline.state["parent"]
    return ": ".join(part for part in (title_of(begun_by["step"]), begun_by["item"]) if part)
