"""The recommended stack, so that a project's ``asgi.py`` is five lines::

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    http = get_asgi_application()

    from django_timelines.live.asgi import with_sockets

    application = with_sockets(http)

Sockets of our pages are served, from this site only (``ALLOWED_HOSTS``), to whom the session says they are; and streams to
pages that get no socket through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import SessionMiddlewareStack
from django.urls import re_path

from .reading import user_of
from .routing import websocket_urlpatterns
from .stream import TimelineStream, address_of
from .threads import in_thread


def with_sockets(http: Any, routes: Sequence[Any] = ()) -> Any:
    """Return the ASGI application of the site: its pages by ``http``, its sockets by ``routes`` of yours, then ours."""
    return ProtocolTypeRouter({"http": with_streams(http), "websocket": sockets(routes)})


def with_streams(http: Any) -> Any:
    """Return the ASGI application of the site's pages, which streams to those of ours that ask for it.

    What is asked for a stream and has none, or none for this visitor, is left to the site: it may have streams of its own.
    """
    timeline_stream = TimelineStream()

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def stream(with_visitor: dict[str, Any], receive: Any, _saves_the_session: Any) -> None:
            # who watches saves nothing, whatever the settings say
            if not await timeline_stream(with_visitor, receive, send):
                await http(scope, receive, send)

        if named := address_of(scope):
            await _with_visitor(stream)(scope | {"url_route": {"args": (), "kwargs": named}}, receive, send)
        else:
            await http(scope, receive, send)

    return serve


def sockets(routes: Sequence[Any] = ()) -> Any:
    """Return the application for sockets alone. An address that nobody serves is refused as quietly as any other."""
    unknown = re_path(r"", _refuse)  # type: ignore[arg-type]
    every: list[Any] = [*routes, *websocket_urlpatterns, unknown]
    served: Any = AllowedHostsOriginValidator(_with_visitor(URLRouter(every)))

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await (served if _has_address(scope) else _refuse)(scope, receive, send)

    return serve


def _with_visitor(inner: Any) -> Any:
    """Give the scope its session and user.

    As ``AuthMiddlewareStack`` does, but for a session that was begun under one of ``SECRET_KEY_FALLBACKS``: that deletes it.
    """

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        user = scope["user"] if "user" in scope else await in_thread(user_of, scope["session"])
        await inner(scope | {"user": user}, receive, send)

    return SessionMiddlewareStack(serve)


def _has_address(scope: dict[str, Any]) -> bool:
    """Tell whether the origin is an address: on one that is none Channels' validator fails."""
    try:
        for name, value in scope["headers"]:
            if name == b"origin":
                urlsplit(value.decode("latin-1"))
    except ValueError:
        return False
    return True


async def _refuse(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})
