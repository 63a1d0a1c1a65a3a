"""Where projections stand, and what they are to look at."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .columns import ExactCharField
from .timelines import Timeline
from .written import WrittenQuerySet


class ProjectionQuerySet(WrittenQuerySet["Projection"]):
    """Projections, wherever they are written."""


class Projection(models.Model):
    """Where a projection stands: how far it has walked, and at which event it has stopped, if it has."""

    label = ExactCharField(_("projection"), primary_key=True, max_length=150)
    since = models.DateTimeField(_("since"), help_text=_("It reacts to events from this time on."))
    events = models.PositiveBigIntegerField(_("events"), default=0, help_text=_("How many it has followed."))
    followed_at = models.DateTimeField(_("followed"), null=True)
    rebuilt_at = models.DateTimeField(_("rebuilt"), null=True)
    walk = models.DateTimeField(help_text=_("When all timelines are looked at next, one after the other."))
    walked = models.UUIDField(null=True, help_text=_("The timeline that the walk has come to."))
    has_walked = models.BooleanField(default=False, help_text=_("Once to the end."))
    error = models.TextField(_("error"), default="", blank=True)
    stopped_timeline = models.UUIDField(_("stopped at the timeline"), null=True)
    stopped_sequence = models.PositiveIntegerField(_("stopped at the event"), null=True)
    tries = models.PositiveIntegerField(_("tries"), default=0)
    retry = models.DateTimeField(_("next try"), null=True)

    objects = ProjectionQuerySet.as_manager()

    class Meta:
        verbose_name = _("projection")
        verbose_name_plural = _("projections")
        ordering = ("label",)
        permissions = (("rebuild_projection", "Can rebuild a projection"),)

    def __str__(self) -> str:
        return str(self.label)


class Place(models.Model):
    """How far a projection has followed a timeline: up to this sequence, and no further. Written with what it made of it."""

    pk = models.CompositePrimaryKey("timeline_id", "projection")
    timeline = models.ForeignKey(Timeline, models.CASCADE, related_name="places", db_index=False, db_constraint=False)
    projection = ExactCharField(max_length=150)
    sequence = models.PositiveIntegerField(_("sequence"))

    class Meta:
        verbose_name = _("place")
        verbose_name_plural = _("places")

    def __str__(self) -> str:
        return f"{self.projection} {self.sequence}"


class News(models.Model):
    """A timeline that a projection is to look at, written with the event. Without a timeline: it is to be rebuilt.

    A doorbell: rows are inserted and taken away, and nothing is counted by them. What lacks one is found by the walk.
    """

    id = models.BigAutoField(primary_key=True)
    projection = ExactCharField(max_length=150)
    timeline = models.ForeignKey(
        Timeline, models.CASCADE, null=True, related_name="+", db_index=False, db_constraint=False
    )
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("news")
        verbose_name_plural = _("news")
        indexes = (models.Index(fields=["projection", "timeline"], name="timelines_news"),)  # finds what is asked, too

    def __str__(self) -> str:
        return f"{self.projection} {self.timeline_id or '*'}"
