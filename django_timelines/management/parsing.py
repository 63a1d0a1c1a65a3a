"""A parser that says what was near, and says it as JSON to whoever asked for JSON."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from django.core.management.base import CommandParser

from .writing import as_json

WRONG_USAGE = 2


class Parser(CommandParser):
    """Django's parser, with these two habits."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Remember what was typed: a mistake is found before there are options."""
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        near = difflib.get_close_matches(str(value), known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}."
        raise argparse.ArgumentError(action, f"there is no {value!r}. {hint}")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, with exit code 2."""
        if self.called_from_command_line and "--json" in self._given:
            self.exit(WRONG_USAGE, as_json({"error": message, "reason": "wrong_usage"}, sys.stderr) + "\n")
        super().error(message)
        raise AssertionError("Both of Django's ways end here.")
