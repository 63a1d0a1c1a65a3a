"""The list of workflows, and the page of one: what its class declares, and how many of its timelines are where."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .. import registry
from ..diagram import Diagram, diagram_of
from ..engine.bells import placement_of, retry_placement_of
from ..graph import Node
from ..models import Schedule
from ..policy import sees_all
from ..registry import Declaration
from ..state import GRAVEST_FIRST, TimelineStatus
from . import words
from .counts import open_runs, open_timelines
from .pauses import Banner, pauses_of
from .schedules import ScheduleAdmin
from .verbs import VERBS

_SHOWN_FIRST = (
    TimelineStatus.BLOCKED,
    TimelineStatus.RUNNING,
    TimelineStatus.WAITING,
    TimelineStatus.PAUSED,
    TimelineStatus.CANCELLING,
)


def page_of(label: str, site_name: str) -> str:
    """Return the address of a workflow's page."""
    return reverse("admin:django_timelines_timeline_workflow", args=[label], current_app=site_name)


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are of a status, and the list of them."""

    badge: SafeString
    number: int
    url: str


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """A workflow in the list. ``url`` is empty where the code no longer has its class."""

    title: str
    label: str
    about: str
    url: str
    list_url: str
    counts: list[Count]


class WorkflowList:
    """The workflows of the code, and those that only open timelines still have."""

    def __init__(self, request: HttpRequest, site: AdminSite, using: str) -> None:
        self._request = request
        self._site = site
        self._using = using

    @property
    def pauses(self) -> list[Banner]:
        """The pauses that there are."""
        return pauses_of(None, self._using, self._request.user, self._site.name)

    @property
    def has_counts(self) -> bool:
        """Tell whether it says how many timelines there are."""
        return sees_all(self._request.user)

    @property
    def rows(self) -> list[WorkflowRow]:
        """One for each, by name."""
        counted = open_timelines(self._using) if self.has_counts else {}
        rows = [self._row(label, counted.get(label, {})) for label in {*registry.everything(), *counted}]
        return sorted(rows, key=lambda row: (row.title, row.label))

    def _row(self, label: str, counts: dict[str, int]) -> WorkflowRow:
        declaration = registry.find(label)
        return WorkflowRow(
            words.workflow_title(label),
            label,
            _doc(declaration).partition("\n")[0] if declaration else _("The code no longer has it."),
            page_of(label, self._site.name) if declaration else "",
            _list_of(self._site, workflow=label),
            _counts(self._site, label, counts),
        )


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step on the page of its workflow. ``retries`` is said where they run elsewhere than the first attempt."""

    title: str
    doc: str
    kind: str
    each: str
    child: str
    child_url: str
    placement: str
    retries: str
    counts: list[Count]


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule of the workflow, as the list of schedules says it."""

    name: str
    times: str
    badge: SafeString | str
    next: str


class WorkflowPage:
    """One workflow for one reader."""

    def __init__(self, declaration: Declaration, request: HttpRequest, site: AdminSite, using: str) -> None:
        self._declaration = declaration
        self._request = request
        self._site = site
        self._using = using

    @property
    def label(self) -> str:
        """Its label."""
        return self._declaration.label

    @property
    def doc(self) -> str:
        """What the class says of itself."""
        return _doc(self._declaration)

    @cached_property
    def pauses(self) -> list[Banner]:
        """The pauses that hold its timelines."""
        return pauses_of(self.label, self._using, self._request.user, self._site.name)

    @property
    def pause_url(self) -> str:
        """Where it is paused, if it is not yet, for those who may."""
        is_paused = any(pause.workflow == self.label for pause in self.pauses)
        if is_paused or not self._request.user.has_perm(VERBS["pause"].permission):
            return ""
        url = reverse("admin:django_timelines_timeline_pause_all", current_app=self._site.name)
        return f"{url}?{urlencode({'workflow': self.label})}"

    @property
    def list_url(self) -> str:
        """The list of its timelines."""
        return _list_of(self._site, workflow=self.label)

    @property
    def has_counts(self) -> bool:
        """Tell whether it says how many timelines and runs there are."""
        return sees_all(self._request.user)

    @property
    def counts(self) -> list[Count]:
        """How many of its timelines have not ended, by status."""
        found = open_timelines(self._using, self._declaration)
        return _counts(self._site, self.label, found.get(self.label, {}))

    @property
    def diagram(self) -> Diagram:
        """Its steps as a drawing, each with its open runs, whose boxes lead to their rows."""
        rows = {name: f"#step-{number}" for number, name in enumerate(self._declaration.graph.nodes, 1)}
        return diagram_of(self._declaration, rows=rows, open_runs=self._open)

    @property
    def steps(self) -> list[StepRow]:
        """Its steps; behind them others on which runs are open: of an undo, or of a step that the code no longer has."""
        nodes = self._declaration.graph.nodes
        others = [name for name in self._open if name not in nodes]
        return [self._step(node) for node in nodes.values()] + [self._other(name) for name in sorted(others)]

    @cached_property
    def _open(self) -> dict[str, dict[str, int]]:
        return open_runs(self._using, self._declaration) if self.has_counts else {}

    def _step(self, node: Node) -> StepRow:
        step = self._declaration.steps[node.name]
        child = step.child._declaration if step.child is not None else None
        is_called = node.waits and child is None
        first = placement_of(self.label, node.name, called=is_called)
        later = retry_placement_of(self.label, node.name)
        return StepRow(
            words.step_title(node.name),
            step.doc.partition("\n")[0],
            "" if child else _("waits for a call") if is_called else _("runs by itself"),
            _("for each of %(field)s") % {"field": node.each.field} if node.each else "",
            child.title if child else "",
            page_of(child.label, self._site.name) if child else "",
            first,
            later if later != first else "",
            self._runs(node.name),
        )

    def _other(self, name: str) -> StepRow:
        known = name in self._declaration.steps
        kind = "" if known else _("The code no longer has it.")
        placement = placement_of(self.label, name) if known else ""
        return StepRow(words.step_title(name), "", kind, "", "", "", placement, "", self._runs(name))

    def _runs(self, name: str) -> list[Count]:
        runs = self._open.get(name, {})
        url = _list_of(self._site, workflow=self.label, step=name)
        return [Count(words.badge(status), runs[status], url) for status in GRAVEST_FIRST if status in runs]

    @cached_property
    def schedules(self) -> list[ScheduleRow]:
        """What begins it by itself, for those who may see schedules."""
        admin = ScheduleAdmin(Schedule, self._site)
        if not admin.has_view_permission(self._request):
            return []
        stored = Schedule.objects.using(self._using).filter(workflow__in=self._declaration.names)
        rows = {row.name: row for row in stored}
        return [
            ScheduleRow(name, *self._standing(admin, name, rows.get(name)))
            for name in sorted({*self._declaration.schedules, *rows})
        ]

    def _standing(self, admin: ScheduleAdmin, name: str, row: Any) -> tuple[str, SafeString | str, str]:
        if row is not None:
            return admin.times(row), admin.standing(row), admin.next(row)
        declared = self._declaration.schedules[name]
        return f"{declared.cron} ({declared.tz})", _("No clock has looked at it yet."), ""

    @property
    def schedules_url(self) -> str:
        """The list of all schedules."""
        return reverse("admin:django_timelines_schedule_changelist", current_app=self._site.name)


def _doc(declaration: Declaration) -> str:
    return inspect.cleandoc(declaration.workflow.__doc__ or "")


def _counts(site: AdminSite, label: str, counts: dict[str, int]) -> list[Count]:
    return [
        Count(words.badge(status), counts[status], _list_of(site, workflow=label, status=status))
        for status in _SHOWN_FIRST
        if status in counts
    ]


def _list_of(site: AdminSite, **filters: str) -> str:
    url = reverse("admin:django_timelines_timeline_changelist", current_app=site.name)
    return f"{url}?{urlencode(filters)}"
