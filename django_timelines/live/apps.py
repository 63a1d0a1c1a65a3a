"""The app ``django_timelines.live``: take it out of INSTALLED_APPS and Channels is gone; pages poll instead."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LiveConfig(AppConfig):
    """``django_timelines.live`` in ``INSTALLED_APPS``."""

    name = "django_timelines.live"
    label = "django_timelines_live"
    verbose_name = _("Live timelines")

    def ready(self) -> None:
        """Listen to what is appended, to progress and to pauses: wake this process's sockets, and send a hint to the others'."""
        from ..signals import appended, paused, progressed
        from . import hub, sender

        appended.connect(hub.wake_all, dispatch_uid="django_timelines.live.hub")
        appended.connect(sender.send_hint, dispatch_uid="django_timelines.live.sender")
        paused.connect(hub.draw_all, dispatch_uid="django_timelines.live.hub")
        paused.connect(sender.send_hint_to_all, dispatch_uid="django_timelines.live.sender")
        progressed.connect(hub.wake_for_progress, dispatch_uid="django_timelines.live.hub")
        progressed.connect(sender.send_progress, dispatch_uid="django_timelines.live.sender")
