"""A person's browser: one kept connection, and an answer or none."""

from __future__ import annotations

import http.client
import json
from typing import Any

PATIENCE = 4.0  # seconds after which a person does not wait for the page any longer


class Browser:
    """Clicks. A connection that broke is a new one at the next click."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection: http.client.HTTPConnection | None = None

    def click(self, path: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """Return status and answer, or None when nobody knows what became of it: a broken connection, an error page."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            self.connection.request("POST", f"/{path}", json.dumps(asked), {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        if (
            response.status not in (200, 409) or "Content-Length" not in response.headers
        ):  # or broken off in the headers
            self.close()
            return None
        return response.status, json.loads(body)

    def close(self) -> None:
        """Forget the connection."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None
