"""What a timeline has where ``unique=`` and ``per=`` tell it from others, and the digest that stands for it in a row."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from ..fields import Field
from ..limits import By
from ..registry import Declaration
from ..store import Snapshot


def value_of(declaration: Declaration, by: By, snapshot: Snapshot) -> str | None:
    """Return what a timeline has there, as text; None: nothing yet."""
    fields = snapshot.state["fields"]

    def encoded(name: str) -> Any:
        stored = declaration.fields[name].stored_in(fields, None)
        return None if stored is None else _brought_up(declaration.fields[name], stored)

    return by.value(encoded, lambda: declaration.workflow._from(snapshot))


def _brought_up(field: Field, stored: Any) -> Any:
    """Return what was stored as the type has it now; as it is where that does not take it, which is no failure of the step's."""
    try:
        return field.brought_up(stored)
    except Exception:  # a validator of the project's own may raise anything
        return stored


def digest_of(declaration: Declaration, *parts: str) -> uuid.UUID:
    """Return a digest of this, the same whatever the workflow is called by now."""
    text = "\0".join((declaration.names[-1], *parts))
    return uuid.UUID(bytes=hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest(), version=5)
