"""The parts of a diagram, and where in a box everything is. Templates draw them."""

from __future__ import annotations

from dataclasses import dataclass

from ..drawing import Frame, Route
from ..models import Timeline

STACK = 8.0  # how far the lowest of a stack stands out
MARK = 22.0  # the icon on the right


@dataclass(frozen=True, slots=True)
class Tab:
    """An outcome that is not the usual one, at the lower edge of its box; ``x`` is its middle, from the box's left."""

    word: str
    x: float

    @property
    def left(self) -> float:
        """Its left edge."""
        return self.x - 27


@dataclass(frozen=True, slots=True)
class Box:
    """One step. ``label`` is all of it in words; ``url`` leads to its row on the page, ``child_url`` to the timeline it began."""

    name: str
    title: str
    word: str
    said_round: str
    label: str
    lines: tuple[str, ...]
    short_word: str
    css: str
    status: str
    frame: Frame
    tabs: tuple[Tab, ...]
    url: str
    child_url: str
    waits: bool
    is_guarded: bool
    is_any: bool
    is_nested: bool
    has_items: bool
    is_sent_back: bool

    @property
    def height(self) -> float:
        """How high it is."""
        return self.frame.height

    @property
    def width(self) -> float:
        """How wide it is."""
        return self.frame.width

    @property
    def middle(self) -> float:
        """Its middle, from its left."""
        return self.frame.width / 2

    @property
    def top(self) -> float:
        """Where its upper edge is seen, from its own."""
        return -STACK if self.has_items else 0.0

    @property
    def icon_y(self) -> float:
        """Where its icon begins."""
        return self.frame.height / 2 - 10

    @property
    def baselines(self) -> list[tuple[str, float]]:
        """The lines of its title, each with where it stands; the word is below them."""
        first = self.frame.height / 2 - (11 if len(self.lines) > 1 else 3)
        return [(line, first + 15 * number) for number, line in enumerate(self.lines)]

    @property
    def word_y(self) -> float:
        """Where its word stands."""
        return self.baselines[-1][1] + 15

    @property
    def guard_y(self) -> float:
        """Where the middle of the sign of its guard is."""
        return self.top - 4

    @property
    def any_y(self) -> float:
        """Where "any of" stands: above the sign of a guard."""
        return self.top - (21.0 if self.is_guarded else 5.0)

    @property
    def tab_y(self) -> float:
        """Where the middle of its tabs is."""
        return self.frame.height + 5

    @property
    def back_y(self) -> float:
        """Where the sign that it sends the work back stands."""
        return self.frame.height / 2

    @property
    def round(self) -> float:
        """The radius of its corners where it waits for a call."""
        return self.frame.height / 2

    @property
    def inner_width(self) -> float:
        """How wide the inner border of a step is that begins a timeline."""
        return self.frame.width - 8

    @property
    def inner_height(self) -> float:
        """How high that is."""
        return self.frame.height - 8

    @property
    def round_y(self) -> float:
        """How high that is."""
        return self.top - 5

    @property
    def round_x(self) -> float:
        """Where the middle of the sign of its round is."""
        return self.frame.width - 30

    @property
    def mark_x(self) -> float:
        """Where the icon on its right begins."""
        return self.frame.width - MARK - 4


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow: whether the timeline went along it, whether for another outcome than the usual one, or back."""

    route: Route
    is_walked: bool
    is_aside: bool
    is_back: bool


@dataclass(frozen=True, slots=True)
class Diagram:
    """What there is to draw, in pixels. ``id`` is unique on a page."""

    id: str
    title: str
    about: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Line, ...]  # those walked are the last, and so above the others
    timeline: Timeline | None = None

    @property
    def has_people(self) -> bool:
        """Tell whether a step waits for a call."""
        return any(box.waits for box in self.boxes)

    @property
    def has_guards(self) -> bool:
        """Tell whether a step is guarded."""
        return any(box.is_guarded for box in self.boxes)

    @property
    def has_items(self) -> bool:
        """Tell whether a step is done for each item of a list."""
        return any(box.has_items for box in self.boxes)

    @property
    def has_children(self) -> bool:
        """Tell whether a step begins a timeline."""
        return any(box.is_nested for box in self.boxes)

    @property
    def has_asides(self) -> bool:
        """Tell whether the class goes on from a failure, or from a deadline that has passed."""
        return any(line.is_aside for line in self.arrows)

    @property
    def goes_back(self) -> bool:
        """Tell whether a step sends the work back."""
        return any(line.is_back for line in self.arrows)

    @property
    def went_back(self) -> bool:
        """Tell whether a step has done so."""
        return any(line.is_back and line.is_walked for line in self.arrows)
