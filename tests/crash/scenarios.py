"""All scenarios, each with what must hold of its effects, and where steps are placed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.projections.workflows import Letter, Sale

from . import berths, cargo, family, ferry, followers, ticks, voyages
from .berths import Berth
from .cargo import Cargo
from .family import Bill, Dish, Meal
from .ferry import Ferry
from .ticks import Watch
from .workflows import Voyage
from .world import QUEUE

_NOUNS: tuple[Any, ...] = (voyages, cargo, family, ferry, ticks, followers, berths)
SCENARIOS = {name: replace(scenario, holds=noun.holds) for noun in _NOUNS for name, scenario in noun.SCENARIOS.items()}

_WORKFLOWS: tuple[Any, ...] = (Voyage, Cargo, Meal, Bill, Dish, Ferry, Watch, Sale, Letter, Berth)
_STEPS = [f"{one._declaration.label}.{step}" for one in _WORKFLOWS for step in one._declaration.steps]
PLACEMENTS: dict[str, dict[str, str]] = {
    "here": dict.fromkeys(_STEPS, "inline"),
    "away": {"*": "embedded"} | dict.fromkeys(_STEPS, "embedded"),
    "mixed": dict.fromkeys(_STEPS[1::2], "inline"),
    "rq": {"*": f"rq:{QUEUE}"} | dict.fromkeys(_STEPS, f"rq:{QUEUE}"),
}
