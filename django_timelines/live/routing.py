"""Where the socket is: beside the timeline's page, at ``live/``, under whatever prefix the site gave the pages."""

from __future__ import annotations

from django.urls import re_path

from .consumer import TimelineConsumer

websocket_urlpatterns = [
    re_path(r"(?:.*/)?(?P<timeline>[^/]+)/live/$", TimelineConsumer.as_asgi()),  # type: ignore[arg-type]
]
