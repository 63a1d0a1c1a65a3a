"""The timelines that led to one another, as the page of each of them lists them: a tree, the oldest first."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.db.models.fields.json import KT
from django.urls import reverse
from django.utils.safestring import SafeString

from ..models import Event, Timeline
from . import words

MOST = 50
DEEPEST = 3  # levels that are drawn as such


@dataclass(frozen=True, slots=True)
class Member:
    """One of the family."""

    title: str
    url: str
    begun_by: str
    badge: SafeString
    started_at: str
    depth: int
    is_here: bool


@dataclass(frozen=True, slots=True)
class Family:
    """The tree, as a list; ``more``: how many are not listed."""

    members: list[Member]
    parent: Member | None
    more: int


def family_of(timeline: Timeline, site_name: str, sees: Callable[[Timeline], bool], *, counts: bool) -> Family:
    """Look for the family in three queries, whose rows carry no state; of a large one the oldest, and this one.

    ``sees`` tells whether the reader may see one of them, ``counts`` whether they may know how many there are.
    """
    rows = timeline.family.defer("state", "fields").annotate(
        step=KT("state__parent__step"), item=KT("state__parent__item")
    )
    found = {row.pk: row for row in rows[: MOST + 1]}
    more = timeline.family.count() - MOST if len(found) > MOST else 0
    shown = dict(list(found.items())[:MOST])
    for row in rows.filter(pk__in=[pk for pk in (timeline.pk, timeline.parent) if pk and pk not in shown]):
        shown[row.pk] = row
        more -= 1
    shown = {pk: row for pk, row in shown.items() if sees(row)}
    origins = _origins(shown, timeline.using)
    members = {row.pk: _member(row, depth, timeline, site_name) for row, depth in _tree(shown, origins)}
    parent = members.get(timeline.parent) if timeline.parent else None
    return Family(list(members.values()), parent, max(0, more) if counts else 0)


def _origins(rows: dict[uuid.UUID, Timeline], using: str) -> dict[uuid.UUID, uuid.UUID | None]:
    """Return which timeline began each: its parent, or the one whose step started it."""
    firsts = Event.objects.using(using).filter(
        timeline__in=[pk for pk, row in rows.items() if row.parent is None], sequence=1
    )
    started = dict(firsts.values_list("timeline", "cause_timeline"))
    return {pk: row.parent or started.get(pk) for pk, row in rows.items()}


def _tree(rows: dict[uuid.UUID, Timeline], origins: dict[uuid.UUID, uuid.UUID | None]) -> list[tuple[Timeline, int]]:
    """Put each behind the one that began it, with how deep it stands below the first."""
    below: dict[uuid.UUID | None, list[Timeline]] = {}
    for pk, row in sorted(rows.items()):
        origin = origins[pk]
        below.setdefault(origin if origin in rows else None, []).append(row)
    ordered: list[tuple[Timeline, int]] = []
    waiting = [(row, 0) for row in reversed(below.get(None, []))]
    while waiting:
        row, depth = waiting.pop()
        ordered.append((row, depth))
        waiting += [(child, min(depth + 1, DEEPEST)) for child in reversed(below.get(row.pk, []))]
    return ordered


def _member(row: Timeline, depth: int, here: Timeline, site_name: str) -> Member:
    step, item = getattr(row, "step", None), getattr(row, "item", None)
    return Member(
        words.timeline_title(row),
        reverse("admin:django_timelines_timeline_change", args=[row.pk], current_app=site_name),
        words.step_title(step, item or "") if step else "",
        words.badge(row.status),
        words.moment(row.started_at),
        depth,
        row.pk == here.pk,
    )
