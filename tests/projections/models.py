"""What the tests' projections write."""

from __future__ import annotations

from django.db import models


class Account(models.Model):
    """What somebody has paid in all."""

    customer = models.CharField(max_length=50, unique=True)
    total = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.customer} {self.total}"


class Seen(models.Model):
    """An event that was followed. The same twice is refused."""

    timeline = models.UUIDField()
    sequence = models.PositiveIntegerField()
    type = models.CharField(max_length=60)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["timeline", "sequence"], name="ledger_seen_once"),)

    def __str__(self) -> str:
        return f"{self.sequence} {self.type}"


class Thanks(models.Model):
    """An effect of a reaction."""

    customer = models.CharField(max_length=50)
    amount = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.customer} {self.amount}"
