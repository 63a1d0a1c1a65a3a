"""The app: finds the workflows and projections of all installed apps, and lets the first request start the embedded worker."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import request_started
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class TimelinesConfig(AppConfig):
    """``django_timelines`` in ``INSTALLED_APPS``."""

    name = "django_timelines"
    verbose_name = _("Timelines")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import each app's ``workflows.py``, then each ``projections.py``."""
        from . import checks  # noqa: F401 (registers them; models are ready only now)
        from .placements import embedded

        autodiscover_modules("workflows")
        autodiscover_modules("projections")
        request_started.connect(embedded.serve, dispatch_uid="django_timelines.embedded")
