"""What is read of a timeline to say how it stands: its row, its open runs, and the events that a page has not seen.

On PostgreSQL it is one statement, seen at one moment, as a push to browsers waits for it; elsewhere it is three.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from . import postgresql
from .models import Event, Run, Timeline
from .state import loaded, type_run

MOST_EVENTS = 200
MOST_ALIKE = 50  # open runs of a step with the same status
MOST_TIMES = 100  # that come with the one statement; what else a page lists is asked for
ALL = 2**31 - 1  # for whoever wants no events: all have been seen
TOLD = ("sequence", "type", "step", "item", "attempt", "at", "actor_type")
_UNREAD = "cursor"  # of a run: nobody's business but its body's

type_told = Sequence[Any]
"""An event as pages are told of it: the values of ``TOLD``."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A timeline as it was at one moment.

    ``runs`` are its open ones, the oldest first; of a step's that stand alike ``MOST_ALIKE`` at most, as the state says how many
    there are. ``events`` are the newest after the one that was asked for. ``times`` say when events were appended, by sequence:
    of some that runs came by to where they stand. ``seen`` are the children that somebody looked at on its behalf, ``heads``
    those of all timelines that a page of this one tells of, once they were asked for.
    """

    timeline: Timeline
    runs: list[Run]
    events: list[type_told]
    times: dict[int, datetime]
    seen: dict[uuid.UUID, Sight | None] = field(default_factory=dict)
    heads: dict[uuid.UUID, int] = field(default_factory=dict)

    def child(self, id: uuid.UUID) -> Sight | None:
        """Look at a timeline that a step of this one began, once; None if it is gone."""
        if id not in self.seen:
            self.seen[id] = look(id, self.timeline.using)
        return self.seen[id]

    def times_of(self, runs: Iterable[type_run]) -> dict[int, datetime]:
        """Return when these runs came to where they stand, by the sequence of that event."""
        missing = {newest_of(run) for run in runs} - self.times.keys()
        if missing:
            events = Event.objects.using(self.timeline.using).filter(timeline=self.timeline.id, sequence__in=missing)
            self.times.update(events.values_list("sequence", "at"))
        return self.times


def newest_of(run: type_run) -> int:
    """Return the sequence of the event that brought a run to where it stands."""
    return int(run.get("undone") or run.get("fence", 0))


def look(id: uuid.UUID, using: str, after: int = ALL) -> Sight | None:
    """Read a timeline, with its events after this one, ``MOST_EVENTS`` at most; None if there is no such timeline."""
    connection = connections[using]
    if postgresql.is_spoken(connection):
        return _in_one_statement(connection, id, after)
    timeline = Timeline.objects.using(using).filter(pk=id).first()
    return None if timeline is None else look_at(timeline, after)


def look_at(timeline: Timeline, after: int = ALL) -> Sight:
    """Read the rest of a timeline whose row is there."""
    found = Run.objects.using(timeline.using).filter(timeline=timeline.id).first_alike(MOST_ALIKE)
    runs = list(found.defer(_UNREAD).order_by("id"))
    if after >= timeline.head:
        return Sight(timeline, runs, [], {})
    events = Event.objects.using(timeline.using).filter(timeline=timeline.id, sequence__lte=timeline.head)
    unseen = events.filter(sequence__gt=max(after, timeline.head - MOST_EVENTS)).order_by("sequence")
    return Sight(timeline, runs, list(unseen.values_list(*TOLD)), {})


def _in_one_statement(connection: BaseDatabaseWrapper, id: uuid.UUID, after: int) -> Sight | None:
    with postgresql.cursor_of(connection) as cursor:
        cursor.execute(_sql(), [after, id])
        found = cursor.fetchone()
    if found is None:
        return None
    *row, runs, events, times = found
    state, fields = (_names(Timeline).index(name) for name in ("state", "fields"))
    row[state], row[fields] = loaded(json.loads(row[state])), json.loads(row[fields])
    alias = connection.alias
    return Sight(
        Timeline.from_db(alias, _names(Timeline), row),
        [Run.from_db(alias, _names(Run), _read(run, _columns_of_a_run())) for run in runs],
        [_read(event, _MOMENT_OF_AN_EVENT) for event in events],
        {int(sequence): datetime.fromisoformat(at) for sequence, at in times.items()},
    )


def _read(values: list[Any], columns: Iterable[tuple[int, Callable[[str], Any]]]) -> list[Any]:
    """Read what JSON has as text."""
    for place, reads in columns:
        values[place] = values[place] and reads(values[place])
    return values


_MOMENT_OF_AN_EVENT = [(TOLD.index("at"), datetime.fromisoformat)]


@cache
def _columns_of_a_run() -> list[tuple[int, Callable[[str], Any]]]:
    read: dict[str, Callable[[str], Any]] = dict.fromkeys(("due", "until", "ring"), datetime.fromisoformat)
    read |= {"id": uuid.UUID, "timeline_id": uuid.UUID, "awaits": uuid.UUID}
    return [(_names(Run).index(name), reads) for name, reads in read.items()]


@cache
def _names(model: type[Model]) -> list[str]:
    return [str(field.attname) for field in model._meta.concrete_fields if field.name != _UNREAD]


@cache
def _sql() -> str:
    row = ", ".join(f't."{name}"' for name in _names(Timeline))
    run = ", ".join(f'r."{name}"' for name in _names(Run))
    event = ", ".join(f'e."{name}"' for name in TOLD)
    columns = ", ".join(f'"{name}"' for name in _names(Run))
    runs = "CASE jsonb_typeof(t.state->'runs') WHEN 'object' THEN t.state->'runs' ELSE '{}' END"  # somebody may have damaged it
    newest = "COALESCE(NULLIF((r.run->>'undone')::int, 0), (r.run->>'fence')::int)"  # as newest_of
    return (
        f"SELECT {row}, "  # noqa: S608 (names are ours)
        f"(SELECT COALESCE(json_agg(json_build_array({run}) ORDER BY r.id), '[]') "
        f"FROM (SELECT {columns}, row_number() OVER (PARTITION BY step, status ORDER BY id) AS place "
        f"FROM {Run._meta.db_table} WHERE timeline_id = t.id) r WHERE r.place <= {MOST_ALIKE}), "
        f"(SELECT COALESCE(json_agg(json_build_array({event}) ORDER BY e.sequence), '[]') FROM {Event._meta.db_table} e "
        f"WHERE e.timeline_id = t.id AND e.sequence > GREATEST(%s::int, t.head - {MOST_EVENTS})), "
        f"(SELECT COALESCE(json_object_agg(e.sequence, e.at), '{{}}') "
        f"FROM (SELECT value AS run FROM jsonb_each({runs}) LIMIT {MOST_TIMES}) r "
        f"JOIN {Event._meta.db_table} e ON e.timeline_id = t.id AND e.sequence = {newest}) "
        f"FROM {Timeline._meta.db_table} t WHERE t.id = %s"
    )
