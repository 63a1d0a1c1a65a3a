"""The benchmark's settings: PostgreSQL with its default durability, SQLite with a write-ahead log, and a real Redis."""

import os
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"  # not tracked
SECRET_KEY = "for the benchmark only"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "django_timelines.urls"
STATIC_URL = "static/"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "channels",
    "django_rq",
    "django_timelines",
    "django_timelines.live",
    "tests.bench",
]

# __main__ makes the databases, each run its own, and hands their names to the processes that it starts.
DATABASE = os.environ.get("BENCH_DATABASE", "timelines_bench")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": DATABASE,
        "USER": os.environ.get("PGUSER", "postgres"),
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", "5432"),
        "OPTIONS": {"prepare_threshold": 5},  # as the README asks of a site in production
    },
    "sqlite": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BUILD / f"{DATABASE}.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    },
}
DATABASE_ROUTERS = ["tests.bench.databases.Router"]

REDIS_URL = os.environ.setdefault("TEST_REDIS_URL", "redis://127.0.0.1:6379/13")  # tests.services asks there, too
QUEUE = DATABASE  # of this run alone, too
RQ_QUEUES = {QUEUE: {"URL": REDIS_URL}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # redis-py 8 gives up on an idle subscription after five seconds unless told otherwise
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
    }
}

_INLINE = {"Plain": 5, "Writing": 5, "Outside": 5, "Ten": 10}
_STEPS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
TIMELINES = {
    "BASE_URL": "https://example.org",
    "PLACEMENT": {"*": f"rq:{QUEUE}"}
    | {f"bench.{name}.{step}": "inline" for name, steps in _INLINE.items() for step in _STEPS[:steps]},
    "CAN_VIEW": "tests.bench.workflows.anybody",
}
