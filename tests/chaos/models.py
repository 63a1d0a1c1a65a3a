"""What the bodies write in the database that holds the timelines."""

from django.db import models


class Effect(models.Model):
    """One effect of one exactly-once step. Nothing here keeps it from being there twice: that is the engine's promise."""

    timeline = models.UUIDField(db_index=True)
    step = models.CharField(max_length=100)

    def __str__(self) -> str:
        return f"{self.step} of {self.timeline}"
