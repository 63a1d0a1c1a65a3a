"""What there is only so much of: slots for attempts, and values for which a class has one timeline at a time."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .columns import ExactCharField


class Slot(models.Model):
    """What an attempt holds while it is executed, of a step or class that says ``limit=``: one of so many numbers.

    The row comes with the commit that claims the attempt, and goes with the one that ends it.
    """

    pk = models.CompositePrimaryKey("digest", "number")
    digest = models.UUIDField(editable=False, help_text=_("Of the limit, and of the value that it is per."))
    number = models.PositiveSmallIntegerField()
    timeline = models.ForeignKey("Timeline", models.CASCADE, related_name="+", db_constraint=False)
    step = ExactCharField(max_length=100)
    item = ExactCharField(max_length=200, default="", blank=True)

    class Meta:
        verbose_name = _("slot")
        verbose_name_plural = _("slots")

    def __str__(self) -> str:
        return f"{self.number} of {self.digest}"


class UniqueValue(models.Model):
    """The value for which a timeline is the only one of its class, for as long as it has not ended: ``unique=``.

    The row comes, changes and goes in the commits whose events set the fields, or end the timeline.
    """

    digest = models.UUIDField(primary_key=True, editable=False, help_text=_("Of workflow and value."))
    timeline = models.ForeignKey("Timeline", models.CASCADE, related_name="+", db_constraint=False)

    class Meta:
        verbose_name = _("unique value")
        verbose_name_plural = _("unique values")

    def __str__(self) -> str:
        return str(self.digest)
