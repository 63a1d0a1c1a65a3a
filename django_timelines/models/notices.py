"""What one timeline tells another."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .columns import ExactCharField, new_id


class Notice(models.Model):
    """What one timeline tells another: addressed to it, inserted and never waited for, gone when it is taken."""

    ENDED, CANCEL = "ended", "cancel"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    timeline = models.UUIDField(_("timeline"), db_index=True, help_text=_("Whom it is for."))
    source = models.UUIDField(_("source"), help_text=_("The timeline that tells it."))
    step = ExactCharField(_("step"), max_length=100, default="", help_text=_("The run of the parent that it is about."))
    item = ExactCharField(_("item"), max_length=200, default="")
    sequence = models.PositiveIntegerField(help_text=_("Of the source's event that it is about."))
    kind = models.CharField(_("kind"), max_length=8, choices=((ENDED, _("ended")), (CANCEL, _("cancel"))))
    reason = models.TextField(_("reason"), default="", blank=True)
    compensate = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")

    def __str__(self) -> str:
        return f"{self.source} {self.kind}"
