"""Projections: following events, with their places and what is made of them, against reading these events."""

import time
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from django_timelines import following, moments
from django_timelines.engine.follow import follow
from django_timelines.engine.places import MOST_EVENTS
from django_timelines.engine.projecting import begin_new
from django_timelines.engine.rebuild import rebuild
from django_timelines.models import Event, Place, Projection, Timeline

from .databases import Router
from .measure import Effort, Figure, figure, interleaved
from .models import Sum

LABEL, EACH = "bench.Sums", 10  # events of a timeline


def projections(effort: Effort) -> list[Figure]:
    """Follow events from the first on, and rebuild what was made of them."""
    events = effort.events * 10
    _happen(events)
    begin_new(Router.alias)
    sums = following.get(LABEL)

    def followed() -> float:
        Place.objects.all().delete()
        Sum.objects.all().delete()
        Projection.objects.update(walk=moments.now(), walked=None)
        return _seconds(lambda: _to_the_end(sums)) * 1e6 / events

    def rebuilt() -> float:
        return _seconds(lambda: rebuild(sums, Router.alias)) * 1e6 / events

    works = {
        "read": lambda: _seconds(_read) * 1e6 / events,
        "read as values": lambda: _seconds(_read_values) * 1e6 / events,
        "followed": followed,
        "rebuilt": rebuilt,
    }
    took = interleaved(max(1, effort.rounds // 8), works)
    Timeline.objects.filter(key="projected").delete()
    name = f"a projection of {events:,} events"
    return [
        *figure(f"{name}, to reading them", took["followed"], took["read"], "µs each", (None, 2.0)),
        *figure("its rebuild, to reading them", took["rebuilt"], took["read"], "µs each", (None, 2.0)),
        *figure(f"{name}, to reading them as values", took["followed"], took["read as values"], "µs each"),
    ]


def _happen(events: int) -> None:
    """Write that many events, on timelines of ten each, as the engine would have."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO django_timelines_timeline
               (id, workflow, head, status, state, fields, key, correlation, started_by, started_at, changed_at)
               SELECT gen_random_uuid(), 'bench.Long', %s, 'completed', '{}', '{}', 'projected', gen_random_uuid(), '',
               now(), now()
               FROM generate_series(1, %s)""",
            [EACH, events // EACH],
        )
        cursor.execute(
            """INSERT INTO django_timelines_event
               (timeline_id, sequence, type, version, step, item, data, at, actor_type, actor_id, actor_label, placement, trace)
               SELECT id, n, 'Noted', 1, 'one', '', jsonb_build_object('number', n), now(), 'system', '', '', '', ''
               FROM django_timelines_timeline, generate_series(1, %s) n WHERE key = 'projected'""",
            [EACH],
        )
        cursor.execute("ANALYZE")


def _to_the_end(sums: Any) -> None:
    while follow(sums, Router.alias, raises=True):
        pass


def _read() -> None:
    """Read them in their order, as anybody would, and keep none."""
    for _event in _in_order().iterator(MOST_EVENTS):
        pass


def _read_values() -> None:
    """Read them as tuples."""
    for _row in _in_order().values_list().iterator(MOST_EVENTS):
        pass


def _in_order() -> QuerySet[Event]:
    return Event.objects.filter(type="Noted").order_by("timeline_id", "sequence")


def _seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
