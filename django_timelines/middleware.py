"""Who acts in a request, and which timelines its session began. After the session's and authentication's middleware.

A server loads it before it serves, mostly in its main thread, where alone SIGTERM can be heeded: the embedded worker does.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase

from .actors import Actor, acting, of_user
from .placements import embedded
from .policy import has_noted, note_beside_others, remember

TRACE_LIMIT = 55  # the length of a traceparent of version 00 (W3C Trace Context)


class ActorMiddleware:
    """Makes the request's user the actor of its calls."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        embedded.heed_sigterm()

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        with acting(lambda: _actor(request), _trace(request)) as started:
            response = self.get_response(request)
        if _notes(request, started):
            _note(request, started)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        with acting(lambda: _actor(request), _trace(request)) as started:
            response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]
        if _notes(request, started):
            await sync_to_async(_note)(request, started)  # it may read the session, which nobody may have done yet
        return response


def _notes(request: HttpRequest, started: list[uuid.UUID]) -> bool:
    return hasattr(request, "session") and (bool(started) or has_noted(request.session))


def _note(request: HttpRequest, started: list[uuid.UUID]) -> None:
    if started:
        remember(request.session, [timeline.hex for timeline in started])
    note_beside_others(request.session)


def _actor(request: HttpRequest) -> Actor:
    return of_user(getattr(request, "user", None))


def _trace(request: HttpRequest) -> str:
    given = request.headers.get("traceparent", "")[:TRACE_LIMIT]
    return given if given.isascii() and given.isprintable() else ""
