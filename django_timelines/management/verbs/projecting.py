"""``timelines projections | rebuild | forget``: where the projections stand, and one made anew."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.color import Style

from ... import following, moments
from ...engine.errors import described
from ...engine.lag import ProjectionStatus, forget, nobody_follows, status_of, with_lag
from ...engine.projecting import HandlerFailed
from ...engine.rebuild import rebuild
from ...exceptions import Refused
from ...models import Projection
from . import finding
from .base import Answer, Cell, Verb, columns, plain, type_options
from .times import moment, written
from .typed import word

_HEADING = ("projection", "status", "behind", "events", "followed")
_NOBODY = "No follower has been seen for a minute: run manage.py timelines_clock or timelines_follow."


def _no_arguments(parser: ArgumentParser) -> None:
    """Take nothing but what every verb takes."""


def _list(options: type_options, style: Style) -> Answer:
    using = finding.database(options)
    rows, unseen = list(with_lag(Projection.objects.using(using))), nobody_follows(using)
    missing = sorted(set(following.labels()) - {row.label for row in rows})
    lines = columns([_cells(row, style) for row in rows], style, _HEADING)
    lines += [f"{label}: nobody has followed it yet." for label in missing]
    lines += [f"{row.label}: {plain(row.error.partition(chr(10))[0])}" for row in rows if row.error]
    lines += [_NOBODY] if unseen else []
    document = {"projections": [_document(row) for row in rows], "new": missing, "seen": not unseen}
    return Answer(document, lines or ["There are none."])


def _cells(row: Any, style: Style) -> list[str | Cell]:
    status = status_of(row)
    paint = style.ERROR if status == ProjectionStatus.STOPPED else str
    behind = f"{row.behind:,} for {_seconds(row):,} s" if row.behind else "0"
    return [row.label, Cell(str(status), paint), behind, f"{row.events:,}", moment(row.followed_at)]


def _seconds(row: Any) -> int:
    return max(0, round((moments.now() - row.since_when).total_seconds())) if row.since_when else 0


def _document(row: Any) -> dict[str, Any]:
    return {
        "projection": row.label,
        "status": str(status_of(row)),
        "behind": row.behind or 0,
        "behind_for": _seconds(row),
        "events": row.events,
        "followed_at": written(row.followed_at),
        "rebuilt_at": written(row.rebuilt_at),
        "error": row.error,
        "stopped_at": [str(row.stopped_timeline), row.stopped_sequence] if row.stopped_timeline else None,
    }


def _label(parser: ArgumentParser) -> None:
    parser.add_argument("projection", type=word, metavar="PROJECTION", help="Its label: shop.Sales, say.")


def _rebuild(options: type_options, style: Style) -> Answer:
    one, terminal = following.get(options["projection"]), options["terminal"]
    try:
        events = rebuild(one, finding.database(options), lambda number: terminal.progress(f"{number:,} events …"))
    except HandlerFailed as failure:
        said = described(failure.__cause__ or failure)
        sentence = f"{failure} {said['type']}: {said['message']} (--traceback says where.) The rows are as they were."
        raise Refused(sentence, "handler_failed") from failure
    finally:
        terminal.progress("")
    return Answer({"projection": one.label, "events": events}, [f"{one.label} is rebuilt from {events:,} events."])


def _forget(options: type_options, style: Style) -> Answer:
    label = options["projection"]
    forget(label, finding.database(options))
    return Answer({"forgotten": label}, [f"{label} is forgotten. The rows that it wrote are yours to delete."])


VERBS = (
    Verb("projections", "List the projections: how far behind each is, and why one has stopped.", _no_arguments, _list),
    Verb("rebuild", "Make a projection's rows anew from the events, while the old ones are read.", _label, _rebuild),
    Verb("forget", "Forget how far a projection came that the code no longer has.", _label, _forget),
)
