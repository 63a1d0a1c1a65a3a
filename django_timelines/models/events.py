"""What happened: the rows that nobody changes."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..actors import ActorType
from ..state import run_key
from .columns import ExactCharField
from .timelines import Timeline
from .written import WrittenQuerySet


class EventQuerySet(WrittenQuerySet["Event"]):
    """Events, wherever they are written."""


class Event(models.Model):
    """A fact on a timeline, never changed. Events are numbered from 1 without a gap."""

    pk = models.CompositePrimaryKey("timeline_id", "sequence")
    timeline = models.ForeignKey(Timeline, models.CASCADE, related_name="events", db_index=False)  # the key serves it
    sequence = models.PositiveIntegerField(_("sequence"))
    type = models.CharField(_("type"), max_length=60)
    version = models.PositiveSmallIntegerField(_("schema version"), default=1)
    step = ExactCharField(_("step"), max_length=100, default="", blank=True)
    item = ExactCharField(_("item"), max_length=200, default="", blank=True)
    attempt = models.PositiveIntegerField(_("attempt"), null=True)
    data = models.JSONField(_("data"))
    at = models.DateTimeField(_("time"))
    actor_type = models.CharField(_("actor"), max_length=8, choices=[(str(t), t) for t in ActorType])
    actor_id = models.CharField(max_length=200, default="", blank=True)
    actor_label = models.CharField(max_length=200, default="", blank=True)
    placement = models.CharField(_("placement"), max_length=100, default="", blank=True)
    cause = models.PositiveIntegerField(_("cause"), null=True, help_text=_("The sequence of the event that led to it."))
    cause_timeline = models.UUIDField(null=True, help_text=_("Whose event that is, when not this timeline's."))
    trace = models.CharField(_("trace context"), max_length=55, default="", blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("timeline_id", "sequence")
        constraints = (models.CheckConstraint(condition=models.Q(sequence__gte=1), name="timelines_sequence_from_1"),)

    def __str__(self) -> str:
        return f"{self.sequence} {self.type} {run_key(self.step, self.item)}".rstrip()
