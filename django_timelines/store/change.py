"""A timeline as somebody knows it, and all that one commit writes to it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..exceptions import LeaseLost
from ..state import RunName, type_state
from ..statements import type_row

type_slot = Sequence[Any]  # of a limit: its digest as hex, and the slot's number


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A timeline as somebody last knew it. ``head`` 0: not stored yet."""

    id: uuid.UUID
    workflow: str
    using: str
    head: int
    status: str
    state: type_state
    correlation: uuid.UUID
    key: str = ""
    digest: uuid.UUID | None = None
    started_by: str = ""
    is_held: bool = False  # its workflow, or everything, was paused when it was read


@dataclass(slots=True)
class Change:
    """What one commit writes. ``runs``: name → (fence before, row after), either of them None. A row is known by its fence."""

    before: Snapshot
    after: Snapshot
    at: datetime
    events: list[type_row] = field(default_factory=list)
    shared: type_row = field(default_factory=dict)  # what its events have in common, unless one says otherwise
    runs: dict[RunName, tuple[int | None, type_row | None]] = field(default_factory=dict)
    moved: tuple[RunName, RunName] | None = None  # a runner goes on: its row and lease pass to the next step
    items: list[type_row] = field(default_factory=list)  # of items: where they stand now
    items_gone: list[RunName] = field(default_factory=list)
    leased: list[RunName] = field(default_factory=list)
    released: list[int] = field(default_factory=list)  # the fences before of those whose lease ends
    notices: list[type_row] = field(default_factory=list)
    heard: list[uuid.UUID] = field(default_factory=list)  # the notices that are taken with it
    children: list[Change] = field(default_factory=list)  # timelines that begin with it
    sealed: list[type_row] = field(default_factory=list)
    unsealed: list[int] = field(default_factory=list)  # the calls whose secrets are done with, by sequence
    slots: list[type_row] = field(default_factory=list)  # what the attempts that it starts hold of their limits
    freed: list[type_slot] = field(default_factory=list)  # and what those held that it ends
    frees_value: bool = False  # the one for which it was the only timeline of its class
    taken_value: uuid.UUID | None = None  # the one for which it is from now on; its digest
    holder: str = ""
    lease_seconds: float = 0


def lease_lost(timeline: uuid.UUID, step: str, fence: int | None) -> LeaseLost:
    """Return what is raised when a write finds a newer event than it knows of."""
    return LeaseLost(f"{step} of timeline {timeline} belongs to a newer event than {fence}.")
