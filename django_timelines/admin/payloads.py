"""JSON values for people: short ones as they are, long ones cut, with the rest behind a fold. Templates escape them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

SHORT = 80
LONG = 10_000  # characters; what is longer is not read on a page


@dataclass(frozen=True, slots=True)
class Payload:
    """``short`` always says something; ``long`` is empty when it says it all."""

    short: str
    long: str = ""
    is_cut: bool = False


def payload(value: Any) -> Payload:
    """Return a JSON value as text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= SHORT and "\n" not in text:
        return Payload(text or "“”")
    spread = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return Payload(f"{' '.join(text[: SHORT * 2].split())[:SHORT]}…", spread[:LONG], len(spread) > LONG)
