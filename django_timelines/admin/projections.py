"""The list of projections: how far behind each is, why one has stopped, and a rebuild of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import following
from ..engine import rebuild
from ..engine.lag import nobody_follows, status_of, with_lag
from ..models import Projection
from . import words

_REBUILD = "django_timelines.rebuild_projection"


@admin.register(Projection)
class ProjectionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows projections to those who may view them. Rows are written by those who follow."""

    list_display = ("label", "standing", "behind", "events", "followed", "rebuilt", "stopped")
    list_display_links = None
    sortable_by = ()
    actions = ("rebuild",)

    class Media:
        css = {"all": ("django_timelines/admin.css",)}  # noqa: RUF012 (Django's own form)

    @admin.display(description=gettext_lazy("status"))
    def standing(self, projection: Any) -> SafeString:
        """Say its status in a word."""
        return words.badge(str(status_of(projection)))

    @admin.display(description=gettext_lazy("behind"))
    def behind(self, projection: Any) -> str:
        """Say how many timelines it has yet to look at, and since when."""
        if not projection.behind:
            return "0"
        said = ngettext("%(n)d timeline since %(when)s", "%(n)d timelines since %(when)s", projection.behind)
        return said % {"n": projection.behind, "when": words.moment(projection.since_when)}

    @admin.display(description=gettext_lazy("followed"))
    def followed(self, projection: Projection) -> str:
        """Say when it last followed something."""
        return words.moment(projection.followed_at) if projection.followed_at else ""

    @admin.display(description=gettext_lazy("rebuilt"))
    def rebuilt(self, projection: Projection) -> str:
        """Say when it was last made anew."""
        return words.moment(projection.rebuilt_at) if projection.rebuilt_at else ""

    @admin.display(description=gettext_lazy("stopped"))
    def stopped(self, projection: Projection) -> SafeString | str:
        """Say at which event it has stopped, and why."""
        if not projection.error:
            return ""
        sentence, _blank, traceback = projection.error.partition("\n\n")
        return format_html("<details><summary>{}</summary><pre>{}</pre></details>", sentence, traceback)

    @admin.action(description=gettext_lazy("Rebuild the selected projections"), permissions=["rebuild"])
    def rebuild(self, request: HttpRequest, chosen: QuerySet[Projection]) -> None:
        """Ask those who follow for a rebuild: it may take minutes."""
        for projection in chosen:
            if projection.label not in following.everything():
                said = _("The code does not have %(label)s, so it is not rebuilt.")
                self.message_user(request, said % {"label": projection.label}, messages.ERROR)
                continue
            rebuild.ask(projection.label, chosen.db)
            self.log_change(request, projection, _("Asked for a rebuild."))
            said = _("A rebuild of %(label)s was asked for. Its rows are read as they are until it is done.")
            self.message_user(request, said % {"label": projection.label}, messages.SUCCESS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Add how far behind they are."""
        return with_lag(super().get_queryset(request))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, and say so if nobody follows."""
        if request.method == "GET" and nobody_follows(self.get_queryset(request).db):
            said = _("No follower has been seen for a minute: run manage.py timelines_clock or timelines_follow.")
            self.message_user(request, said, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: the code declares them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: those who follow write the rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: ``manage.py timelines forget`` takes one that the code no longer has."""
        return False

    def has_rebuild_permission(self, request: HttpRequest) -> bool:
        """Those with the permission."""
        return request.user.has_perm(_REBUILD)
