"""The lines of the arrows: straight through a row, in a curve through the room between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .layers import AGAIN, Arrow, Bend, Layers, Spot
from .places import EAR

TIP = 7.0  # the length of an arrow's head


@dataclass(frozen=True, slots=True)
class Size:
    """How large a box is; ``above`` and ``below``: the room for what sits on its edges."""

    width: float
    height: float
    above: float = 0.0
    below: float = 0.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a box stands: its left upper corner, and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Its middle, from the left."""
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Route:
    """The line of an arrow and its head, as the ``d`` of two SVG paths."""

    arrow: Arrow
    line: str
    head: str


def port(source: str, outcome: str, layers: Layers, at: Mapping[Spot, float], half: float) -> float:
    """Return how far from its middle a box lets go of an outcome: what goes aside leaves at the side that it goes to."""
    lead = {arrow.outcome: way[1] for arrow, way in layers.ways.items() if arrow.source == source and len(way) > 1}
    lead.pop(AGAIN, None)
    if outcome == "done" or len(lead) == 1:
        return 0.0
    aside = sorted((at[spot], name) for name, spot in lead.items() if name != "done")
    way_on = at[lead["done"]] if "done" in lead else at[source]
    is_left = at[lead[outcome]] < way_on if len(aside) == 1 else aside[0][1] == outcome
    return (34.0 - half) if is_left else (half - 34.0)


def forwards(
    arrow: Arrow,
    way: Sequence[Spot],
    at: Mapping[Spot, float],
    start: tuple[float, float],
    end: float,
    rows: Sequence[tuple[float, float]],
) -> Route:
    """Draw an arrow downwards from its start to this height. ``rows`` are the upper and lower ends of the rows."""
    x, y = start
    line = [f"M{_n(x)} {_n(y)}"]
    for spot in way[1:]:
        upper, lower = rows[spot.row] if isinstance(spot, Bend) else (end - TIP, end - TIP)
        line.append(_curve(x, y, at[spot], upper) + (f"V{_n(lower)}" if lower > upper else ""))
        x, y = at[spot], lower
    return Route(arrow, "".join(line), f"M{_n(x - 4)} {_n(y)}L{_n(x)} {_n(end)}L{_n(x + 4)} {_n(y)}z")


def backwards(
    arrow: Arrow,
    way: Sequence[Spot],
    at: Mapping[Spot, float],
    frames: Mapping[str, Frame],
    rows: Sequence[tuple[float, float]],
) -> Route:
    """Draw an arrow that leads back: out of the right side of its source, up, and into the right side of its target."""
    source, target = frames[arrow.source], frames[arrow.target]
    if source is target:
        return _round(arrow, source)
    x, y, top = source.right + EAR / 2, source.y, source.y + source.height / 2
    line = [f"M{_n(source.right)} {_n(top)}Q{_n(x)} {_n(top)} {_n(x)} {_n(y)}"]
    for spot in reversed(way[1:-1]):
        assert isinstance(spot, Bend)
        line += [_curve(x, y, at[spot], rows[spot.row][1]), f"V{_n(rows[spot.row][0])}"]
        x, y = at[spot], rows[spot.row][0]
    ear, middle = target.right + EAR / 2, target.y + target.height / 2
    line.append(_curve(x, y, ear, target.bottom))
    line.append(f"Q{_n(ear)} {_n(middle)} {_n(target.right + TIP)} {_n(middle)}")
    return Route(arrow, "".join(line), _head_left(target.right, middle))


def _round(arrow: Arrow, box: Frame) -> Route:
    low, high, out = box.y + box.height * 0.75, box.y + box.height * 0.3, box.right + EAR - 4
    line = f"M{_n(box.right)} {_n(low)}C{_n(out)} {_n(low)} {_n(out)} {_n(high)} {_n(box.right + TIP)} {_n(high)}"
    return Route(arrow, line, _head_left(box.right, high))


def _head_left(x: float, y: float) -> str:
    return f"M{_n(x + TIP)} {_n(y - 4)}L{_n(x)} {_n(y)}L{_n(x + TIP)} {_n(y + 4)}z"


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    if abs(x - to_x) < 0.6:
        return f"L{_n(to_x)} {_n(to_y)}"
    middle = (y + to_y) / 2
    return f"C{_n(x)} {_n(middle)} {_n(to_x)} {_n(middle)} {_n(to_x)} {_n(to_y)}"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
