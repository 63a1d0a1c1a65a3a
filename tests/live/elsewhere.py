"""Another process, which calls ``activate`` of a timeline: ``python -m tests.live.elsewhere DATABASE REDIS TIMELINE``."""

import os
import sys

import django
from django.conf import settings


def activate(database: str, redis: str, timeline: str) -> None:
    """Call the step, with the tests' database and the channel layer of this Redis."""
    settings.DATABASES["default"]["NAME"] = database
    settings.CHANNEL_LAYERS = {"default": layer_at(redis)}
    django.setup()

    from django_timelines.live import sender
    from example_project.signup.workflows import Signup

    sender.PATIENCE = 60.0  # the page that is tested is told by this hint alone
    Signup.get(timeline).activate()


def layer_at(redis: str) -> dict:
    """Return the recommended channel layer."""
    hosts = [{"address": redis, "socket_timeout": None}]
    return {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": hosts}}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings.sqlite")
    activate(*sys.argv[1:])
