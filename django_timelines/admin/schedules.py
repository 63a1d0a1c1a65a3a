"""The list of schedules: when each begins a timeline next, what came of its last tick, and a pause of it."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import registry
from ..actors import of_user
from ..engine import ticks
from ..exceptions import Refused
from ..models import Schedule
from . import words

_PAUSE = "django_timelines.pause_schedule"


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows schedules to those who may view them. Rows are written by the clock."""

    list_display = ("of", "name", "times", "standing", "next", "last", "newest", "trouble")
    list_display_links = None
    sortable_by = ()
    actions = ("pause", "resume")

    class Media:
        css = {"all": ("django_timelines/admin.css",)}  # noqa: RUF012 (Django's own form)

    @admin.display(description=gettext_lazy("workflow"))
    def of(self, schedule: Schedule) -> str:
        """Say which workflow it begins."""
        return words.workflow_title(registry.current(schedule.workflow))

    @admin.display(description=gettext_lazy("times"))
    def times(self, schedule: Schedule) -> str:
        """Say its times, and by whose clock."""
        return f"{schedule.cron} ({schedule.tz})"

    @admin.display(description=gettext_lazy("status"))
    def standing(self, schedule: Schedule) -> SafeString:
        """Say its status in a word, and who paused it."""
        badge = words.badge(str(ticks.status_of(schedule)))
        if schedule.paused_at is None:
            return badge
        said = _("since %(when)s, by %(who)s") % {
            "when": words.moment(schedule.paused_at),
            "who": schedule.paused_by,
        }
        return format_html("{} {}", badge, said)

    @admin.display(description=gettext_lazy("next tick"))
    def next(self, schedule: Schedule) -> str:
        """Say when it begins the next one, if it does."""
        is_kept = ticks.status_of(schedule) in (ticks.ScheduleStatus.ON, ticks.ScheduleStatus.FAILING)
        return words.moment(schedule.next_tick) if is_kept else ""

    @admin.display(description=gettext_lazy("last tick"))
    def last(self, schedule: Schedule) -> str:
        """Say when its last tick was, what came of it, and how many wait."""
        if schedule.last_tick is None:
            return ""
        said = f"{words.moment(schedule.last_tick)}: {_(schedule.outcome)}"
        return said + (f" ({_('%(n)d in the queue') % {'n': len(schedule.queue)}})" if schedule.queue else "")

    @admin.display(description=gettext_lazy("timeline"))
    def newest(self, schedule: Schedule) -> SafeString | str:
        """Lead to the newest timeline that it began."""
        if schedule.timeline is None:
            return ""
        site = self.admin_site.name
        url = reverse("admin:django_timelines_timeline_change", args=[schedule.timeline], current_app=site)
        return format_html('<a href="{}">{}</a>', url, str(schedule.timeline)[: words.SHORT_ID])

    @admin.display(description=gettext_lazy("trouble"))
    def trouble(self, schedule: Schedule) -> str:
        """Say why a tick could not begin its timeline."""
        return schedule.error

    @admin.action(description=gettext_lazy("Pause the selected schedules"), permissions=["pause"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        """Begin nothing at their ticks until they are resumed."""
        for schedule in chosen:
            if ticks.pause(schedule, of_user(request.user)):
                self.log_change(request, schedule, _("Paused."))
                self.message_user(request, _("%(schedule)s is paused.") % {"schedule": schedule}, messages.SUCCESS)

    @admin.action(description=gettext_lazy("Resume the selected schedules"), permissions=["pause"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        """Go on with the next tick from now on."""
        for schedule in chosen:
            try:
                if not ticks.resume(schedule):
                    continue
            except Refused as refused:
                self.message_user(request, str(refused), messages.ERROR)
                continue
            self.log_change(request, schedule, _("Resumed."))
            said = _("%(schedule)s is resumed. What came while it was paused is skipped.")
            self.message_user(request, said % {"schedule": schedule}, messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: the code declares them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody: the clock writes the rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """Who may pause one, once the code no longer has it."""
        return self.has_pause_permission(request) and (obj is None or ticks.find_declared(obj) is None)

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Those with the permission."""
        return request.user.has_perm(_PAUSE)
