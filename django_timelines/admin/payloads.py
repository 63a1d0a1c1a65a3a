"""JSON values for people: short ones as they are, long ones cut, with the rest behind a fold. Templates escape them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True, slots=True)
class Difference:
    """What becomes of one field. ``before`` is None where it was not set, ``after`` where it is not set any more."""

    name: str
    before: Payload | None
    after: Payload | None


def payload(value: Any) -> Payload:
    """Return a JSON value as text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= SHORT and "\n" not in text:
        return Payload(text or "“”")
    spread = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return Payload(f"{' '.join(text[: SHORT * 2].split())[:SHORT]}…", spread[:LONG], len(spread) > LONG)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what differs between the fields before and after: what was set or changed, then what was unset."""
    for name, value in after.items():
        if name not in before or before[name] != value:
            yield Difference(title_of(name), payload(before[name]) if name in before else None, payload(value))
    for name in before:
        if name not in after:
            yield Difference(title_of(name), payload(before[name]), None)


def title_of(field: str) -> str:
    """Return a field's name as people read it."""
    return field.replace("_", " ")
