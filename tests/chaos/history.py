"""All that was stored, and all that was answered, as values: what the checker reads. Plain Python, so that it can be tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django_timelines.graph import Node
from django_timelines.state import run_key

type_place = tuple[str, int]
"""A timeline, and the sequence of an event."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event."""

    sequence: int
    type: str
    step: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    attempt: int | None = None
    cause: int | None = None
    item: str = ""
    version: int = 1
    elsewhere: str = ""  # the timeline of the cause, if that is another

    @property
    def run(self) -> str:
        """The run that it is about."""
        return run_key(self.step, self.item)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A row of an open run, by its key."""

    step: str
    status: str
    fence: int
    attempt: int = 0
    rung: bool = True  # the clock will look at it
    until: bool = False  # it has a deadline
    leased: bool = False


@dataclass(slots=True)
class Story:
    """A timeline: its row, its events, its open runs, and the effects of its steps."""

    id: str
    workflow: str
    key: str
    head: int
    status: str
    state: dict[str, Any]
    events: list[Told]
    runs: list[OpenRun] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)  # by run
    lines: Counter[tuple[str, int]] = field(default_factory=Counter)  # by run and attempt
    why: str = ""  # what explain() says
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person was told: a timeline was started, or a call was taken."""

    verb: str
    workflow: str
    timeline: str
    key: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a workflow declares, as far as the checker asks.

    ``deliveries``: of the steps that have a body of their own, undos too. ``sums``: a field, and the steps that add one to it.
    ``undos``: of a step, the name of the one that undoes it.
    """

    nodes: Mapping[str, Node]
    deliveries: Mapping[str, str]
    sums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    undos: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timetable:
    """A schedule's row, and the ticks at which it began timelines. ``every``: the time from one tick to the next."""

    name: str
    every: timedelta
    last: datetime
    begun: list[datetime]
    queue: list[datetime] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Projected:
    """A projection's rows in the order in which they were written, its reactions, its places, and what it is given."""

    rows: list[type_place]
    reactions: list[type_place]
    places: Mapping[str, int]
    follows: tuple[str, ...]
    reacts: str
    error: str = ""


@dataclass(slots=True)
class History:
    """Everything."""

    plans: Mapping[str, Plan]
    stories: dict[str, Story]
    answers: list[Answer] = field(default_factory=list)
    orphans: int = 0  # leases of no open run
    notices: int = 0  # that nobody took
    timetables: list[Timetable] = field(default_factory=list)
    projected: Projected | None = None
