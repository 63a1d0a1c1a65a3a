"""Where the tables of this app are."""

from __future__ import annotations

from typing import Any


class Nowhere:
    """In no database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if app_label == "referring" else None
