"""The list of timelines, and the addresses of their pages and verbs."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from .. import registry
from ..actors import through
from ..models import Timeline
from ..policy import may_view
from ..state import run_key, split_key
from . import pauses, search, words
from .causes import CausesPage
from .changelist import TimelineChangeList
from .confirm import confirm
from .filters import FILTERS
from .page import Page, seen_by
from .selected import ACTIONS, ticked
from .verbs import VERBS, allowed_verbs
from .workflows import WorkflowList, WorkflowPage


@admin.register(Timeline)
class TimelineAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows timelines to those who may view them. Nothing is added, changed or deleted here: events are appended by verbs."""

    list_display = ("name", "standing", "stands", "started", "changed")
    list_display_links = ("name",)
    list_filter = FILTERS
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering = ("-id",)
    sortable_by = ()
    actions = ACTIONS
    search_fields = ("id",)  # shows the box; get_search_results decides
    search_help_text = search.HELP

    class Media:
        css = {"all": ("django_timelines/admin.css",)}  # noqa: RUF012 (Django's own form)

    # The list

    @admin.display(description=_("timeline"))
    def name(self, timeline: Timeline) -> str:
        """Name it shortly."""
        return words.timeline_title(timeline)

    @admin.display(description=_("status"))
    def standing(self, timeline: Timeline) -> SafeString:
        """Say its status in a word."""
        return words.badge(timeline.status)

    @admin.display(description=_("where it stands"))
    def stands(self, timeline: Timeline) -> str:
        """Say what is open."""
        return words.stands(timeline.runs.all())  # prefetched

    @admin.display(description=_("started"))
    def started(self, timeline: Timeline) -> SafeString:
        """Say when, and by whom."""
        by = getattr(timeline, "starter", "")
        return format_html(
            '{}<br><span class="timelines-quiet">{}</span>', words.moment(timeline.started_at), words.worker(by)
        )

    @admin.display(description=_("changed"))
    def changed(self, timeline: Timeline) -> str:
        """Say when its newest event was appended."""
        return words.moment(timeline.changed_at)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TimelineChangeList]:
        """Page by key."""
        return TimelineChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by id, key or people; who may not see users finds these by a whole name alone."""
        term = search_term.strip()
        if not term:
            return queryset, False
        people = request.user.has_perm("{0.app_label}.view_{0.model_name}".format(get_user_model()._meta))
        return queryset.filter(search.matching(term, queryset.db, people=people)), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Let an address filter by what the list offers, and by nothing that would read each row."""
        return lookup in {filter.parameter_name for filter in FILTERS}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, with the pauses that there are."""
        using = self.get_queryset(request).db
        banners = pauses.pauses_of(None, using, request.user, self.admin_site.name)
        may_pause = self.has_pause_permission(request)
        context = {"pauses": banners, "may_pause": may_pause, **(extra_context or {})}
        return super().changelist_view(request, context)

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse | None:
        """Do nothing where a tick is no id: Django would raise."""
        with through("admin"):
            return super().response_action(request, *args, **kwargs) if ticked(request) else None

    # Who may do what

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: ``start(…)`` begins timelines."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: events are never changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: a timeline is append-only."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Timeline | None = None) -> bool:
        """Those with the permission, if the one policy lets them see this timeline."""
        if not request.user.has_perm("django_timelines.view_timeline"):
            return False
        return obj is None or may_view(obj, request.user, request.session)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Those with the permission to retry."""
        return request.user.has_perm(VERBS["retry"].permission)

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Those with the permission to pause and resume."""
        return request.user.has_perm(VERBS["pause"].permission)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Those with the permission to cancel."""
        return request.user.has_perm(VERBS["cancel"].permission)

    # The page of one timeline, and its verbs

    def get_urls(self) -> list[URLPattern]:
        """Add the confirmation page of each verb."""
        verbs = [
            path(
                f"<uuid:pk>/{verb.name}/" + ("<path:run>/" if verb.of_a_step else ""),
                self.admin_site.admin_view(self.verb_view),
                {"verb": verb.name},
                name=f"django_timelines_timeline_{verb.name}",
            )
            for verb in VERBS.values()
        ]
        all_of_them = [
            path(f"{name}/", self.admin_site.admin_view(view), name=f"django_timelines_timeline_{name}")
            for name, view in (
                ("pause_all", self.pause_all_view),
                ("resume_all", self.resume_all_view),
                ("workflows", self.workflows_view),
            )
        ]
        workflow = path(
            "workflows/<str:label>/",
            self.admin_site.admin_view(self.workflow_view),
            name="django_timelines_timeline_workflow",
        )
        causes = path(
            "<uuid:pk>/causes/", self.admin_site.admin_view(self.causes_view), name="django_timelines_timeline_causes"
        )
        return [*verbs, causes, *all_of_them, workflow, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the timeline's page, in the place of a form."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        timeline = self.get_object(request, unquote(object_id))
        if timeline is None:
            redirect: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
            return redirect
        if not self.has_view_permission(request, timeline):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        page = Page(timeline, request, self.admin_site, allowed_verbs(request.user))
        return self.render(request, "page", timeline, {"page": page, **(extra_context or {})})

    def causes_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Show which event led to which, over all timelines of the family."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        timeline = self.get_object(request, str(pk))
        if timeline is None:
            raise Http404
        if not self.has_view_permission(request, timeline):
            raise PermissionDenied
        page = CausesPage(timeline, request.GET.get("after", ""), self.admin_site.name, seen_by(request))
        return self.render(request, "causes", timeline, {"page": page})

    def verb_view(self, request: HttpRequest, pk: uuid.UUID, verb: str, run: str = "") -> HttpResponse:
        """Say what a verb will do, and ask why; do it on POST."""
        if not self.has_view_permission(request) or verb not in allowed_verbs(request.user):
            raise PermissionDenied
        timeline = self.get_object(request, str(pk))
        if timeline is None:
            raise Http404
        if not self.has_view_permission(request, timeline):
            raise PermissionDenied
        key = request.GET.get("to", "") if verb == "rewind" else run_key(*split_key(run))
        with through("admin"):
            return confirm(self, request, timeline, VERBS[verb], key)

    def pause_all_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to pause everything or one workflow, and why; do it on POST."""
        return pauses.pause_all(self, request)

    def resume_all_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to end such a pause; do it on POST."""
        return pauses.resume_all(self, request)

    def workflows_view(self, request: HttpRequest) -> HttpResponse:
        """List the workflows, each with how many of its timelines are where."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        page = WorkflowList(request, self.admin_site, self.get_queryset(request).db)
        return self.render(request, "workflows", None, {"page": page, "title": _("Workflows")})

    def workflow_view(self, request: HttpRequest, label: str) -> HttpResponse:
        """Show what one workflow declares, and how many of its runs are open on each step."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        declaration = registry.find(label)
        if declaration is None:
            raise Http404
        page = WorkflowPage(declaration, request, self.admin_site, self.get_queryset(request).db)
        return self.render(request, "workflow", None, {"page": page, "title": declaration.title})

    def render(
        self, request: HttpRequest, template: str, timeline: Timeline | None, context: dict[str, Any]
    ) -> HttpResponse:
        """Render one of our templates as a page of this admin site."""
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            f"admin/django_timelines/timeline/{template}.html",
            {
                **self.admin_site.each_context(request),
                "title": words.timeline_title(timeline) if timeline else "",
                "timeline": timeline,
                "opts": self.opts,
                "media": self.media,
                "preserved_filters": self.get_preserved_filters(request),
                **context,
            },
        )
