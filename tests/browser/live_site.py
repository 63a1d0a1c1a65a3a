"""A server in a thread of the tests' process, over the tests' database: what a test does reaches the browser at once."""

from __future__ import annotations

import threading
from typing import Any

import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse

from django_timelines.live.asgi import with_sockets
from tests.ports import kept_port

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


class StrictPolicy:
    """Middleware: nothing inline, nothing from elsewhere."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response


class LiveSite:
    """The tests' project, served. It can be stopped and started again at the same address."""

    def __init__(self) -> None:
        self.kept, self.port = kept_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Serve, from a new event loop."""
        application = with_sockets(ASGIStaticFilesHandler(ASGIHandler()))
        config = uvicorn.Config(
            application,
            port=self.port,
            lifespan="off",
            log_level="error",
            timeout_graceful_shutdown=5,
            ws="websockets-sansio",
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started and self.thread.is_alive():
            self.thread.join(0.01)
        assert self.server.started

    def stop(self) -> None:
        """Cut every connection."""
        self.server.should_exit = True
        self.thread.join()
