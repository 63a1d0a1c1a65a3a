"""Goal 9: where a timeline stands, however long it is, against ``SELECT 1``."""

from .databases import connect
from .measure import Effort, Figure, each, figure, interleaved
from .workflows import Long


def state(effort: Effort) -> list[Figure]:
    """Find a timeline and read a field of it."""
    short, long = Long.start(events=6).pk, Long.start(events=effort.events - 4).pk
    with connect(autocommit=True) as raw:
        took = interleaved(
            effort.rounds,
            {
                "raw": each(effort.many, lambda: raw.execute("SELECT 1").fetchone()),
                "short": each(effort.many, lambda: Long.get(short).title),
                "long": each(effort.many, lambda: Long.get(long).title),
            },
        )
    return [*line(long, took["long"], took["raw"]), *line(short, took["short"], took["raw"])]


def line(pk: object, took: float, yardstick: float) -> list[Figure]:
    """Return the line of one timeline."""
    events = Long.get(pk).timeline.events.count()
    return figure(f"state of a timeline of {events:,} events, to SELECT 1", took, yardstick, "ms", (9, 8.0))
