"""Which row each box stands in, and where an arrow bends on its way through the rows between its ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

AGAIN = "again"
_STRONG, _WEAK = 1.0, 1e-6  # how much a link draws its ends below one another


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to another. What has another outcome than ``done`` goes aside; ``again`` leads back up."""

    source: str
    target: str
    outcome: str = "done"


class Bend(NamedTuple):
    """Where a long arrow goes through a row. Arrows that leave a box for the same reason share their bends."""

    lane: tuple[str, ...]
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
    ways = {arrow: _way(arrow, row_of) for arrow in arrows}
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
    sources: dict[str, list[str]] = {}
    for arrow in arrows:
        sources.setdefault(arrow.target, []).append(arrow.source)
    row_of: dict[str, int] = {}
    for box in boxes:
        row_of[box] = max((row_of[source] + 1 for source in sources.get(box, ())), default=0)
    return row_of


def _way(arrow: Arrow, row_of: Mapping[str, int]) -> list[Spot]:
    """Return the spots of an arrow, downwards: of one that leads back its target comes first. One to itself has none."""
    upper, lower = arrow.source, arrow.target
    lane: tuple[str, ...] = (upper, arrow.outcome)
    if arrow.outcome == AGAIN:
        upper, lower = lower, upper
        lane = (upper, AGAIN, lower)
    if upper == lower:
        return []
    return [upper, *(Bend(lane, row) for row in range(row_of[upper] + 1, row_of[lower])), lower]


def _link(arrow: Arrow, upper: Spot, lower: Spot) -> Link:
    straight = arrow.outcome == "done" or (isinstance(upper, Bend) and isinstance(lower, Bend))
    return Link(upper, lower, arrow.outcome == AGAIN, _STRONG if straight else _WEAK)


def _row(spot: Spot, row_of: Mapping[str, int]) -> int:
    return spot.row if isinstance(spot, Bend) else row_of[spot]
