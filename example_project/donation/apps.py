"""The donation: a guided form over several pages, with automations between them."""

from __future__ import annotations

from django.apps import AppConfig


class DonationConfig(AppConfig):
    """``example_project.donation`` in ``INSTALLED_APPS``."""

    name = "example_project.donation"
    verbose_name = "Donation"
