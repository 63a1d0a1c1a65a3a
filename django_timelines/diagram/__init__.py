"""A workflow as a drawing: its steps as boxes, and where one timeline stands on them. Templates draw it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from django.template.loader import render_to_string

from ..models import Timeline
from ..registry import Declaration
from .parts import Box, Diagram
from .sketch import Sketch

__all__ = ["Box", "Diagram", "as_file", "diagram_of"]

STYLE = Path(__file__).parents[1] / "static" / "django_timelines" / "diagram.css"


def diagram_of(
    declaration: Declaration,
    timeline: Timeline | None = None,
    *,
    rows: Mapping[str, str] | None = None,
    open_runs: Mapping[str, Mapping[str, int]] | None = None,
    child_url: Callable[[uuid.UUID], str] | None = None,
) -> Diagram:
    """Draw a class, or where a timeline stands on it, from its row alone.

    ``rows``: where on the page a step has its row, by its name. ``child_url`` returns the page of a timeline that a step began.
    ``open_runs``: of a class, how many runs are open on each step, by status.
    """
    return Sketch(declaration, timeline, rows or {}, open_runs or {}, child_url).diagram


def as_file(diagram: Diagram) -> str:
    """Return the diagram as an SVG document that stands alone: light or dark, as whoever looks at it has it."""
    context = {"diagram": diagram, "style": STYLE.read_text(encoding="utf-8")}
    return render_to_string("django_timelines/diagram.svg", context).strip() + "\n"
