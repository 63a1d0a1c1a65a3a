"""What waits for whoever is logged in: a list of timelines, each with the steps that they may call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import AnonymousUser
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import ListView

from .. import moments, policy, registry
from ..items import count_waiting, run_of, waiting_keys
from ..models import Timeline
from ..outline import MOST_ITEMS, run_title
from ..state import is_damaged, waiting_steps
from .visible import viewer


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that waits, as the list shows it."""

    timeline: Timeline
    workflow: str
    title: str
    until: datetime | None
    more: int = 0  # items of its step that wait and are not listed; the last one that is says so

    @property
    def is_overdue(self) -> bool:
        """Tell whether its time has run out, whether or not the clock has said so by now."""
        return self.until is not None and self.until <= moments.now()


@method_decorator(never_cache, name="dispatch")
class MyWorkView(LoginRequiredMixin, ListView):  # type: ignore[type-arg]
    """``timelines:mine``: overdue first."""

    template_name = "django_timelines/mine.html"
    paginate_by = 50

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Take whoever asks on a site that knows no users for an anonymous visitor, who is led to the login."""
        super().setup(request, *args, **kwargs)
        if viewer(request)[0] is None:
            request.user = AnonymousUser()

    def get_queryset(self) -> QuerySet[Timeline]:
        """Return the timelines on which a step waits for this user."""
        return Timeline.objects.using(router.db_for_write(Timeline)).waiting_for_me(self.request.user)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        """Add the steps of those on this page of the list, but of what is damaged: nobody can call them until it is mended."""
        found = super().get_context_data(**context)
        rows = [row for row in found["object_list"] if not is_damaged(row.state)]
        return found | {"waiting": [one for row in rows for one in self._waiting(row)]}

    def _waiting(self, row: Timeline) -> Iterator[Waiting]:
        user, declaration = self.request.user, registry.get(row.workflow)
        for step in sorted(waiting_steps(row.state)):
            keys = waiting_keys(row, step, MOST_ITEMS, str(user.pk))
            runs = [run for run in keys if policy.is_for(row, run, user)]
            more = count_waiting(row, step, str(user.pk)) - len(runs) if len(runs) == MOST_ITEMS else 0
            for run in runs:
                left = more if run is runs[-1] and more > 0 else 0
                yield Waiting(row, declaration.title, run_title(run), _until(row, run), left)


def _until(row: Timeline, run: str) -> datetime | None:
    until = run_of(row, run).get("until")
    return moments.from_text(until) if until else None
