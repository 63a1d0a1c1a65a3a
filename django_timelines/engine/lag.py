"""Where the projections stand: what each has yet to look at, since when, and why it has stopped."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.db.models import Count, DateTimeField, Exists, IntegerField, Min, OuterRef, QuerySet, Subquery

from .. import following as known
from ..exceptions import Refused, Unknown
from ..models import News, Place, Projection
from .sightings import FOLLOWER, is_there, last_seen


class ProjectionStatus(StrEnum):
    """A closed list."""

    BUILDING = "building"
    """It is followed for the first time, from the first timeline on."""
    FOLLOWING = "following"
    """It follows what is new."""
    REBUILDING = "rebuilding"
    """Somebody asked for a rebuild, which is not done yet."""
    STOPPED = "stopped"
    """A handler failed at an event. It is tried again ever more rarely."""
    UNKNOWN = "unknown"
    """The code does not have it."""


def with_lag(rows: QuerySet[Projection]) -> QuerySet[Any]:
    """Add how many timelines each has yet to look at (``behind``), since when (``since_when``), and whether it ``is_asked`` to
    be rebuilt.
    """
    news = News.objects.filter(projection=OuterRef("label")).order_by()
    named = news.filter(timeline__isnull=False).values("projection")
    return rows.annotate(
        behind=Subquery(named.values(n=Count("timeline", distinct=True)), output_field=IntegerField()),
        since_when=Subquery(named.values(first=Min("at")), output_field=DateTimeField()),
        is_asked=Exists(news.filter(timeline=None)),
    )


def status_of(row: Any) -> ProjectionStatus:
    """Return the status of a row of ``with_lag``."""
    if row.label not in known.everything():
        return ProjectionStatus.UNKNOWN
    if row.error:
        return ProjectionStatus.STOPPED
    if row.is_asked:
        return ProjectionStatus.REBUILDING
    return ProjectionStatus.FOLLOWING if row.has_walked else ProjectionStatus.BUILDING


def nobody_follows(using: str) -> bool:
    """Tell whether no follower has been seen for a minute, though the code has projections."""
    return bool(known.everything()) and not is_there(last_seen(using, FOLLOWER))


def forget(label: str, using: str) -> None:
    """Forget how far a projection came that the code no longer has; ``Refused`` if it has it. What it wrote is not ours."""
    if label in known.everything():
        raise Refused(
            f"The code has the projection {label}. Rebuild it, or take it from the code first.", "not_applicable"
        )
    if not Projection.objects.using(using).filter(label=label).delete()[0]:
        raise Unknown(f"There is no projection {label!r} that was followed.", "unknown_projection")
    for model in (Place, News):
        model.objects.using(using).filter(projection=label)._raw_delete(using)
