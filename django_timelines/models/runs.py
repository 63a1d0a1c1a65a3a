"""What is under way: open runs, their leases, and the secrets that they may need."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import RowNumber
from django.utils.translation import gettext_lazy as _

from ..state import StepStatus
from .columns import ExactCharField, new_id
from .written import WrittenQuerySet


class RunQuerySet(WrittenQuerySet["Run"]):
    """Open runs, of which a timeline may have very many."""

    def first_alike(self, most: int) -> RunQuerySet:
        """So many of those of a timeline's step that stand alike, the oldest."""
        alike = models.Window(RowNumber(), [models.F("timeline"), models.F("step"), models.F("status")], "id")
        return self.alias(place=alike).filter(place__lte=most)

    def with_timelines(self) -> RunQuerySet:
        """Read their timelines with them, but for state and fields, which may be large: each run would bring its own."""
        return self.select_related("timeline").defer("timeline__state", "timeline__fields")

    def counted(self) -> RunQuerySet:
        """Let each say with ``open`` how many its timeline has."""
        return self.annotate(open=models.Window(models.Count("id"), [models.F("timeline")]))


class Run(models.Model):
    """An open run: a step that was reached and is not settled. A wait, a backoff, a person's three days are one row each.

    ``fence`` is the sequence of the run's newest event: whoever writes names the fence it knows, so what a newer event
    has overtaken writes nothing. An event is about one run, so it also tells the run from all others of its timeline, whatever
    that is called by now.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    timeline = models.ForeignKey(
        "Timeline", models.CASCADE, related_name="runs", db_index=False
    )  # the constraint serves it
    step = ExactCharField(_("step"), max_length=100)
    item = ExactCharField(_("item"), max_length=200, default="", blank=True)
    status = models.CharField(_("status"), max_length=12, choices=[(str(s), _(s)) for s in StepStatus])
    fence = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    due = models.DateTimeField(_("due"), null=True, help_text=_("Not before this time."))
    until = models.DateTimeField(_("until"), null=True, help_text=_("Overdue after this time."))
    placement = models.CharField(_("placement"), max_length=100, default="", blank=True, help_text=_("Rung last."))
    rings = models.PositiveIntegerField(_("rings"), default=0)
    ring = models.DateTimeField(_("next ring"), null=True, help_text=_("When the clock looks at it next."))
    awaits = models.UUIDField(null=True, help_text=_("The digest of the limit of which it waits for a free slot."))
    assigned = models.CharField(_("assigned"), max_length=64, null=True, help_text=_("A user's primary key."))  # noqa: DJ001
    cursor = models.JSONField(null=True, help_text=_("How far a long step has come, and its fields there."))
    progress = models.JSONField(_("progress"), null=True, help_text=_("What pages show of that."))

    objects = RunQuerySet.as_manager()

    class Meta:
        verbose_name = _("open run")
        verbose_name_plural = _("open runs")
        constraints = (models.UniqueConstraint(fields=["timeline", "fence"], name="timelines_run_by_fence"),)
        indexes = (
            models.Index(fields=["ring"], name="timelines_run_ring"),  # the clock's one query
            models.Index(
                fields=["awaits", "id"], name="timelines_run_awaits", condition=models.Q(awaits__isnull=False)
            ),
            models.Index(fields=["assigned"], name="timelines_run_assigned"),
        )

    def __str__(self) -> str:
        return f"{self.step}[{self.item}]" if self.item else self.step


class ItemQuerySet(WrittenQuerySet["Item"]):
    """Items, wherever they are written."""


class Item(models.Model):
    """Where an item of a step with ``each=`` stands: the part of the timeline's state that lies beside its row.

    It is there from when the step is reached, open or settled. ``index`` is its place in the list, from 0.
    """

    pk = models.CompositePrimaryKey("timeline_id", "step", "item")
    timeline = models.ForeignKey("Timeline", models.CASCADE, related_name="items", db_index=False)
    step = ExactCharField(_("step"), max_length=100)
    item = ExactCharField(_("item"), max_length=200)
    index = models.PositiveIntegerField(_("index"), null=True)
    status = models.CharField(_("status"), max_length=12, choices=[(str(s), _(s)) for s in StepStatus])
    head = models.PositiveIntegerField(help_text=_("Of the timeline, when this was written."))
    state = models.JSONField(_("state"), help_text=_("What the events say of its run: a cache."))

    objects = ItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("item")
        verbose_name_plural = _("items")
        indexes = (models.Index(fields=["timeline", "step", "index"], name="timelines_item_order"),)

    def __str__(self) -> str:
        return f"{self.step}[{self.item}]"


class Lease(models.Model):
    """Until when an attempt is its runner's. A row of its own: a heartbeat touches nothing that a commit needs."""

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="lease", db_constraint=False)
    holder = models.CharField(_("holder"), max_length=200)
    expires = models.DateTimeField(_("expires"), help_text=_("By the database's clock."))

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return self.holder


class SealedInput(models.Model):
    """The secret inputs of a call, encrypted, only while an attempt may need them."""

    pk = models.CompositePrimaryKey("timeline_id", "sequence")
    timeline = models.ForeignKey("Timeline", models.CASCADE, related_name="+", db_index=False)
    sequence = models.PositiveIntegerField(help_text=_("The call's."))
    step = ExactCharField(max_length=100)
    item = ExactCharField(max_length=200, default="", blank=True)
    sealed = models.BinaryField()

    class Meta:
        verbose_name = _("sealed input")
        verbose_name_plural = _("sealed inputs")

    def __str__(self) -> str:
        return f"sealed input of {self.step}"
