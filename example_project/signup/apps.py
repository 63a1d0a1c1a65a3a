"""The sign-up."""

from __future__ import annotations

from django.apps import AppConfig


class SignupConfig(AppConfig):
    """``example_project.signup`` in ``INSTALLED_APPS``."""

    name = "example_project.signup"
    verbose_name = "Sign-up"
