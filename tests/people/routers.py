"""Sends the timelines, and what their workflows write, to a database of their own."""

from __future__ import annotations

from typing import Any

THERE = {"django_timelines", "shop", "referring"}


class Router:
    """``timelines`` for the apps above, ``default`` for the rest."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "timelines" if model._meta.app_label in THERE else "default"

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "timelines") is (app_label in THERE)

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return (one._meta.app_label in THERE) is (other._meta.app_label in THERE)
