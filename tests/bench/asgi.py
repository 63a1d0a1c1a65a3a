"""What the live figure serves: our sockets as a project has them, and the barest consumer of a group."""

import os

import django
from channels.generic.websocket import AsyncWebsocketConsumer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")
django.setup()

from django.urls import path  # noqa: E402

from django_timelines.live.asgi import sockets  # noqa: E402

BARE = "bench.bare"


class Bare(AsyncWebsocketConsumer):
    """Hands on what its group is sent."""

    groups = (BARE,)

    async def bare(self, message: dict[str, str]) -> None:
        await self.send(message["text"])


application = sockets([path("bare/", Bare.as_asgi())])
