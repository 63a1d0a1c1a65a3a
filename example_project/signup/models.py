"""What a sign-up makes besides the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Account(models.Model):
    """A user's account."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="account")
    opened_at = models.DateTimeField(auto_now_add=True)
    tours: RelatedManager[Tour]

    def __str__(self) -> str:
        return f"account of {self.owner}"


class Tour(models.Model):
    """A guided tour that an account's owner is shown."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="tours")
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name
