"""A layered drawing of a graph, in plain Python: boxes in rows from top to bottom, arrows between them.

After Sugiyama, in brief: each box stands in the row below the lowest one that it comes after (``layers``), the rows are ordered
so that few arrows cross (``order``), and boxes are moved below what they are linked with (``places``). The same graph gives the
same drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .layers import AGAIN, Arrow, Bend, Layers, Spot, layered
from .order import put_in_order
from .places import EAR, placed
from .routes import Frame, Route, Size, backwards, forwards, port

__all__ = ["AGAIN", "Arrow", "Drawing", "Frame", "Route", "Size", "draw"]

MARGIN = 12.0
BETWEEN_ROWS = 30.0
MOST_BETWEEN_ROWS = 72.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where everything is, in pixels. ``ports``: where a box lets go of an outcome, from its middle."""

    width: float
    height: float
    frames: Mapping[str, Frame]
    routes: Sequence[Route]
    ports: Mapping[tuple[str, str], float]


def draw(sizes: Mapping[str, Size], arrows: Sequence[Arrow]) -> Drawing:
    """Lay out boxes of these sizes, which are named in an order in which they may come after one another.

    An arrow ``again`` leads to a box that its source comes after, or to itself. What was drawn lately is remembered.
    """
    return _draw(tuple(sizes.items()), tuple(dict.fromkeys(arrows)))


@lru_cache(maxsize=64)
def _draw(boxes: tuple[tuple[str, Size], ...], arrows: tuple[Arrow, ...]) -> Drawing:
    sizes = dict(boxes)
    layers = layered(sizes, arrows)
    put_in_order(layers)
    half = {name: size.width / 2 for name, size in sizes.items()}
    ears = frozenset(end for arrow in arrows if arrow.outcome == AGAIN for end in (arrow.source, arrow.target))
    at = {spot: x + MARGIN for spot, x in placed(layers, half, ears).items()}
    rows = _heights(layers, sizes, at)
    frames = {
        spot: Frame(at[spot] - half[spot], rows[number][0], sizes[spot].width, rows[number][1] - rows[number][0])
        for number, row in enumerate(layers.rows)
        for spot in row
        if isinstance(spot, str)
    }
    ports = {
        (arrow.source, arrow.outcome): port(arrow.source, arrow.outcome, layers, at, half[arrow.source])
        for arrow in arrows
        if arrow.outcome != AGAIN
    }
    routes = [_route(arrow, layers.ways[arrow], at, frames, sizes, ports, rows) for arrow in arrows]
    right = [frames[box].right + (EAR if box in ears else 0.0) for box in frames]
    bends = [x for spot, x in at.items() if isinstance(spot, Bend)]
    bottom = [frames[box].bottom + size.below for box, size in sizes.items()]
    return Drawing(max([0.0, *right, *bends]) + MARGIN, max([0.0, *bottom]) + MARGIN, frames, routes, ports)


def _heights(layers: Layers, sizes: Mapping[str, Size], at: Mapping[Spot, float]) -> list[tuple[float, float]]:
    """Return where each row begins and ends. The wider the arrows between two rows go, the more room they have."""
    found: list[tuple[float, float]] = []
    y = MARGIN
    for row, links in zip(layers.rows, layers.links, strict=True):
        boxes = [sizes[spot] for spot in row if isinstance(spot, str)]
        y += max(size.above for size in boxes)
        bottom = y + max(size.height for size in boxes)
        found.append((y, bottom))
        span = max((abs(at[link.upper] - at[link.lower]) for link in links), default=0.0)
        y = bottom + max(size.below for size in boxes) + min(MOST_BETWEEN_ROWS, BETWEEN_ROWS + span // 12)
    return found


def _route(
    arrow: Arrow,
    way: Sequence[Spot],
    at: Mapping[Spot, float],
    frames: Mapping[str, Frame],
    sizes: Mapping[str, Size],
    ports: Mapping[tuple[str, str], float],
    rows: Sequence[tuple[float, float]],
) -> Route:
    if arrow.outcome == AGAIN:
        return backwards(arrow, way, at, frames, rows)
    box, below = frames[arrow.source], sizes[arrow.source].below if arrow.outcome != "done" else 0.0
    start = box.middle + ports[arrow.source, arrow.outcome], box.bottom + below
    return forwards(arrow, way, at, start, frames[arrow.target].y - sizes[arrow.target].above, rows)
