"""How wide a text is, nearly: no font is at hand where a drawing is made. It is rather taken for too wide than for too narrow."""

from __future__ import annotations

import unicodedata

_NARROW = frozenset("iljtfI.,:;'|!()[]- ")
_WIDE = frozenset("mwMW@%&QOGD")
ELLIPSIS = "…"


def width(text: str, size: float) -> float:
    """Return the width of a text in pixels, set in a wide sans serif of this size."""
    return sum(_letter(letter) for letter in text) * size


def _letter(letter: str) -> float:
    if letter in _NARROW:
        return 0.4
    if letter in _WIDE:
        return 0.98
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    return 0.75 if letter.isupper() else 0.64


def cut(text: str, room: float, size: float) -> str:
    """Return the text, or as much of it as there is room for."""
    if width(text, size) <= room:
        return text
    while text and width(text + ELLIPSIS, size) > room:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def wrapped(text: str, room: float, size: float) -> tuple[str, ...]:
    """Return the text on one line or two, broken between words so that both are about as long, and cut where it must be."""
    if width(text, size) <= room:
        return (text,)
    words = text.split(" ")
    breaks = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
    fitting = [pair for pair in breaks if width(pair[0], size) <= room]
    if not fitting:
        return (cut(text, room, size),)
    first, second = min(fitting, key=lambda pair: max(width(line, size) for line in pair))
    return first, cut(second, room, size)
