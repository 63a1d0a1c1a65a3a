"""What there is only so much of: the values for which a class has one timeline at a time."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


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
