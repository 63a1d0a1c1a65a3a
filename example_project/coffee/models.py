"""What the shop's machines remember. To the workflow they are things outside, reached by way of ``till.py``."""

from __future__ import annotations

from django.db import models


class Charge(models.Model):
    """Money that the till took. The same key is the same charge, however often it is asked for."""

    key = models.CharField(max_length=300, unique=True)
    amount = models.DecimalField(max_digits=7, decimal_places=2)
    refund = models.CharField(max_length=300, blank=True, help_text="The key of what gave it back.")

    objects: models.Manager[Charge] = models.Manager()

    def __str__(self) -> str:
        return f"{self.amount}{', given back' if self.refund else ''}"


class Machine(models.TextChoices):
    """What can be unplugged."""

    TILL = "till", "The till"
    COFFEE = "coffee", "The coffee machine"


class Unplugged(models.Model):
    """A machine whose plug somebody has pulled. It is plugged in by deleting the row."""

    machine = models.CharField(max_length=10, choices=Machine.choices, primary_key=True)

    objects: models.Manager[Unplugged] = models.Manager()

    def __str__(self) -> str:
        return str(Machine(self.machine).label)
