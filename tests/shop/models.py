"""What the tests' workflows write, so that effects can be counted."""

from __future__ import annotations

import uuid

from django.db import models


class Entry(models.Model):
    """One effect of one step."""

    text = models.CharField(max_length=200, unique=False)

    def __str__(self) -> str:
        return self.text


class Unique(models.Model):
    """An effect that the database refuses to have twice."""

    text = models.CharField(max_length=200, unique=True)

    def __str__(self) -> str:
        return self.text


class Marked(Entry):
    """An entry, by another class."""

    class Meta:
        proxy = True


class Numbered(Unique):
    """Inherits from a row, and has a key of its own."""

    number = models.BigAutoField(primary_key=True)
    unique = models.OneToOneField(Unique, models.CASCADE, parent_link=True)


class Tagged(models.Model):
    """Has a key before it is saved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.text
