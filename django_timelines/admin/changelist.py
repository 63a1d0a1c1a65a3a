"""The pages of the list, by key: the last page of a million timelines costs what the first one does, and nothing counts them."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from ..audit import NAMED_BY, name_of
from ..models import Event, Run, Timeline
from .words import NAMED_RUNS

OLDER, NEWER = "before", "after"


class TimelineChangeList(ChangeList):
    """Newest first, always: ``?before=<id>`` is the page of older ones, ``?after=<id>`` that of newer ones."""

    older_query: str | None = None
    newer_query: str | None = None
    newest_query: str | None = None

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Read what a row shows: not the state, which may be large, but the open runs."""
        self._cursors = {name: request.GET.get(name, "") for name in (OLDER, NEWER)}
        for name in (OLDER, NEWER):  # a link of a filter, and a search, begin at the newest again
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        rows = super().get_queryset(request, exclude_parameters)
        first = Run.objects.counted().first_alike(NAMED_RUNS).order_by("id")
        return rows.defer("state", "fields").prefetch_related(Prefetch("runs", first))

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """By id alone, which is by age."""
        return ["-id"]

    def get_results(self, request: HttpRequest) -> None:
        """Read one page and one row more, which tells whether there is another; show what this person may see of it."""
        rows, older, newer = self._page()
        seen = [row for row in rows if self.model_admin.has_view_permission(request, row)]
        _add_starters(seen)
        self.result_list = seen
        self.result_count = self.full_result_count = len(seen)
        self.show_full_result_count = False
        self.show_admin_actions = bool(seen)
        self.can_show_all = self.multi_page = self.show_all = False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        if rows and older:
            self.older_query = self.get_query_string({OLDER: rows[-1].id.hex})
        if rows and newer:
            self.newer_query = self.get_query_string({NEWER: rows[0].id.hex})
        if newer:
            self.newest_query = self.get_query_string()

    def _page(self) -> tuple[list[Timeline], bool, bool]:
        """Return the rows, and whether there are older and newer ones."""
        size = self.list_per_page
        if after := _id(self._cursors[NEWER]):
            rows = list(self.queryset.filter(pk__gt=after).order_by("id")[: size + 1])
            if len(rows) >= size:
                return rows[:size][::-1], True, len(rows) > size
        before = None if after else _id(self._cursors[OLDER])
        rows = list((self.queryset.filter(pk__lt=before) if before else self.queryset)[: size + 1])
        return rows[:size], len(rows) > size, before is not None


def _id(text: str) -> uuid.UUID | None:
    if not text:
        return None
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise IncorrectLookupParameters(error) from None


def _add_starters(rows: list[Timeline]) -> None:
    """Give each row ``starter``: who started it, by a label that outlives the user."""
    if not rows:
        return
    first = Event.objects.using(rows[0].using).filter(timeline__in=[row.id for row in rows], sequence=1)
    names = {event.timeline_id: name_of(event) for event in first.only(*NAMED_BY, "timeline_id")}
    for row in rows:
        row.starter = names.get(row.id, "")  # type: ignore[attr-defined]
