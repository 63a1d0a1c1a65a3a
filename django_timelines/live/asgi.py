"""The recommended stack, so that a project's ``asgi.py`` is five lines::

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    http = get_asgi_application()

    from django_timelines.live.asgi import with_sockets

    application = with_sockets(http)

Sockets of our pages are served, from this site only (``ALLOWED_HOSTS``), to whom the session says they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import re_path

from .routing import websocket_urlpatterns


def with_sockets(http: Any, routes: Sequence[Any] = ()) -> Any:
    """Return the ASGI application of the site: its pages by ``http``, its sockets by ``routes`` of yours, then ours."""
    return ProtocolTypeRouter({"http": http, "websocket": sockets(routes)})


def sockets(routes: Sequence[Any] = ()) -> Any:
    """Return the application for sockets alone. An address that nobody serves is refused as quietly as any other."""
    unknown = re_path(r"", _refuse)  # type: ignore[arg-type]
    every: list[Any] = [*routes, *websocket_urlpatterns, unknown]
    return AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(every)))


async def _refuse(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})
