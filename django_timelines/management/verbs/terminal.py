"""A person at a terminal, if there is one: what is said before the answer, what is asked, and how far it is."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path

from django.core.management.base import OutputWrapper

from ...exceptions import Refused
from ..writing import as_json, holdable
from .base import Answer

YES = ("y", "yes")


class Terminal:
    """Where the command writes. Nobody who asked for JSON is told anything else, or asked anything.

    What was typed is done, whatever becomes of the output: who reads no further is told no more, and ``lost`` is what else kept
    something from being written. From code that is the caller's to see.
    """

    def __init__(self, out: OutputWrapper, *, as_json: bool, typed: bool) -> None:
        self.lost: OSError | None = None
        self._out = out
        self._typed = typed
        self._tells = not as_json
        self._is_seen = not as_json and out.isatty()
        self._shown = 0

    def answer(self, answer: Answer) -> None:
        """Print what a verb answers."""
        self._write("\n".join(answer.lines) if self._tells else as_json(answer.document, self._out, indent=2))

    def say(self, lines: Iterable[str]) -> None:
        """Print lines before the answer."""
        if self._tells:
            self._write("\n".join(lines))

    def confirm(self, *, yes: bool) -> None:
        """Ask whether to go on, unless that was said; ``Refused`` if not, or if nobody is there to be asked."""
        if yes:
            return
        if not (self._is_seen and sys.stdin and sys.stdin.isatty()):
            raise Refused("Nobody is there to be asked: add --yes.", "not_confirmed")
        self._write("Go on? [y/N] ", ending="")
        if sys.stdin.readline().strip().lower() not in YES:
            raise Refused("Nothing was done.", "not_confirmed")

    def progress(self, text: str) -> None:
        """Write this over the last progress; where nobody sees it, nothing. An empty text takes it away."""
        if self._is_seen:
            self._write(f"\r{' ' * self._shown}\r{text}", ending="")
            self._shown = len(text)

    def _write(self, text: str, ending: str = "\n") -> None:
        try:
            self._out.write(holdable(text, self._out), ending=ending)
            self._out.flush()
        except OSError as error:
            if not self._typed:
                raise
            self._write_nowhere()
            self.lost = None if isinstance(error, BrokenPipeError) else error

    def _write_nowhere(self) -> None:
        """Let what is still to be written, also by Python at its end, go where there is always room."""
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), self._out.fileno())


def add_yes(parser: ArgumentParser) -> None:
    """Take ``--yes``."""
    parser.add_argument("--yes", action="store_true", help="Do not ask. Needed where nobody is there to be asked.")
