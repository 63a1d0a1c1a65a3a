"""All that was stored, and all that was answered, as values: what the checker reads. Plain Python, so that it can be tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django_timelines.graph import Node

type_key = tuple[str, str]


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


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A row of an open run."""

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
    rows: Counter[str] = field(default_factory=Counter)  # by step
    lines: Counter[tuple[str, int]] = field(default_factory=Counter)  # by step and attempt
    why: str = ""  # what explain() says


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
    """What a workflow declares, as far as the checker asks. ``sums``: a field, and the steps that add one to it."""

    nodes: Mapping[str, Node]
    deliveries: Mapping[str, str]
    sums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class History:
    """Everything."""

    plans: Mapping[str, Plan]
    stories: dict[str, Story]
    answers: list[Answer] = field(default_factory=list)
    orphans: int = 0  # leases of no open run
