"""In which order the spots of each row stand, so that few arrows cross."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence

from .layers import Layers, Link, Spot

PASSES = 12
MOST_SWAPPED = 1_000  # spots, above which neighbours are not tried the other way round: that would take long
_ASIDE, _RIGHT = (
    0.01,
    0.4,
)  # so that what goes aside stands to the right of what it may stand beside; and what leads back

type_rows = list[list[Spot]]


def put_in_order(layers: Layers) -> None:
    """Sort each row by where its neighbours stand, downwards and upwards in turn, and keep what crosses least."""
    rows = _downwards(layers.rows, layers)
    best, fewest = rows, _crossings(rows, layers)
    for number in range(PASSES):
        if not fewest:
            break
        rows = _upwards(rows, layers) if number % 2 == 0 else _downwards(rows, layers)
        if sum(map(len, rows)) <= MOST_SWAPPED:
            rows = _swapped(rows, layers)
        if (count := _crossings(rows, layers)) < fewest:
            best, fewest = rows, count
    layers.rows = best


def _downwards(rows: type_rows, layers: Layers) -> type_rows:
    ordered = [list(rows[0])] if rows else []
    for row, links in zip(rows[1:], layers.links, strict=False):
        ordered.append(_sorted(row, ordered[-1], [(link.lower, link.upper, link) for link in links]))
    return ordered


def _upwards(rows: type_rows, layers: Layers) -> type_rows:
    ordered = [list(rows[-1])]
    for row, links in zip(rows[-2::-1], layers.links[-2::-1], strict=True):
        ordered.append(_sorted(row, ordered[-1], [(link.upper, link.lower, link) for link in links]))
    return ordered[::-1]


def _sorted(row: Sequence[Spot], beside: Sequence[Spot], links: list[tuple[Spot, Spot, Link]]) -> list[Spot]:
    """Sort a row by the mean place of its neighbours in the row beside it; what has none stays about where it is."""
    place = {spot: number for number, spot in enumerate(beside)}
    found: dict[Spot, list[float]] = {}
    for spot, neighbour, link in links:
        aside = _RIGHT if link.is_back else 0.0 if link.pull >= 1 else _ASIDE
        found.setdefault(spot, []).append(place[neighbour] + aside)
    scale = len(beside) / max(1, len(row))
    means = {
        spot: sum(found[spot]) / len(found[spot]) if spot in found else number * scale
        for number, spot in enumerate(row)
    }
    return sorted(row, key=means.__getitem__)


def _crossings(rows: type_rows, layers: Layers) -> int:
    return sum(
        _crossing(_places(upper), _places(lower), links)
        for upper, lower, links in zip(rows, rows[1:], layers.links, strict=False)
    )


def _crossing(upper: Mapping[Spot, int], lower: Mapping[Spot, int], links: Sequence[Link]) -> int:
    """Count the pairs of links that cross: of those that begin further left, how many end further right."""
    ends: list[int] = []
    count = 0
    for _start, end in sorted((upper[link.upper], lower[link.lower]) for link in links):
        count += len(ends) - bisect_right(ends, end)
        insort(ends, end)
    return count


def _swapped(rows: type_rows, layers: Layers) -> type_rows:
    """Try neighbours the other way round, as long as that helps."""
    rows = [list(row) for row in rows]
    above: dict[Spot, list[Spot]] = {}
    below: dict[Spot, list[Spot]] = {}
    for links in layers.links:
        for link in links:
            above.setdefault(link.lower, []).append(link.upper)
            below.setdefault(link.upper, []).append(link.lower)
    for _ in range(PASSES):
        helped = [_swap(rows, number, above, below) for number in range(len(rows))]
        if not any(helped):
            break
    return rows


def _swap(rows: type_rows, number: int, above: Mapping[Spot, list[Spot]], below: Mapping[Spot, list[Spot]]) -> bool:
    row, helped = rows[number], False
    beside = [
        (_places(rows[other]), neighbours)
        for other, neighbours in ((number - 1, above), (number + 1, below))
        if 0 <= other < len(rows)
    ]
    ends = [
        {spot: sorted(place[one] for one in neighbours.get(spot, ())) for spot in row} for place, neighbours in beside
    ]
    for left in range(len(row) - 1):
        one, other = row[left], row[left + 1]
        now = sum(_inversions(of[one], of[other]) for of in ends)
        then = sum(_inversions(of[other], of[one]) for of in ends)
        if then < now:
            row[left], row[left + 1], helped = other, one, True
    return helped


def _inversions(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(len(left) - bisect_right(left, end) for end in right)


def _places(row: Sequence[Spot]) -> dict[Spot, int]:
    return {spot: number for number, spot in enumerate(row)}
