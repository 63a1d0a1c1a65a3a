"""What the test settings share. The databases differ: see the modules beside this one."""

import os
from pathlib import Path

import django

BASE_DIR = Path(__file__).resolve().parents[2]
BUILD = BASE_DIR / "build"  # not tracked
BUILD.mkdir(exist_ok=True)

SECRET_KEY = "for tests only"
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
STATIC_URL = "static/"
MEDIA_ROOT = BUILD / "uploads"
if django.VERSION >= (6, 1):  # which warns of sending mail without it
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_rq",
    "django_tasks_db",
    "django_timelines",
    "django_timelines.live",
    "example_project.signup",
    "example_project.contacts",
    "example_project.donation",
    "example_project.outbox",
    "example_project.coffee",
    "tests.shop",
    "tests.projections",
    "tests.referring",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_timelines.middleware.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tests.urls"

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

# A database of its own for each of several runs at a time.
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
RQ_QUEUES = {name: {"URL": REDIS_URL} for name in ("default", "mail")}
_BACKENDS = "django.tasks.backends" if django.VERSION >= (6, 0) else "django_tasks.backends"
TASKS = {
    "default": {"BACKEND": f"{_BACKENDS}.immediate.ImmediateBackend"},
    "table": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["steps"]},
}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

TIMELINES = {"BASE_URL": "https://example.org"}
