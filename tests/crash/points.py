"""Points: the places at which a process can die, found by running through them.

Before and after each statement, commit, rollback and change of autocommit, each doorbell, each hint, each outside effect.
"""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import connections

from django_timelines.placements.embedded import Embedded
from django_timelines.placements.rq import RQ
from django_timelines.signals import appended

from . import outside

passed: list[str] = []
"""The names of the points since they were armed, in order; a point's number is its place here, from 1."""

_armed = False
_deadly: int | None = None
_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|\w+)(?:.*?(?:FROM|INTO|UPDATE)\s+[\"`]?(\w+))?", re.I | re.S)


def arm(deadly: int | None) -> None:
    """Count points from here on, and die at this one."""
    global _armed, _deadly
    _armed, _deadly = True, deadly


def disarm() -> None:
    """Count no more."""
    global _armed
    _armed = False


def die() -> None:
    """Stop this process dead: no exception, no ``finally``, no rollback that it would ask for."""
    os.kill(os.getpid(), signal.SIGKILL)


def reach(name: str) -> None:
    """Be at a point."""
    if not _armed:
        return
    passed.append(name)
    if len(passed) == _deadly:
        die()


def watch(using: str) -> None:
    """Make points of what this process says to the database, and of its bells and hints."""
    connection: Any = connections[using]
    connection.execute_wrappers.append(_around_statement)
    for method, name in (("_commit", "COMMIT"), ("_rollback", "ROLLBACK")):
        setattr(connection, method, _around(getattr(connection, method), name))
    connection._set_autocommit = _around(connection._set_autocommit, "autocommit")
    for placement in (Embedded, RQ):
        placement.ring = _around_bell(placement.ring)  # type: ignore[method-assign]
    appended.connect(_hint, weak=False)


def _around(do: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(do)
    def around(*args: Any) -> Any:
        reach(f"before {name}")
        answer = do(*args)
        reach(f"after {name}")
        return answer

    return around


def _around_statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    return _around(execute, _name(sql))(sql, params, many, context)


def _name(sql: str) -> str:
    """Name a statement by its verb and its table; several that are sent at once by all of theirs."""
    found = [_STATEMENT.match(part) for part in sql.split("; ")]
    words = [(one[1].upper(), (one[2] or "").removeprefix("django_timelines_")) for one in found if one]
    return ", ".join(f"{verb} {table}".rstrip() for verb, table in words)


def _around_bell(ring: Callable[..., bool]) -> Callable[..., bool]:
    def around(placement: Any, bell: Any) -> bool:
        reach(f"before the bell for {bell.step}")
        heard = ring(placement, bell)
        outside.note("rang", bell.step, str(bell.fence), bell.timeline)
        reach(f"after the bell for {bell.step}")
        return heard

    return around


def _hint(sender: Any, timeline: uuid.UUID, sequence: int, **kwargs: Any) -> None:
    reach(f"before the hint of event {sequence}")
    outside.note("hinted", str(sequence), timeline.hex)
    reach(f"after the hint of event {sequence}")
