"""What is stored, and its constraints. Nothing here decides anything: ``store`` is the only writer."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import uuid_utils.compat
from asgiref.sync import sync_to_async
from django.db import models, router
from django.utils.translation import gettext_lazy as _

from . import registry
from .actors import ActorType
from .rules import allows_always
from .state import TAKES_CALLS, StepStatus, TimelineStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def new_id() -> uuid.UUID:
    """Make a key in time order (UUIDv7, RFC 9562)."""
    return uuid_utils.compat.uuid7()


def first_id_at(moment: datetime) -> uuid.UUID:
    """Return the least key that was made in this millisecond or later."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


class ExactCharField(models.CharField):  # type: ignore[type-arg]
    """Text that is compared as it is: MariaDB and MySQL take ``Latte``, ``latte`` and ``latte `` for one, unless told."""

    def db_parameters(self, connection: Any) -> Any:
        """Return the column's type, and a collation where the database's own is blind."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            exact = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
            parameters |= {"collation": exact}
        return parameters


class TimelineQuerySet(models.QuerySet["Timeline"]):
    """Timelines, with the questions that people ask of them."""

    def waiting_for(self, step: str) -> TimelineQuerySet:
        """Those on which this step waits for somebody to call it."""
        return self.filter(runs__step=step, runs__status=StepStatus.WAITING)

    def waiting_for_me(self, user: Any) -> TimelineQuerySet:
        """Those on which a step waits for this user: what is overdue first, then what has the least time left.

        A function in ``allowed=`` is asked for each timeline on which its step waits, one after the other.
        """
        waiting = models.Q(status__in=TAKES_CALLS)
        always, perhaps = models.Q(pk__in=[]), models.Q(pk__in=[])
        for declaration in registry.everything().values():
            for step in declaration.steps.values():
                here = models.Q(timeline__workflow__in=declaration.names, step__in=(step.name, step.renamed_from))
                if allows_always(step, user):
                    always |= here
                elif step.waits and any(callable(rule) for rule in step.allowed):
                    perhaps |= here
                elif step.waits and not step.allowed:
                    perhaps |= here & models.Q(timeline__started_by=str(user.pk))
        runs = Run.objects.using(self.db)
        candidates = self.filter(pk__in=runs.filter(perhaps & waiting).values("timeline"))
        found = [row.pk for row in candidates if registry.verbs().waits_for(row, user)]
        wanted = models.Q(pk__in=runs.filter(always & waiting).values("timeline")) | models.Q(pk__in=found)
        until = models.Min("runs__until", filter=models.Q(runs__status__in=TAKES_CALLS))
        return self.filter(wanted).alias(_until=until).order_by(models.F("_until").asc(nulls_last=True), "pk")

    def about(self, instance: models.Model) -> TimelineQuerySet:
        """Those that have a field which refers to this row."""
        wanted = models.Q(pk__in=[])
        for declaration in registry.everything().values():
            for name in declaration.references_to(type(instance)):
                key = instance.pk if isinstance(instance.pk, int) else str(instance.pk)
                wanted |= models.Q(workflow=declaration.label, **{f"state__fields__{name}": key})
        return self.filter(wanted)


class Timeline(models.Model):
    """One running or finished workflow. The row carries its head, its status and the fold of its events."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workflow = ExactCharField(_("workflow"), max_length=150)
    head = models.PositiveIntegerField(_("head"), help_text=_("The sequence of the newest event."))
    status = models.CharField(_("status"), max_length=12, choices=[(str(s), _(s)) for s in TimelineStatus])
    state = models.JSONField(_("state"), help_text=_("The fold of the events: a cache."))
    key = models.CharField(_("key"), max_length=200, default="", blank=True)
    digest = models.UUIDField(null=True, unique=True, help_text=_("Of workflow and key: one timeline for each."))
    correlation = models.UUIDField(
        _("correlation id"), help_text=_("The same for all that led to one another: the first one's key.")
    )
    parent = models.UUIDField(_("parent"), null=True, editable=False, help_text=_("The timeline whose step began it."))
    started_by = models.CharField(
        _("started by"), max_length=64, default="", blank=True, help_text=_("A user's primary key.")
    )
    started_at = models.DateTimeField(_("started at"))
    changed_at = models.DateTimeField(_("changed at"))

    objects = TimelineQuerySet.as_manager()

    class Meta:
        verbose_name = _("timeline")
        verbose_name_plural = _("timelines")
        ordering = ("-id",)
        permissions = (
            ("retry_timeline", "Can retry a step"),
            ("skip_timeline", "Can skip a step"),
            ("cancel_timeline", "Can cancel a timeline"),
            ("amend_timeline", "Can correct a timeline's fields"),
            ("rewind_timeline", "Can rewind a timeline"),
            ("pause_timeline", "Can pause and resume a timeline"),
        )
        constraints = (models.CheckConstraint(condition=models.Q(head__gte=1), name="timelines_head_from_1"),)
        indexes = (  # each in the order of the lists, newest first; the primary key serves the list without a filter
            models.Index(fields=["status", "id"], name="timelines_by_status"),
            models.Index(fields=["workflow", "id"], name="timelines_by_workflow"),
            models.Index(fields=["started_by", "id"], name="timelines_by_starter"),
            models.Index(fields=["correlation"], name="timelines_by_family"),
        )

    def __str__(self) -> str:
        return f"{self.workflow} {self.id}"

    def get_absolute_url(self) -> str:
        """Return the address of the visitor's page."""
        return str(self.subject.get_absolute_url())

    @property
    def using(self) -> str:
        """The database that holds it."""
        return self._state.db or router.db_for_write(Timeline)

    @property
    def subject(self) -> Any:
        """The workflow object of this timeline; ``Unknown`` if the code no longer has its class."""
        return registry.get(self.workflow).make(self)

    @property
    def family(self) -> TimelineQuerySet:
        """All timelines that led to one another: parents, children, and what their steps started, the oldest first."""
        return Timeline.objects.using(self.using).filter(correlation=self.correlation).order_by("id")

    @property
    def children(self) -> TimelineQuerySet:
        """The timelines that its steps began and wait for, the oldest first."""
        return self.family.filter(parent=self.pk)

    def explain(self) -> Any:
        """Answer "why is it not moving?": an ``Explanation``, whose ``str`` is a sentence or more."""
        return registry.verbs().explain(self)

    async def aexplain(self) -> Any:
        """Answer it from async code."""
        return await sync_to_async(self.explain)()

    def cancel(self, *, reason: str, compensate: bool = False, actor: Any = None) -> None:
        """Stop what nobody has begun at once, and let what is being executed come to its end.

        ``compensate``: then undo what completed, one at a time, the last completed first.
        """
        registry.verbs().cancel(self, reason=reason, compensate=compensate, actor=actor)

    async def acancel(self, *, reason: str, compensate: bool = False, actor: Any = None) -> None:
        """Cancel it from async code."""
        await sync_to_async(self.cancel)(reason=reason, compensate=compensate, actor=actor)

    def rewind(self, *, to: str, reason: str, undo: bool = False, actor: Any = None) -> None:
        """Begin a new round from a step: it and all that comes after it is done again, fields go back to what they were.

        Rows that bodies wrote stay, unless ``undo`` runs the steps' compensations first. ``preview_rewind`` says what it will do.
        """
        registry.verbs().rewind(self, to=to, reason=reason, undo=undo, actor=actor)

    async def arewind(self, *, to: str, reason: str, undo: bool = False, actor: Any = None) -> None:
        """Rewind it from async code."""
        await sync_to_async(self.rewind)(to=to, reason=reason, undo=undo, actor=actor)

    def preview_rewind(self, *, to: str, undo: bool = False) -> Any:
        """Return what ``rewind`` would do, as a ``Rewind``; nothing is written. ``Refused`` where it makes no sense."""
        return registry.verbs().preview_rewind(self, to=to, undo=undo)

    async def apreview_rewind(self, *, to: str, undo: bool = False) -> Any:
        """Return what ``arewind`` would do."""
        return await sync_to_async(self.preview_rewind)(to=to, undo=undo)

    def amend(self, fields: Mapping[str, Any] | None = None, /, *, reason: str, actor: Any = None, **more: Any) -> None:
        """Correct fields: ``order.timeline.amend(reason="mistyped", amount=5)``.

        Fields of any name go in a mapping before them, as for ``dict``: ``amend({"reason": "a gift"}, reason="mistyped")``.
        """
        registry.verbs().amend(self, reason=reason, fields={**(fields or {}), **more}, actor=actor)

    async def aamend(
        self, fields: Mapping[str, Any] | None = None, /, *, reason: str, actor: Any = None, **more: Any
    ) -> None:
        """Correct fields from async code."""
        await sync_to_async(self.amend)(fields, reason=reason, actor=actor, **more)

    def pause(self, *, reason: str, actor: Any = None) -> None:
        """Begin nothing new until ``resume``: calls are taken and become due, what is executing ends, deadlines wait."""
        registry.verbs().pause(self, reason=reason, actor=actor)

    async def apause(self, *, reason: str, actor: Any = None) -> None:
        """Pause it from async code."""
        await sync_to_async(self.pause)(reason=reason, actor=actor)

    def resume(self, *, reason: str = "", actor: Any = None) -> None:
        """Go on after a pause."""
        registry.verbs().resume(self, reason=reason, actor=actor)

    async def aresume(self, *, reason: str = "", actor: Any = None) -> None:
        """Go on from async code."""
        await sync_to_async(self.resume)(reason=reason, actor=actor)

    def erase(self, *, reason: str, actor: Any = None) -> None:
        """Erase what this ended timeline's events say: payloads, error texts, keys, people's names. What happened stays."""
        registry.verbs().erase(self, reason=reason, actor=actor)

    async def aerase(self, *, reason: str, actor: Any = None) -> None:
        """Erase it from async code."""
        await sync_to_async(self.erase)(reason=reason, actor=actor)

    cancel.alters_data = True  # type: ignore[attr-defined]
    acancel.alters_data = True  # type: ignore[attr-defined]
    rewind.alters_data = True  # type: ignore[attr-defined]
    arewind.alters_data = True  # type: ignore[attr-defined]
    amend.alters_data = True  # type: ignore[attr-defined]
    aamend.alters_data = True  # type: ignore[attr-defined]
    pause.alters_data = True  # type: ignore[attr-defined]
    apause.alters_data = True  # type: ignore[attr-defined]
    resume.alters_data = True  # type: ignore[attr-defined]
    aresume.alters_data = True  # type: ignore[attr-defined]
    erase.alters_data = True  # type: ignore[attr-defined]
    aerase.alters_data = True  # type: ignore[attr-defined]

    def link(self) -> str:
        """Return the absolute, signed address that lets its holder see this timeline."""
        return registry.verbs().timeline_link(self)


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

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("timeline_id", "sequence")
        constraints = (models.CheckConstraint(condition=models.Q(sequence__gte=1), name="timelines_sequence_from_1"),)

    def __str__(self) -> str:
        return f"{self.sequence} {self.type} {self.step}".rstrip()


class Run(models.Model):
    """An open run: a step that was reached and is not settled. A wait, a backoff, a person's three days are one row each.

    ``fence`` is the sequence of the run's newest event: whoever writes names the fence it knows, so what a newer event
    has overtaken writes nothing.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    timeline = models.ForeignKey(
        Timeline, models.CASCADE, related_name="runs", db_index=False
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
    cursor = models.JSONField(null=True, help_text=_("How far a long step has come, and its fields there."))
    progress = models.JSONField(_("progress"), null=True, help_text=_("What pages show of that."))

    class Meta:
        verbose_name = _("open run")
        verbose_name_plural = _("open runs")
        constraints = (models.UniqueConstraint(fields=["timeline", "step", "item"], name="timelines_run_once"),)
        indexes = (models.Index(fields=["ring"], name="timelines_run_ring"),)  # the clock's one query

    def __str__(self) -> str:
        return f"{self.step}[{self.item}]" if self.item else self.step


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
    timeline = models.ForeignKey(Timeline, models.CASCADE, related_name="+", db_index=False)
    sequence = models.PositiveIntegerField(help_text=_("The call's."))
    step = ExactCharField(max_length=100)
    item = ExactCharField(max_length=200, default="", blank=True)
    sealed = models.BinaryField()

    class Meta:
        verbose_name = _("sealed input")
        verbose_name_plural = _("sealed inputs")

    def __str__(self) -> str:
        return f"sealed input of {self.step}"


class Notice(models.Model):
    """What one timeline tells another: addressed to it, inserted and never waited for, gone when it is taken."""

    ENDED, CANCEL = "ended", "cancel"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    timeline = models.UUIDField(_("timeline"), db_index=True, help_text=_("Whom it is for."))
    source = models.UUIDField(_("source"), help_text=_("The timeline that tells it."))
    sequence = models.PositiveIntegerField(help_text=_("Of the source's event that it is about."))
    kind = models.CharField(_("kind"), max_length=8, choices=((ENDED, _("ended")), (CANCEL, _("cancel"))))
    reason = models.TextField(_("reason"), default="", blank=True)
    compensate = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")

    def __str__(self) -> str:
        return f"{self.source} {self.kind}"


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
    """When a clock or an embedded worker was last seen, so that ``explain()`` can say that none was."""

    name = models.CharField(primary_key=True, max_length=100)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("sighting")
        verbose_name_plural = _("sightings")

    def __str__(self) -> str:
        return self.name


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

    class Meta:
        verbose_name = _("projection")
        verbose_name_plural = _("projections")
        ordering = ("label",)
        permissions = (("rebuild_projection", "Can rebuild a projection"),)

    def __str__(self) -> str:
        return str(self.label)


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

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ("workflow", "name")
        permissions = (("pause_schedule", "Can pause and resume a schedule"),)
        constraints = (models.UniqueConstraint(fields=["workflow", "name"], name="timelines_schedule_once"),)

    def __str__(self) -> str:
        return f"{self.workflow} {self.name}".rstrip()


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
        indexes = (models.Index(fields=["projection", "id"], name="timelines_news"),)

    def __str__(self) -> str:
        return f"{self.projection} {self.timeline_id or '*'}"
