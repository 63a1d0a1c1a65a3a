"""The import of contacts."""

from __future__ import annotations

from django.apps import AppConfig


class ContactsConfig(AppConfig):
    """``example_project.contacts`` in ``INSTALLED_APPS``."""

    name = "example_project.contacts"
    verbose_name = "Contacts"
