"""Colours Python for reading, with the standard library's own tokenizer."""

from __future__ import annotations

import io
import keyword
import token
import tokenize
from collections.abc import Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

KINDS = {token.COMMENT: "comment", token.STRING: "string", token.NUMBER: "number"}


def highlight(source: str) -> SafeString:
    """Return the source as HTML: escaped, with a ``<span class="…">`` around what has a colour."""
    return format_html_join("", "{}", ((_marked(kind, text),) for kind, text in _parts(source)))


def _marked(kind: str, text: str) -> SafeString | str:
    return format_html('<span class="{}">{}</span>', kind, text) if kind else text


def _parts(source: str) -> Iterator[tuple[str, str]]:
    lines = source.splitlines(keepends=True)
    line, column, before = 1, 0, ""
    for found in tokenize.generate_tokens(io.StringIO(source).readline):
        if not found.string.strip():
            continue  # line ends and indentation are in the gaps
        yield "", _between(lines, (line, column), found.start)
        yield _kind(found, before), found.string
        (line, column), before = found.end, found.string
    yield "", _between(lines, (line, column), (len(lines) + 1, 0))


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]] if start[0] <= len(lines) else ""
    middle = lines[start[0] : end[0] - 1]
    return (
        lines[start[0] - 1][start[1] :]
        + "".join(middle)
        + (lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else "")
    )


def _kind(found: tokenize.TokenInfo, before: str) -> str:
    if found.type in KINDS:
        return KINDS[found.type]
    if found.type != token.NAME:
        return "decorator" if found.string == "@" else ""
    if keyword.iskeyword(found.string):
        return "keyword"
    return {"def": "name", "class": "name", "@": "decorator"}.get(before, "")
