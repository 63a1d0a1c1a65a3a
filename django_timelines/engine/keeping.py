"""What pruning may take: timelines whose whole family ended long ago, which no projection has yet to follow, and which no row
of the project's own protects."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db import router
from django.db.models import CASCADE, DO_NOTHING, PROTECT, RESTRICT, Exists, Model, OuterRef, Q
from django.db.models.deletion import get_candidate_relations_to_delete

from .. import following
from ..models import Item, News, Place, Projection, Run, SealedInput, Slot, Timeline, TimelineQuerySet, UniqueValue
from ..state import ENDED

BEFORE_ALL = uuid.UUID(int=0)
BESIDE = (SealedInput, Run, Item, Place, News, Slot, UniqueValue)
"""What goes with a timeline, apart from its events."""


def prunable(using: str, before: datetime) -> TimelineQuerySet:
    """Return the timelines that ended before this. One of a family of which somebody goes on, or did so lately, stays with it."""
    found = _unused(using, before)
    for protected in _protected(using).values():
        found = found.exclude(protected)
    return found


def kept(using: str, before: datetime) -> dict[str, TimelineQuerySet]:
    """Return what would be prunable, by the label of the model whose rows protect it or another of its family."""
    return {label: _unused(using, before).filter(protected) for label, protected in _protected(using).items()}


def are_needed(timelines: TimelineQuerySet, before: datetime) -> bool:
    """Tell whether one of these may not be pruned, or a row of the project's own has to go or to change with it.

    For each reason by itself: a planner joins that, and not several at once.
    """
    using = timelines.db
    referred = [_exists(one.related_model, using, f"{one.field.name}__pk", "pk") for one in referring(using)]
    needs = (~_ended(before), *_needs(using, before), *_protected(using).values(), *referred)
    return any(timelines.filter(need).exists() for need in needs)


def referring(using: str, model: type[Model] = Timeline) -> list[Any]:
    """Return the relations by which rows of the project's own refer to timelines, or to rows of one of its own models.

    Those of which Django does something when what they refer to is deleted.
    """
    relations: Iterable[Any] = get_candidate_relations_to_delete(model._meta)
    return [
        one
        for one in relations
        if one.related_model._meta.app_label != Timeline._meta.app_label
        and one.model._meta.concrete_model is model._meta.concrete_model  # not to a model that this one inherits
        and one.on_delete is not DO_NOTHING
        and router.allow_migrate_model(using, one.related_model)
    ]


def _unused(using: str, before: datetime) -> TimelineQuerySet:
    found = Timeline.objects.using(using).filter(_ended(before))
    for need in _needs(using, before):
        found = found.exclude(need)
    return found


def _protected(using: str) -> dict[str, Q]:
    """Return, by the label of the model of the project's own, of which timelines the family is protected by its rows."""
    found: dict[str, Q] = {}
    for model, refers in _protecting(using, Timeline, "correlation", ()):
        found[model._meta.label] = found.get(model._meta.label, Q()) | _exists(model, using, refers, "correlation")
    return found


def _protecting(
    using: str, model: type[Model], way: str, seen: tuple[type[Model], ...]
) -> Iterator[tuple[type[Model], str]]:
    """Yield the models whose rows protect those of this one, or what would go with them, and how they refer to the family."""
    for one in referring(using, model):
        refers = f"{one.field.name}__{way}"
        if one.on_delete in (PROTECT, RESTRICT):
            yield one.related_model, refers
        elif one.on_delete is CASCADE and one.related_model not in seen:
            yield from _protecting(using, one.related_model, refers, (*seen, one.related_model))


def _exists(model: type[Model], using: str, refers: str, to: str) -> Q:
    return Q(Exists(model._base_manager.using(using).filter(**{refers: OuterRef(to)})))


def _ended(before: datetime) -> Q:
    return Q(status__in=ENDED, changed_at__lt=before)


def _needs(using: str, before: datetime) -> list[Q]:
    """Return for what a timeline stays that ended long ago itself."""
    living = Timeline.objects.using(using).filter(~_ended(before), correlation=OuterRef("correlation"))
    unread = News.objects.using(using).filter(timeline=OuterRef("pk"), projection__in=following.labels())
    return [Q(Exists(living)), Q(Exists(unread)), *_ahead(using)]


def _ahead(using: str) -> list[Q]:
    """Return where the first walks of projections are yet to come: before one was there, nobody wrote news for it."""
    rows, found = Projection.objects.using(using).in_bulk(following.labels()), []
    for label, one in following.everything().items():
        row = rows.get(label)
        if row is None or not row.has_walked:
            ahead = Q(id__gt=(row and row.walked) or BEFORE_ALL)
            found.append(ahead if one.workflows is None else ahead & Q(workflow__in=one.workflows))
    return found
