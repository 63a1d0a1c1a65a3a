"""SQLite as ``manage.py check`` asks for it: a write-ahead log, and transactions that queue up from their start."""

from .base import *  # noqa: F403
from .base import BUILD

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BUILD / "tests.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        # A file, as several threads write to it: a database in memory has one lock for them all and no queue.
        "TEST": {"NAME": BUILD / "tests.sqlite3"},
    }
}
