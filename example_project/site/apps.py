"""The frame of the example project: its index, its looks, and the ``demo`` command."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """``example_project.site`` in ``INSTALLED_APPS``."""

    name = "example_project.site"
