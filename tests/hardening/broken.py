"""A connection that broke, as when the server is restarted."""

from typing import Any

from django.db import connections


def break_connection(alias: str) -> None:
    """Break this thread's connection without Django's knowledge."""
    driver: Any = connections[alias].connection
    if connections[alias].vendor == "mysql":
        driver._force_close()  # PyMySQL's close() is for once: Django's own would fail after it
    else:
        driver.close()
