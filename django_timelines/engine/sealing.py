"""Secret inputs: sealed apart from the events while an attempt may need them, and shown by no error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from django.utils.html import escape
from django.utils.module_loading import import_string

from .. import conf
from ..exceptions import NotOpened
from ..fields import Field
from ..registry import Declaration
from ..state import RunName
from ..statements import type_row
from ..store import Snapshot


def sealed_row(snapshot: Snapshot, name: RunName, call: int, values: dict[str, Any]) -> type_row:
    """Return the row that keeps the secrets of a call for its next attempts."""
    sealed = import_string(conf.sealer())().seal(values)
    return {"timeline": snapshot.id, "sequence": call, "step": name[0], "item": name[1], "sealed": sealed}


def open_sealed(sealed: bytes) -> dict[str, Any]:
    """Return the values that a sealed row keeps; ``NotOpened`` if its key is not there."""
    try:
        values: dict[str, Any] = import_string(conf.sealer())().open(sealed)
    except Exception as error:
        raise NotOpened(
            f"The secret input cannot be opened ({type(error).__name__}). If SECRET_KEY has changed, put the one before into "
            "SECRET_KEY_FALLBACKS, and retry the step."
        ) from None
    return values


def secrets_of(declaration: Declaration, name: RunName, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts that no error may show: the secrets, those inside of them, and how they are written elsewhere."""
    texts: set[str] = set()
    for parameter in declaration.secrets(name[0]):
        value = given.get(parameter)
        texts |= {*_texts(value), *_texts(_as_json(declaration.inputs[name[0]][parameter], value))}
    return tuple(sorted(texts.union(*map(_written, texts)), key=len, reverse=True))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _texts(one)
    elif value not in (None, "", True, False):
        yield str(value)


def _as_json(field: Field, value: Any) -> Any:
    """Return what is inside of an object."""
    try:
        return field.encode(value, checked=True)
    except Exception:
        return None


def _written(text: str) -> set[str]:
    """Return how code, an address, a page or a message would write it."""
    in_bytes = text.encode(errors="replace")
    literals = {repr(text)[1:-1], repr(in_bytes)[2:-1], json.dumps(text)[1:-1]}
    return literals | {quote(in_bytes), quote(in_bytes, safe=""), quote_plus(in_bytes), escape(text)}
