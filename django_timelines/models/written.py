"""Which database is read behind a router with replicas."""

from __future__ import annotations

from typing import TypeVar

from django.db import models

M = TypeVar("M", bound=models.Model)


class WrittenQuerySet(models.QuerySet[M]):
    """Rows of the database that is written, unless ``using`` says another: a replica may be behind, and takes no verb."""

    @property
    def db(self) -> str:
        """The database that is read."""
        self._for_write = True
        return super().db
