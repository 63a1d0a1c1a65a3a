"""What the bodies write in the database that holds the timelines."""

from django.db import models


class Effect(models.Model):
    """One effect of one exactly-once step. Nothing here keeps it from being there twice: that is the engine's promise."""

    timeline = models.UUIDField(db_index=True)
    step = models.CharField(max_length=100)  # and the item, as a run's key

    def __str__(self) -> str:
        return f"{self.step} of {self.timeline}"


class Followed(models.Model):
    """An event that the projection was given."""

    timeline = models.UUIDField()
    sequence = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.sequence} of {self.timeline}"


class Reacted(models.Model):
    """A reaction of the projection's."""

    timeline = models.UUIDField()
    sequence = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.sequence} of {self.timeline}"
