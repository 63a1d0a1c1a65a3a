"""What the bodies of the benchmark's steps write."""

from django.db import models


class Note(models.Model):
    """One row, as plain as can be."""

    text = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.text


class Sum(models.Model):
    """What a projection adds up."""

    total = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.total)
