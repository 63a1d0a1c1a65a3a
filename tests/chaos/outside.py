"""The world outside: a file to which each effect is appended in one write, so that what was begun can be counted."""

import os
from collections import Counter
from pathlib import Path

type_effect = tuple[str, int]
"""The idempotency key, and which attempt it was."""


def happen(file: str, key: str, attempt: int) -> None:
    """Append one effect; lines of several processes do not mix (``O_APPEND``, one write)."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{key} {attempt}\n".encode())
    finally:
        os.close(descriptor)


def happened(file: Path) -> Counter[type_effect]:
    """Count the effects."""
    lines = file.read_text().splitlines() if file.exists() else []
    return Counter((key, int(attempt)) for key, _, attempt in (line.partition(" ") for line in lines))
