"""What holds for many timelines: pauses, schedules, and when a clock was last seen."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .columns import ExactCharField
from .written import WrittenQuerySet


class Pause(models.Model):
    """While this row is there nothing new is begun on the timelines of a workflow; with no name, on none at all."""

    workflow = ExactCharField(_("workflow"), primary_key=True, max_length=150, blank=True)
    reason = models.TextField(_("reason"))
    actor_label = models.CharField(max_length=200, default="", blank=True)
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")

    def __str__(self) -> str:
        return self.workflow or "*"


class Sighting(models.Model):
    """When a clock or a follower was last seen, so that ``explain()`` can say that none was."""

    name = models.CharField(primary_key=True, max_length=100)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("sighting")
        verbose_name_plural = _("sightings")

    def __str__(self) -> str:
        return self.name


class ScheduleQuerySet(WrittenQuerySet["Schedule"]):
    """Schedules, wherever they are written."""


class Schedule(models.Model):
    """Where a schedule of a workflow stands: its last tick, its next one, and what waits. ``version`` counts its writes."""

    workflow = ExactCharField(_("workflow"), max_length=150)
    name = ExactCharField(_("name"), max_length=100, default="", blank=True)
    cron = models.CharField(_("times"), max_length=200)
    tz = models.CharField(_("time zone"), max_length=100)
    next_tick = models.DateTimeField(_("next tick"))
    last_tick = models.DateTimeField(_("last tick"), null=True)
    outcome = models.CharField(_("outcome"), max_length=10, default="", blank=True, help_text=_("Of the last tick."))
    timeline = models.UUIDField(_("timeline"), null=True, help_text=_("The newest that it began."))
    queue = models.JSONField(_("queue"), default=list, help_text=_("Ticks that wait for the end of the one before."))
    ring = models.DateTimeField(help_text=_("When the clock tries again, after an error."))
    error = models.TextField(_("error"), default="", blank=True)
    paused_at = models.DateTimeField(_("paused"), null=True)
    paused_by = models.CharField(_("paused by"), max_length=200, default="", blank=True)
    version = models.PositiveIntegerField(default=1)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ("workflow", "name")
        permissions = (("pause_schedule", "Can pause and resume a schedule"),)
        constraints = (models.UniqueConstraint(fields=["workflow", "name"], name="timelines_schedule_once"),)

    def __str__(self) -> str:
        return f"{self.workflow} {self.name}".rstrip()
