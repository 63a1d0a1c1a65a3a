"""Secret inputs: sealed apart from the events while an attempt may need them."""

from __future__ import annotations

from typing import Any

from django.utils.module_loading import import_string

from .. import conf
from ..state import RunName
from ..statements import type_row
from ..store import Snapshot


def sealed_row(snapshot: Snapshot, name: RunName, call: int, values: dict[str, Any]) -> type_row:
    """Return the row that keeps the secrets of a call for its next attempts."""
    sealed = import_string(conf.sealer())().seal(values)
    return {"timeline": snapshot.id, "sequence": call, "step": name[0], "item": name[1], "sealed": sealed}


def open_sealed(sealed: bytes) -> dict[str, Any]:
    """Return the values that a sealed row keeps."""
    values: dict[str, Any] = import_string(conf.sealer())().open(sealed)
    return values
