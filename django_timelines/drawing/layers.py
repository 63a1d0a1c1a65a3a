"""Which row each box stands in, and where an arrow bends on its way through the rows between its ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import NamedTuple

AGAIN = "again"
MOST_BESIDE = 5  # boxes of a row; what else could stand there stands below
_MANY = 3  # long arrows to one box, from which on they share their way
_STRONG, _WEAK = 1.0, 1e-6  # how much a link draws its ends below one another


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to another. What has another outcome than ``done`` goes aside; ``again`` leads back up."""

    source: str
    target: str
    outcome: str = "done"


class Bend(NamedTuple):
    """Where a long arrow goes through a row. Those that leave a box for one reason share their bends, and so do many to one."""

    lane: tuple[str, str]
    row: int


Spot = str | Bend


@dataclass(frozen=True, slots=True)
class Link:
    """A piece of an arrow, from a spot to one in the next row."""

    upper: Spot
    lower: Spot
    is_back: bool = False
    pull: float = _STRONG


@dataclass(slots=True)
class Layers:
    """The rows of spots, the links from each row to the next, and the spots that each arrow goes through, downwards."""

    rows: list[list[Spot]]
    links: list[list[Link]]
    ways: dict[Arrow, list[Spot]]


def layered(boxes: Iterable[str], arrows: Iterable[Arrow]) -> Layers:
    """Put each box into the row below the lowest one that it comes after. ``boxes`` are in an order in which they come so."""
    arrows = list(arrows)
    row_of = _rows(boxes, [arrow for arrow in arrows if arrow.outcome != AGAIN])
    into = Counter(arrow.target for arrow in arrows if _is_long(arrow, row_of))
    ways = {arrow: _way(arrow, row_of, shared=into[arrow.target] >= _MANY) for arrow in arrows}
    rows: list[dict[Spot, None]] = [{} for _ in range(max(row_of.values(), default=-1) + 1)]
    links: list[dict[tuple[Spot, Spot, bool], Link]] = [{} for _ in rows]
    for spot in [*row_of, *(spot for way in ways.values() for spot in way)]:
        rows[_row(spot, row_of)][spot] = None
    for arrow, way in ways.items():
        for upper, lower in pairwise(way):
            row, link = _row(upper, row_of), _link(arrow, upper, lower)
            key = upper, lower, link.is_back
            if links[row].setdefault(key, link).pull < link.pull:
                links[row][key] = link
    return Layers([list(row) for row in rows], [list(row.values()) for row in links], ways)


def _rows(boxes: Iterable[str], arrows: list[Arrow]) -> dict[str, int]:
    """Return the row of each box. Where more could stand beside one another than there is room for, they have several rows."""
    sources: dict[str, list[str]] = {box: [] for box in boxes}
    for arrow in arrows:
        sources[arrow.target].append(arrow.source)
    level = _placed(sources, lambda box, row: row)
    beside = Counter(level.values())
    taken: Counter[int] = Counter()

    def free(box: str, row: int) -> int:
        rows = ceil(beside[level[box]] / MOST_BESIDE)
        while taken[row] >= ceil(beside[level[box]] / rows):
            row += 1
        taken[row] += 1
        return row

    return _placed(sources, free)


def _placed(sources: Mapping[str, list[str]], row_for: Callable[[str, int], int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for box, above in sources.items():
        found[box] = row_for(box, max((found[source] + 1 for source in above), default=0))
    return found


def _is_long(arrow: Arrow, row_of: Mapping[str, int]) -> bool:
    return arrow.outcome == "done" and row_of[arrow.target] - row_of[arrow.source] > 1


def _way(arrow: Arrow, row_of: Mapping[str, int], *, shared: bool) -> list[Spot]:
    """Return the spots of an arrow, downwards: of one that leads back its target comes first. One to itself has none."""
    upper, lower = arrow.source, arrow.target
    lane = (lower, "from many") if shared and _is_long(arrow, row_of) else (upper, arrow.outcome)
    if arrow.outcome == AGAIN:
        upper, lower = lower, upper
        lane = (upper, f"{AGAIN} from {lower}")
    if upper == lower:
        return []
    return [upper, *(Bend(lane, row) for row in range(row_of[upper] + 1, row_of[lower])), lower]


def _link(arrow: Arrow, upper: Spot, lower: Spot) -> Link:
    straight = arrow.outcome == "done" or (isinstance(upper, Bend) and isinstance(lower, Bend))
    return Link(upper, lower, arrow.outcome == AGAIN, _STRONG if straight else _WEAK)


def _row(spot: Spot, row_of: Mapping[str, int]) -> int:
    return spot.row if isinstance(spot, Bend) else row_of[spot]
