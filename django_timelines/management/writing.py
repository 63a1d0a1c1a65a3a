"""Texts and documents as an output can hold them: its encoding may lack letters that a name, or a sentence of ours, has."""

from __future__ import annotations

import json
from typing import Any


def holdable(text: str, out: Any) -> str:
    """Return a text with what the output's encoding lacks written as ``\\u201c``."""
    encoding = getattr(out, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def as_json(document: Any, out: Any, indent: int | None = None) -> str:
    """Return a document as JSON: in its own letters, if the output has them all."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    return text if holdable(text, out) == text else json.dumps(document, indent=indent)
