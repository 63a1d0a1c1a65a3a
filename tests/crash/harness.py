"""The harness: find the points of a scenario, die at each of them, restart, and see how it ends."""

from __future__ import annotations

import json
import math
import traceback
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from django_timelines import conf
from django_timelines.engine import stopping

from . import findings, points, workflows, world
from .scenario import Scenario
from .scenarios import PLACEMENTS, SCENARIOS
from .worker import listen


@dataclass(frozen=True)
class Case:
    """A scenario under one placement."""

    name: str
    placed: str

    def __str__(self) -> str:
        return f"{self.name}/{self.placed}"

    @property
    def scenario(self) -> Scenario:
        """What happens in it."""
        return SCENARIOS[self.name]


@dataclass(frozen=True)
class Record:
    """An undisturbed run: the points that it passed, and its end."""

    points: list[str]
    end: dict[str, Any]


class Unplayed(Exception):
    """The undisturbed run of a scenario failed already."""


def cases(wanted: str | None) -> list[Case]:
    """Return all cases, or those of ``scenario`` or ``scenario/placement``."""
    every = [Case(name, placed) for name, scenario in SCENARIOS.items() for placed in scenario.placed]
    return [case for case in every if wanted in (None, case.name, str(case))]


def record(case: Case) -> Record:
    """Run it undisturbed."""

    def run() -> dict[str, Any]:
        _enter(case)
        found = _play(case.scenario, None)
        assert not found, f"Something is wrong though nobody dies: {found}"
        end = findings.picture()
        world.clean()
        return {"points": points.passed, "end": end}

    played = world.apart(run)
    if played.answer is None:
        world.apart(lambda: _clean(case))
        raise Unplayed(played.problem or "The recording run died.")
    return Record(**played.answer)


def crash(case: Case, number: int, undisturbed: Record) -> list[str]:
    """Die at this point, restart, and return what is wrong then."""
    name = undisturbed.points[number - 1]

    def die() -> int:
        _enter(case)
        _play(case.scenario, number)
        return len(points.passed)

    first = world.apart(die)
    if first.problem:
        wrong = [first.problem]
    elif not first.died:
        wrong = [f"It was not reached; this run had {first.answer} points."]
    else:
        wrong = []
    again = world.apart(lambda: _restart(case, undisturbed.end))
    if again.problem:
        world.apart(lambda: _clean(case))
    wrong += [again.problem] if again.problem or again.died else again.answer
    return [f"{case}, point {number} ({name}): {one}" for one in wrong]


def _clean(case: Case) -> None:
    _place(case)
    world.clean()


def _place(case: Case) -> None:
    settings.TIMELINES = {**settings.TIMELINES, "PLACEMENT": PLACEMENTS[case.placed], "GRACE": 0}


def _enter(case: Case) -> None:
    """Begin as a new process does."""
    _place(case)
    workflows.trouble.update(case.scenario.trouble)
    conf.LONGEST_BATCH, conf.LOOK_EVERY, conf.SHOW_EVERY = math.inf, 0, 0  # the same points however slow the machine is
    stopping.LAST = world.PATIENCE
    case.scenario.deploy()
    listen()
    points.watch(world.USING)


def _play(scenario: Scenario, deadly: int | None) -> list[str]:
    for act in scenario.before:
        act()
    points.arm(deadly)
    scenario.crashed()
    points.disarm()
    return [*findings.at_any_moment(scenario), *_afterwards(scenario)]


def _restart(case: Case, end: dict[str, Any]) -> list[str]:
    """Say what is wrong now; then let people and clock go on, and say what is wrong in the end."""
    _enter(case)
    found = [f"at the crash: {one}" for one in findings.at_any_moment(case.scenario)]
    try:
        case.scenario.crashed()
        found += _afterwards(case.scenario)
        found += findings.at_the_end(end, json.loads(json.dumps(findings.picture())))
    except Exception:
        found.append(traceback.format_exc())
    world.clean()
    return found


def _afterwards(scenario: Scenario) -> list[str]:
    for act in scenario.after:
        act()
    return list(findings.at_any_moment(scenario))
