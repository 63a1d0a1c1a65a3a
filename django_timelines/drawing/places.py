"""How far to the right each spot stands: below what it is linked with where it can, and never too near to its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .layers import Bend, Layers, Spot

PASSES = 10
BETWEEN_BOXES, BESIDE_A_BEND = 24.0, 14.0
NEARLY = 36.0
ON_A_PHONE = 332.0
EAR = 26.0  # beside a box that an arrow back begins or ends at
_STIFF = 50.0  # how much more a bend wants to be straight


@dataclass(frozen=True, slots=True)
class _Pull:
    neighbour: Spot
    by: float  # how far from the neighbour it wants to be
    weight: float


def placed(layers: Layers, half: Mapping[str, float], ears: frozenset[str]) -> dict[Spot, float]:
    """Return the middle of each spot, counted from the left edge of the leftmost. ``half`` are half the widths of the boxes.

    All of it is no wider than its widest row has to be, or than a phone is.
    """
    rows = [_row(row, half, ears) for row in layers.rows]
    most = max([ON_A_PHONE, *(row.width for row in rows)])
    at = {spot: most / 2 for row in rows for spot in row.spots}
    above, below = _pulls(layers, half)
    both = {spot: above.get(spot, []) + below.get(spot, []) for spot in at}
    for _ in range(PASSES):
        for row in rows:
            _settle(at, row, most, above)
        for row in reversed(rows):
            _settle(at, row, most, below)
    for row in [*rows, *rows]:
        _settle(at, row, most, both)
    for row in [*rows, *reversed(rows)]:
        _straighten(at, row, most, both)
    left = min((at[row.spots[0]] - row.left for row in rows), default=0.0)
    return {spot: round((x - left) * 2) / 2 for spot, x in at.items()}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of spots, how far each is to be from the one before, and what the outer ones take beyond their middles."""

    spots: Sequence[Spot]
    apart: Sequence[float]
    left: float
    right: float

    @property
    def width(self) -> float:
        return self.left + sum(self.apart) + self.right


def _row(row: Sequence[Spot], half: Mapping[str, float], ears: frozenset[str]) -> _Row:
    left = [half[spot] if isinstance(spot, str) else 0.0 for spot in row]
    right = [beside + (EAR if spot in ears else 0.0) for spot, beside in zip(row, left, strict=True)]
    apart = [
        right[number]
        + left[number + 1]
        + (BETWEEN_BOXES if isinstance(one, str) and isinstance(other, str) else BESIDE_A_BEND)
        for number, (one, other) in enumerate(pairwise(row))
    ]
    return _Row(row, apart, left[0], right[-1])


def _pulls(layers: Layers, half: Mapping[str, float]) -> tuple[dict[Spot, list[_Pull]], dict[Spot, list[_Pull]]]:
    above: dict[Spot, list[_Pull]] = {}
    below: dict[Spot, list[_Pull]] = {}
    for links in layers.links:
        for link in links:
            upper, lower = link.upper, link.lower
            ends = [half[end] + EAR / 2 if link.is_back and isinstance(end, str) else 0.0 for end in (upper, lower)]
            weight = link.pull * (_STIFF if isinstance(upper, Bend) and isinstance(lower, Bend) else 1.0)
            above.setdefault(lower, []).append(_Pull(upper, ends[0] - ends[1], weight))
            below.setdefault(upper, []).append(_Pull(lower, ends[1] - ends[0], weight))
    return above, below


def _settle(at: dict[Spot, float], row: _Row, most: float, pulls: Mapping[Spot, list[_Pull]]) -> None:
    wanted, weights = [], []
    for spot in row.spots:
        found = [(at[pull.neighbour] + pull.by, pull.weight) for pull in pulls.get(spot, ())]
        wanted.append(_median(found) if found else at[spot])
        weights.append(sum(weight for _x, weight in found) or 1e-6)
    places = settled(wanted, weights, row.apart, row.left, most - row.right)
    at.update(zip(row.spots, places, strict=True))


def _straighten(at: dict[Spot, float], row: _Row, most: float, pulls: Mapping[Spot, list[_Pull]]) -> None:
    """Let a bend stand right below or above what it is linked with, where there is room; a box, if it nearly does so."""
    spots, last = row.spots, len(row.spots) - 1
    for number, spot in enumerate(spots):
        first = at[spots[number - 1]] + row.apart[number - 1] if number else row.left
        end = at[spots[number + 1]] - row.apart[number] if number < last else most - row.right
        wanted = [
            at[pull.neighbour] + pull.by for pull in pulls.get(spot, ()) if isinstance(spot, Bend) or pull.weight >= 1
        ]
        fitting = [x for x in wanted if first <= x <= end]
        if isinstance(spot, Bend):
            at[spot] = min(fitting, key=lambda x: (round(sum(abs(x - one) for one in wanted)), -x), default=at[spot])
        else:
            nearest = min(fitting, key=lambda x: abs(x - at[spot]), default=at[spot])
            at[spot] = nearest if abs(nearest - at[spot]) < NEARLY else at[spot]


def _median(found: list[tuple[float, float]]) -> float:
    """Return the middle one of those that pull the most; of an even number the mean of the two in the middle."""
    most = max(weight for _x, weight in found)
    strong = sorted(x for x, weight in found if weight == most)
    half = len(strong) // 2
    return strong[half] if len(strong) % 2 else (strong[half - 1] + strong[half]) / 2


def settled(
    wanted: Sequence[float], weights: Sequence[float], apart: Sequence[float], least: float, most: float
) -> list[float]:
    """Return the places from ``least`` to ``most`` that are nearest to those wanted, each so far behind the one before.

    What would stand too near is put together into a block, which stands at the weighted mean of what its members want.
    """
    shifts = [0.0]
    for distance in apart:
        shifts.append(shifts[-1] + distance)
    blocks: list[list[float]] = []  # the mean, the weight and how many members
    for want, weight, shift in zip(wanted, weights, shifts, strict=False):
        blocks.append([want - shift, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, weight_of_last, members = blocks.pop()
            before = blocks[-1]
            total = before[1] + weight_of_last
            blocks[-1] = [(before[0] * before[1] + mean * weight_of_last) / total, total, before[2] + members]
    means = [max(least, min(mean, most - shifts[-1])) for mean, _weight, members in blocks for _ in range(int(members))]
    return [mean + shift for mean, shift in zip(means, shifts, strict=False)]
