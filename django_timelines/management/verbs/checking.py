"""``timelines check``: would what is in flight go on with this code?"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.color import Style

from ...engine.finding import Finding
from ...engine.in_flight import findings
from ...engine.reactions import to_the_past
from . import finding as database_of
from .base import Answer, Verb, plain, type_options

BLOCKS = 1  # the exit code


def _arguments(parser: ArgumentParser) -> None:
    """Take nothing but what every verb takes."""


def _run(options: type_options, style: Style) -> Answer:
    terminal, number = options["terminal"], 0

    def looked_at(so_far: int) -> None:
        nonlocal number
        number = so_far
        terminal.progress(f"{so_far:,} looked at …")

    using = database_of.database(options)
    found = [*findings(using, looked_at), *to_the_past(using)]
    terminal.progress("")
    blocking = sum(one.blocks for one in found)
    document = {"timelines": number, "blocks": bool(blocking), "findings": [_document(one) for one in found]}
    lines = [line for one in sorted(found, key=lambda one: not one.blocks) for line in _lines(one, style)]
    return Answer(document, [*lines, _summary(number, blocking)], BLOCKS if blocking else 0)


def _document(found: Finding) -> dict[str, Any]:
    return {
        "kind": str(found.kind),
        "blocks": found.blocks,
        "workflow": found.workflow,
        "name": found.name,
        "count": found.count,
        "examples": [str(id) for id in found.examples],
        "sentence": found.sentence,
        "hint": found.hint,
    }


def _lines(found: Finding, style: Style) -> Iterator[str]:
    paint = style.ERROR if found.blocks else style.WARNING
    yield paint(plain(found.sentence)) + ("" if found.blocks else " (Nothing blocks.)")
    examples = ", ".join(map(str, found.examples))
    yield f"  {_counted(found.count)}: {examples}{' …' if found.count > len(found.examples) else ''}"
    yield f"  {plain(found.hint)}"


def _summary(number: int, blocking: int) -> str:
    if not blocking:
        return f"{_counted(number)} in flight: nothing would block."
    return f"{_counted(number)} in flight: {blocking} finding{'' if blocking == 1 else 's'} would block."


def _counted(number: int) -> str:
    return f"{number:,} timeline{'' if number == 1 else 's'}"


VERB = Verb("check", "Before a release: find what is in flight and would block with this code.", _arguments, _run)
