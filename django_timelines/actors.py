"""Who or what moves a timeline. The label outlives the user it names."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ActorType(StrEnum):
    """A closed list."""

    USER = "user"
    LINK = "link"
    STEP = "step"
    WORKER = "worker"
    CLOCK = "clock"
    COMMAND = "command"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """``type`` from the closed list, ``id`` (a user's primary key, a worker's name …), ``label`` for people to read."""

    type: ActorType
    id: str = ""
    label: str = ""

    def __str__(self) -> str:
        return self.label or self.id or self.type


@dataclass(frozen=True, slots=True)
class Cause:
    """The event of a timeline whose step acts now: what it starts or calls elsewhere says so, and belongs to its family.

    ``in_transaction``: the step's body is in one transaction with what is recorded of it.
    """

    timeline: uuid.UUID
    sequence: int
    correlation: uuid.UUID
    in_transaction: bool = False


SYSTEM = Actor(ActorType.SYSTEM, label="system")


def _nobody() -> Actor:
    """Return who acts where nobody was named: the management command that runs, or the system."""
    program, *arguments = sys.argv or [""]
    path = Path(program)
    by_module = path.parts[-2:] == ("django", "__main__.py")  # python -m django
    if arguments and (by_module or path.name in ("manage.py", "django-admin")):
        return Actor(ActorType.COMMAND, arguments[0], arguments[0])
    return SYSTEM


_actor: ContextVar[Callable[[], Actor]] = ContextVar("django_timelines_actor", default=_nobody)
_through: ContextVar[str] = ContextVar("django_timelines_through", default="")
_trace: ContextVar[str] = ContextVar("django_timelines_trace", default="")
_cause: ContextVar[Cause | None] = ContextVar("django_timelines_cause", default=None)
_started: ContextVar[list[uuid.UUID] | None] = ContextVar("django_timelines_started", default=None)


def current() -> Actor:
    """Return who is acting in this context: the request's user, a worker, a command; else the system."""
    return _actor.get()()


def current_trace() -> str:
    """Return the W3C ``traceparent`` of this context, or an empty string."""
    return _trace.get()


def current_through() -> str:
    """Return what a person acts through in this context: ``page``, ``link``, ``api`` or ``admin``; else an empty string."""
    return _through.get()


@contextmanager
def through(way: str) -> Iterator[None]:
    """Let the events of a person's acts in the block say that they came this way."""
    token = _through.set(way)
    try:
        yield
    finally:
        _through.reset(token)


def current_cause() -> Cause | None:
    """Return which step's body this is, or None outside of one."""
    return _cause.get()


@contextmanager
def in_step(cause: Cause) -> Iterator[None]:
    """Let what is started or called in the block name this cause."""
    token = _cause.set(cause)
    try:
        yield
    finally:
        _cause.reset(token)


def note_started(timeline: uuid.UUID) -> None:
    """Remember that this context began a timeline: its request's session may see it. Not what a step's body begins.

    Who may see and move that on must not depend on where the body runs.
    """
    started = _started.get()
    if started is not None and current_cause() is None:
        started.append(timeline)


@contextmanager
def acting(actor: Actor | Callable[[], Actor], trace: str = "") -> Iterator[list[uuid.UUID]]:
    """Act as this actor for the block (a callable is asked only when somebody acts). Yields the timelines it begins."""
    started: list[uuid.UUID] = []
    tokens = (_actor.set(actor if callable(actor) else lambda: actor), _trace.set(trace), _started.set(started))
    try:
        yield started
    finally:
        _actor.reset(tokens[0])
        _trace.reset(tokens[1])
        _started.reset(tokens[2])


def of_user(user: object) -> Actor:
    """Make the actor of a Django user, of an anonymous one too."""
    key = getattr(user, "pk", None)
    return Actor(ActorType.USER, "" if key is None else str(key), str(user) if key is not None else "visitor")


def this_process(type: ActorType, name: str) -> Actor:
    """Make the actor of a worker, clock or command that runs in this process."""
    identity = f"{name}@{socket.gethostname()}:{os.getpid()}"
    return Actor(type, identity, identity)
