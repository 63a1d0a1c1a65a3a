"""The settings of all processes under fire: the run's own PostgreSQL and Redis, a short lease, and clocks set apart."""

import os
from datetime import timedelta

from django_timelines import moments

SECRET_KEY = "for trouble only"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # says how long an answer is: half of one is none
ROOT_URLCONF = "tests.chaos.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_rq",
    "django_timelines",
    "tests.chaos",
]

SEED = os.environ.get("CHAOS_SEED", "0")
OUTSIDE = os.environ.get("CHAOS_OUTSIDE", "outside.txt")  # where effects outside of the database are written down
POSTGRES_PORT = os.environ.get("CHAOS_POSTGRES_PORT", "0")
REDIS_PORT = os.environ.get("CHAOS_REDIS_PORT", "0")

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "chaos",
        "USER": "postgres",
        "HOST": "127.0.0.1",
        "PORT": POSTGRES_PORT,
        "CONN_MAX_AGE": 60,  # so that connections are there which the database has lost when it comes back
        "OPTIONS": {"connect_timeout": 5},
    }
}
QUEUE = "chaos"
RQ_QUEUES = {QUEUE: {"URL": f"redis://127.0.0.1:{REDIS_PORT}/0"}}

TIMELINES = {
    "BASE_URL": "https://example.org",
    "LEASE": float(os.environ.get("CHAOS_LEASE", "3")),
    "PLACEMENT": {
        "*": f"rq:{QUEUE}",
        "chaos.Claim.decide": f"rq:{QUEUE}",
        "chaos.Visit.lay": "embedded",
        "chaos.Fork.left": "inline",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"django_timelines": {"handlers": ["console"], "level": "INFO", "propagate": False}},
}

# Each machine's clock is a little wrong. Not ``moments.offset``: that is travel, which takes the database's clock along.
_SHIFT = timedelta(seconds=float(os.environ.get("CHAOS_SHIFT", "0")))
_now = moments.now
moments.now = lambda: _now() + _SHIFT
