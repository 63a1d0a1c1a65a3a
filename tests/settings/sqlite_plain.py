"""SQLite with the defaults of a new Django project."""

from .base import *  # noqa: F403
from .base import BUILD

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BUILD / "tests_plain.sqlite3",
        "TEST": {"NAME": BUILD / "tests_plain.sqlite3"},  # a file, as several threads write to it
    }
}
