"""The example project. As it stands it needs nothing but Python: SQLite, and steps in threads of the serving process.

The environment makes it the layout of a production site, without a line of code changed:

- ``DATABASE_URL=postgres://user:password@host:5432/name`` (or ``sqlite:////path/to/file``),
- ``REDIS_URL=redis://host:6379/0``: steps are placed on two RQ queues, and Redis carries the hints to the browsers,
- ``BASE_URL=https://example.org``: where the links in mails lead,
- ``MEDIA_ROOT=/srv/uploads``: a directory that web processes and workers share,
- ``SECRET_KEY``, ``DEBUG=0``, ``ALLOWED_HOSTS=example.org``.

For trying things out: ``OUTBOX_STALL_FILE`` and ``OUTBOX_FAIL_FILE`` (see ``outbox/backend.py``), and ``TIMELINES_LEASE``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django

from .databases import database

BASE_DIR = Path(__file__).resolve().parent.parent
REDIS_URL = os.environ.get("REDIS_URL", "")
BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8000")

SECRET_KEY = os.environ.get("SECRET_KEY", "for the demo only: a real site keeps its own, and keeps it secret")
DEBUG = os.environ.get("DEBUG", "1") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
ALLOWED_HOSTS += [urlsplit(BASE_URL).hostname or "127.0.0.1"]
CSRF_TRUSTED_ORIGINS = [BASE_URL.rstrip("/")]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "example_project.site",  # before django_timelines: its templates give the library's pages this site's frame
    "django_timelines",
    "django_timelines.live",
    "example_project.signup",
    "example_project.contacts",
    "example_project.donation",
    "example_project.outbox",
    "example_project.coffee",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "example_project.site.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_timelines.middleware.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
ASGI_APPLICATION = "example_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

try:
    DATABASES = {"default": database(os.environ.get("DATABASE_URL") or f"sqlite:///{BASE_DIR / 'demo.sqlite3'}")}
except ValueError as error:  # a typing mistake of whoever starts it: no traceback
    sys.exit(f"No address of a database. {error}")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
MEDIA_ROOT = os.environ.get("MEDIA_ROOT", BASE_DIR / "uploads")  # what is uploaded lies there until it is imported
LOGIN_URL = "admin:login"

# Mails go to a page of this site. Django 6.1 calls the setting MAILERS and warns of the other.
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "example_project.outbox.backend.EmailBackend"}}
else:
    EMAIL_BACKEND = "example_project.outbox.backend.EmailBackend"
DEFAULT_FROM_EMAIL = "hello@example.org"

# Where steps run. Nothing here touches a workflow; without it, what runs by itself runs in this process.
TIMELINES: dict[str, Any] = {"BASE_URL": BASE_URL, "CAN_CALL": "example_project.coffee.policy.can_call"}
CHANNEL_LAYERS: dict[str, Any] = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

if REDIS_URL:
    INSTALLED_APPS += ["django_rq"]
    RQ_QUEUES = {"default": {"URL": REDIS_URL}, "mail": {"URL": REDIS_URL}}
    TIMELINES["PLACEMENT"] = {
        "*": "rq:default",
        "signup.Signup.send_activation_link": "rq:mail",
    }
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # redis-py 8 gives up on a connection that is silent for 5 s, and a subscriber's mostly is
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
    }

if "TIMELINES_LEASE" in os.environ:
    TIMELINES["LEASE"] = float(os.environ["TIMELINES_LEASE"])  # seconds until a dead worker's step is given to another
