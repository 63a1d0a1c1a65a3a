"""The filters of the list."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import registry
from ..state import TimelineStatus
from .counts import open_at
from .search import labels
from .words import step_title, workflow_title


class Status(SimpleListFilter):
    """The closed list."""

    title = gettext_lazy("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer each status that there is."""
        return [(str(status), capfirst(_(status))) for status in TimelineStatus]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those of one status."""
        return queryset.filter(status=self.value()) if self.value() else queryset


class WorkflowOf(SimpleListFilter):
    """The workflows of the code, and those that only the database still has."""

    title = gettext_lazy("workflow")
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer each workflow by its name, and by its label where a name is there twice."""
        known = sorted(labels(model_admin.get_queryset(request).db), key=workflow_title)
        titles = [workflow_title(label) for label in known]
        return [
            (label, title if titles.count(title) == 1 else f"{title} ({label})")
            for label, title in zip(known, titles, strict=True)
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those of one workflow, also under the names that it had before."""
        label = self.value()
        return queryset.filter(workflow__in=_names(label)) if label else queryset


class OpenStep(SimpleListFilter):
    """Those on which a step is open. Offered once a workflow is chosen: a step is one of its."""

    title = gettext_lazy("open step")
    parameter_name = "step"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self._workflow = request.GET.get(WorkflowOf.parameter_name, "")
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the steps of the workflow that is chosen."""
        declaration = registry.find(self._workflow)
        return [(name, step_title(name)) for name in declaration.graph.nodes] if declaration else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the newest on which it is open: they are looked for among the open runs, which no ended timeline has."""
        step = self.value()
        if not step:
            return queryset
        if "\x00" in step:
            return queryset.none()
        return queryset.filter(pk__in=open_at(queryset.db, registry.get(self._workflow), step))


def _names(label: str) -> tuple[str, ...]:
    declaration = registry.find(label)
    return declaration.names if declaration and declaration.label == label else (label,)


FILTERS = (Status, WorkflowOf, OpenStep)
