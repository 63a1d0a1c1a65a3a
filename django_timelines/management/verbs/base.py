"""What a verb is, and what it answers: a document for programs and lines for people, of which the command prints one."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.management.color import Style

from ...state import StepStatus, TimelineStatus

type_options = Mapping[str, Any]
type_paint = Callable[[str], str]

_PAINTS: dict[str, set[str]] = {
    "SUCCESS": {StepStatus.COMPLETED, StepStatus.SKIPPED},
    "WARNING": {
        StepStatus.WAITING,
        StepStatus.RETRYING,
        StepStatus.OVERDUE,
        TimelineStatus.PAUSED,
        TimelineStatus.CANCELLING,
    },
    "ERROR": {StepStatus.BLOCKED, StepStatus.FAILED},
    "MIGRATE_HEADING": {StepStatus.RUNNING, StepStatus.DUE},
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb found or did: ``document`` is one JSON object, ``lines`` the same for people, ``code`` how it exits."""

    document: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    code: int = 0


@dataclass(frozen=True, slots=True)
class Verb:
    """A sub-command. ``arguments`` declares what it takes; ``run`` does it, and raises ``Refused`` where the engine does.

    Beside what was typed its options have ``terminal`` (a ``Terminal``) and ``usage_error``, which ends with a sentence.
    """

    name: str
    help: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[type_options, Style], Answer]


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and its colour, which takes no room."""

    text: str
    paint: type_paint = str


def of_status(status: str, style: Style) -> Cell:
    """Return a word of the closed lists in the colour that helps to find it."""
    for paint, statuses in _PAINTS.items():
        if status in statuses:
            return Cell(status, getattr(style, paint))
    return Cell(status)


def columns(rows: Iterable[Sequence[str | Cell]], style: Style, heading: Sequence[str] = ()) -> list[str]:
    """Return rows of cells as aligned lines; those of a table under its heading."""
    table = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    if heading and table:
        table.insert(0, [Cell(word.upper(), style.MIGRATE_LABEL) for word in heading])
    table = [[Cell(plain(cell.text), cell.paint) for cell in row] for row in table]
    widths = [max(len(row[n].text) for row in table) for n in range(len(table[0]))] if table else []
    return [
        "  ".join(
            cell.paint(cell.text) + " " * (width - len(cell.text)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def plain(text: str) -> str:
    """Return a text on one line, without what a terminal would obey: stored texts are other people's."""
    return "".join(letter if letter.isprintable() else _written(letter) for letter in text)


def _written(letter: str) -> str:
    return " " if letter in "\n\t" else letter.encode("unicode_escape").decode()


def cut(text: str, length: int) -> str:
    """Return the beginning of a long text, and how long it is."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"


def value_text(value: Any) -> str:
    """Return a stored value as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
