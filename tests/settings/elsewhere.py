"""The unusual project: the timelines in a database of their own, a user model with a UUID key, each request in a transaction."""

from .base import *  # noqa: F403
from .base import BUILD, INSTALLED_APPS

_SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"},
    "ATOMIC_REQUESTS": True,
}
DATABASES = {
    alias: {**_SQLITE, "NAME": BUILD / f"{alias}.sqlite3", "TEST": {"NAME": BUILD / f"{alias}.sqlite3"}}
    for alias in ("default", "timelines")
}
DATABASE_ROUTERS = ["tests.people.routers.Router"]
AUTH_USER_MODEL = "people.Person"
INSTALLED_APPS = [*(app for app in INSTALLED_APPS if not app.startswith("example_project")), "tests.people"]
