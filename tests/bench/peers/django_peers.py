"""The settings of the peers that are Django apps: as ours in the race, PostgreSQL with kept connections."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings


def setup(*apps: str, **options: Any) -> None:
    """Make a project of these apps."""
    url = urlsplit(os.environ["RACE_URL"])
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "HOST": url.hostname,
        "PORT": url.port,
        "CONN_MAX_AGE": 60,
        "OPTIONS": {"prepare_threshold": 5},
    }
    settings.configure(
        SECRET_KEY="for the race only",
        USE_TZ=True,
        DATABASES={"default": database},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *apps],
        **options,
    )
    django.setup()
