"""The app of the tests of projections."""

from django.apps import AppConfig


class ProjectionsConfig(AppConfig):
    """Label ``ledger``."""

    name = "tests.projections"
    label = "ledger"
