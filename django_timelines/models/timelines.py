"""A timeline's row, the questions that people ask of many, and the verbs of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import sync_to_async
from django.db import models, router
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from .. import registry
from ..exceptions import Unknown
from ..rollbacks import RollbackWatch, watch_over
from ..rules import allows_always, is_here
from ..runs import can_be_stored
from ..state import TAKES_CALLS, StepStatus, TimelineStatus, with_fields
from .columns import ExactCharField, Holds, StateField, new_id
from .runs import Run
from .written import WrittenQuerySet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..steps import Step


class TimelineQuerySet(WrittenQuerySet["Timeline"]):
    """Timelines, with the questions that people ask of them."""

    _declaration: registry.Declaration | None = None  # whose they are, if they are one workflow's

    def of(self, declaration: registry.Declaration) -> Self:
        """Those of this workflow, also under the labels that it had before."""
        found = self.filter(workflow__in=declaration.names)
        found._declaration = declaration
        return found

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone._declaration = self._declaration
        return clone

    def waiting_for(self, step: str) -> TimelineQuerySet:
        """Those on which this step, or an item of it, waits for somebody to call it: also under the name that it had before.

        A step that is overdue and may still be done is one, a step that waits for the timeline that it began is none.
        ``Unknown``: the code has no such step, and nothing waits for one that it had.
        """
        begins = models.Q(pk__in=[])
        for declaration, declared in self._declaring(step):
            if declared.child:
                begins |= self._of_step(declaration, step)
        return self._with_a_run(step, models.Q(status__in=TAKES_CALLS) & ~begins)

    def blocked_at(self, step: str) -> TimelineQuerySet:
        """Those on which this step, or an item of it, is blocked: also under the name that it had before.

        ``Unknown``: the code has no such step, and nothing is blocked at one that it had.
        """
        stopped = self.filter(status__in=(TimelineStatus.BLOCKED, TimelineStatus.PAUSED))  # an index leads to them
        return stopped._with_a_run(step, models.Q(status=StepStatus.BLOCKED))

    def _with_a_run(self, step: str, wanted: models.Q) -> TimelineQuerySet:
        named = models.Q(step=step) if can_be_stored(step) else models.Q(pk__in=[])
        for declaration, _declared in self._declaring(step):
            named |= self._of_step(declaration, step)
        found = self.filter(pk__in=Run.objects.using(self.db).filter(named & wanted).values("timeline"))
        known = {name: None for one in self._declarations() for name in one.steps}
        former = {name for one in self._declarations() for name in one.renamed_steps}
        if step not in known and step not in former and not found.exists():
            whose = self._declaration.label if self._declaration else "No workflow"
            has = "has no step" if self._declaration else "has a step"
            raise Unknown(f"{whose} {has} {step!r}. Known: {', '.join(known) or 'none'}.", "unknown_step")
        return found

    def _declarations(self) -> list[registry.Declaration]:
        return [self._declaration] if self._declaration else [*registry.everything().values()]

    def _declaring(self, step: str) -> Iterator[tuple[registry.Declaration, Step[...]]]:
        """Yield the workflows that have such a step now, also if it had that name before, and the step."""
        for declaration in self._declarations():
            if declared := declaration.steps.get(declaration.current(step)):
                yield declaration, declared

    @staticmethod
    def _of_step(declaration: registry.Declaration, step: str) -> models.Q:
        return models.Q(timeline__workflow__in=declaration.names, step__in=declaration.names_of(step))

    def waiting_for_me(self, user: Any) -> TimelineQuerySet:
        """Those on which a step waits for this user: what is overdue first, then what has the least time left.

        A step that somebody has is theirs alone.

        A function in ``allowed=`` is asked for each timeline on which its step waits, one after the other.
        """
        waiting = models.Q(status__in=TAKES_CALLS)
        always, perhaps = models.Q(pk__in=[]), models.Q(pk__in=[])
        mine, nobodys = models.Q(assigned=str(user.pk)), models.Q(assigned=None)
        for declaration in registry.everything().values():
            for step in declaration.steps.values():
                here = models.Q(timeline__workflow__in=declaration.names, step__in=(step.name, step.renamed_from))
                if allows_always(step, user):
                    always |= here & (mine | nobodys)
                elif step.waits and any(callable(rule) for rule in step.allowed):
                    perhaps |= here & (mine | nobodys)
                elif step.waits and not step.allowed:
                    always |= here & mine if is_here(user) else models.Q(pk__in=[])
                    perhaps |= here & nobodys & models.Q(timeline__started_by=str(user.pk))
        runs = Run.objects.using(self.db)
        candidates = self.filter(pk__in=runs.filter(perhaps & waiting).values("timeline"))
        found = [row.pk for row in candidates if registry.verbs().waits_for(row, user)]
        wanted = models.Q(pk__in=runs.filter(always & waiting).values("timeline")) | models.Q(pk__in=found)
        until = models.Min("runs__until", filter=models.Q(runs__status__in=TAKES_CALLS))
        return self.filter(wanted).alias(_until=until).order_by(models.F("_until").asc(nulls_last=True), "pk")

    def about(self, instance: models.Model) -> TimelineQuerySet:
        """Those that have a field which refers to this row, or is a list of rows with this among them.

        ``TypeError``: it is no row, an anonymous user say. ``ValueError``: it has no primary key.
        """
        if not isinstance(instance, models.Model):
            raise TypeError(f"about({instance!r}): give a row of a model.")
        if instance.pk is None:
            raise ValueError(f"about({instance!r}): it has no primary key, so that no field can refer to it.")
        wanted = models.Q(pk__in=[])
        for declaration in registry.everything().values():
            theirs = models.Q(workflow__in=declaration.names)
            for name, key in declaration.references_to(instance).items():
                for known in filter(None, (name, declaration.fields[name].renamed_from)):
                    wanted |= theirs & models.Q(Holds("fields", known, key))
        return self.filter(wanted)


class Timeline(models.Model):
    """One running or finished workflow. The row carries its head, its status and the fold of its events."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workflow = ExactCharField(_("workflow"), max_length=150)
    head = models.PositiveIntegerField(_("head"), help_text=_("The sequence of the newest event."))
    status = models.CharField(_("status"), max_length=12, choices=[(str(s), _(s)) for s in TimelineStatus])
    state = StateField(_("state"), help_text=_("The fold of the events: a cache."))
    fields = models.JSONField(_("fields"), default=dict, help_text=_("Those of the state, written when they change."))
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
    _watch: RollbackWatch | None = None  # over the transaction that it was read in

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
            ("revoke_timeline", "Can revoke links"),
            ("assign_timeline", "Can assign a step to somebody"),
        )
        constraints = (models.CheckConstraint(condition=models.Q(head__gte=1), name="timelines_head_from_1"),)
        indexes = (  # each in the order of the lists, newest first; the primary key serves the list without a filter
            models.Index(fields=["status", "id", "workflow"], name="timelines_by_status"),  # and counts by it alone
            models.Index(fields=["workflow", "id"], name="timelines_by_workflow"),
            models.Index(fields=["started_by", "id"], name="timelines_by_starter"),
            models.Index(fields=["correlation"], name="timelines_by_family"),
        )

    def __str__(self) -> str:
        return f"{self.workflow} {self.id}"

    def get_absolute_url(self) -> str:
        """Return the address of the visitor's page: the workflow's; ours if the code no longer has its class."""
        declaration = registry.find(self.workflow)
        if declaration is None:
            return reverse("timelines:timeline", args=[self.pk])
        return str(declaration.make(self).get_absolute_url())

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """Let the state have its fields again."""
        timeline = super().from_db(*args, **kwargs)
        if {"state", "fields"} <= timeline.__dict__.keys():
            timeline.state = with_fields(timeline.state, timeline.fields, timeline.pk)
        timeline._watch = watch_over(timeline.using)
        return timeline

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """Read it again; the state with its fields."""
        wanted = fields if fields is None or "state" not in fields else [*fields, "fields"]
        super().refresh_from_db(using or self.using, wanted, from_queryset)
        if wanted is None or "state" in wanted:
            self._watch = watch_over(self.using)

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

    def revoke_links(self, *, reason: str, actor: Any = None) -> None:
        """Let nobody see it by a link that was made by now, nor whom one let in. A new ``link()`` is good."""
        registry.verbs().revoke_links(self, reason=reason, actor=actor)

    async def arevoke_links(self, *, reason: str, actor: Any = None) -> None:
        """Revoke them from async code."""
        await sync_to_async(self.revoke_links)(reason=reason, actor=actor)

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
    revoke_links.alters_data = True  # type: ignore[attr-defined]
    arevoke_links.alters_data = True  # type: ignore[attr-defined]
    erase.alters_data = True  # type: ignore[attr-defined]
    aerase.alters_data = True  # type: ignore[attr-defined]

    def link(self) -> str:
        """Return the absolute, signed address that lets its holder see this timeline."""
        return registry.verbs().timeline_link(self)
