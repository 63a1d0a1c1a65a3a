"""The mails that the demo "sent", on a page of their own instead of in somebody's mailbox."""

from __future__ import annotations

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    """``example_project.outbox`` in ``INSTALLED_APPS``."""

    name = "example_project.outbox"
    verbose_name = "Outbox"
