"""The coffee shop."""

from __future__ import annotations

from django.apps import AppConfig


class CoffeeConfig(AppConfig):
    """``example_project.coffee`` in ``INSTALLED_APPS``."""

    name = "example_project.coffee"
    verbose_name = "Coffee"
