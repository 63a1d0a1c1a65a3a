"""What is collected for, what was given, and what the payment provider knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Sum

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Campaign(models.Model):
    """Something that people give to while it is open."""

    title = models.CharField(max_length=100)
    about = models.TextField()
    is_open = models.BooleanField(default=True)
    donations: RelatedManager[Gift]

    objects: models.Manager[Campaign] = models.Manager()

    def __str__(self) -> str:
        return self.title

    @property
    def raised(self) -> int:
        """How much was given so far, in euros."""
        return self.donations.aggregate(sum=Sum("amount"))["sum"] or 0


class Gift(models.Model):
    """What somebody gave, once it was paid."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="donations")
    amount = models.PositiveIntegerField()
    donor = models.CharField(max_length=100)
    reference = models.CharField(max_length=40)
    given_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.amount} from {self.donor}"


class Charge(models.Model):
    """A payment in the books of the demo's payment provider; ``gateway.py`` stands for its API."""

    key = models.CharField(max_length=100, unique=True)
    amount = models.PositiveIntegerField()

    objects: models.Manager[Charge] = models.Manager()

    def __str__(self) -> str:
        return f"PAY-{self.pk:06}"
