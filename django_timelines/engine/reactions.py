"""Before a release: which reactions would also be to the past. A projection reacts to what happens since it was first followed.

Of a workflow that a projection has not followed so far it has no places, so that the walk comes to all that happened there.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import QuerySet

from .. import following as known
from .. import moments, registry
from ..following import Following
from ..models import Place, Projection, Timeline, first_id_at
from ..registry import Declaration
from .finding import EXAMPLES, Finding, Kind, Problem, Tally
from .follow import WALK_EVERY


def to_the_past(using: str) -> Iterator[Finding]:
    """Yield the reactions to workflows that their projection has not followed, though it has walked past all timelines."""
    followings = known.everything()
    rows = Projection.objects.using(using).filter(label__in=followings, has_walked=True)
    for row in rows.order_by("label") if followings else ():
        passed = Timeline.objects.using(using).filter(id__lt=first_id_at(row.walk - WALK_EVERY)).order_by("id")
        for declaration in _reacted_to(followings[row.label]):
            timelines = passed.filter(workflow__in=declaration.names)
            if not _is_followed(row, timelines):
                said = Problem(Kind.PAST_REACTION, declaration.label, row.label, moments.to_text(row.since))
                examples = list(timelines.values_list("id", flat=True)[:EXAMPLES])
                yield Tally(said, timelines.count(), examples).finding()


def _reacted_to(following: Following) -> Iterator[Declaration]:
    labels = {handler.workflow for handler in following.handlers if handler.is_reaction}
    for label, declaration in sorted(registry.everything().items()):
        if labels & {"", label}:
            yield declaration


def _is_followed(row: Projection, timelines: QuerySet[Timeline]) -> bool:
    """Tell whether the first of a workflow's timelines has a place, if there is one: then all have."""
    first = timelines.values_list("id", flat=True).first()
    places = Place.objects.using(timelines.db).filter(timeline=first, projection=row.label)
    return first is None or places.exists()
