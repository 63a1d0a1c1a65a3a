"""One for each way in which a row can refer to a timeline."""

from __future__ import annotations

from django.db import models

from django_timelines.models import Timeline


class Note(models.Model):
    """Goes with its timeline."""

    timeline = models.ForeignKey(Timeline, models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"note {self.pk}"


class Comment(models.Model):
    """Keeps its note, and so the timeline with which that would go."""

    note = models.ForeignKey(Note, models.PROTECT)

    def __str__(self) -> str:
        return f"comment {self.pk}"


class Purchase(models.Model):
    """Forgets its timeline."""

    timeline = models.ForeignKey(Timeline, models.SET_NULL, null=True)

    def __str__(self) -> str:
        return f"purchase {self.pk}"


class Claim(models.Model):
    """Keeps its timeline."""

    timeline = models.ForeignKey(Timeline, models.PROTECT)

    def __str__(self) -> str:
        return f"claim {self.pk}"
