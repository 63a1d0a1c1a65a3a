"""The world outside of the database: an append-only file. A crash takes nothing from it, and no rollback does."""

from __future__ import annotations

import os
from pathlib import Path

file = Path(os.devnull)
"""Where it is; the harness says."""


def note(*words: str) -> None:
    """Append a line."""
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, (" ".join(words) + "\n").encode())
    finally:
        os.close(handle)


def noted(kind: str) -> list[list[str]]:
    """Return what follows the first word of the lines that begin with it."""
    if not file.exists():
        return []
    lines = [line.split() for line in file.read_text().splitlines()]
    return [words[1:] for words in lines if words[0] == kind]


def forget() -> None:
    """Begin anew."""
    file.unlink(missing_ok=True)
