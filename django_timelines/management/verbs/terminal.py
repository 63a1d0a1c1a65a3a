"""A person at a terminal, if there is one: what is said before the answer, what is asked, and how far it is."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterable

from django.core.management.base import OutputWrapper

from ...exceptions import Refused

YES = ("y", "yes")


class Terminal:
    """Where the command writes. Nobody who asked for JSON is told anything else, or asked anything."""

    def __init__(self, out: OutputWrapper, *, as_json: bool) -> None:
        self._out = out
        self._tells = not as_json
        self._is_seen = not as_json and out.isatty()
        self._written = 0

    def say(self, lines: Iterable[str]) -> None:
        """Print lines before the answer."""
        if self._tells:
            self._out.write("\n".join(lines))

    def confirm(self, *, yes: bool) -> None:
        """Ask whether to go on, unless that was said; ``Refused`` if not, or if nobody is there to be asked."""
        if yes:
            return
        if not (self._is_seen and sys.stdin and sys.stdin.isatty()):
            raise Refused("Nobody is there to be asked: add --yes.", "not_confirmed")
        self._out.write("Go on? [y/N] ", ending="")
        self._out.flush()
        if sys.stdin.readline().strip().lower() not in YES:
            raise Refused("Nothing was done.", "not_confirmed")

    def progress(self, text: str) -> None:
        """Write this over the last progress; where nobody sees it, nothing. An empty text takes it away."""
        if self._is_seen:
            blank = " " * self._written
            self._out.write(f"\r{blank}\r{text}", str, ending="")
            self._out.flush()
            self._written = len(text)


def add_yes(parser: ArgumentParser) -> None:
    """Take ``--yes``."""
    parser.add_argument("--yes", action="store_true", help="Do not ask. Needed where nobody is there to be asked.")
