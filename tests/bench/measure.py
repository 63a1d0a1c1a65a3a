"""Figures: what was measured, against what, and whether that is what we aim at."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line. ``value`` and ``yardstick`` are in ``unit``; ``ratio`` is the one through the other, ``aim`` its upper bound.

    ``goal`` is a number of the list of goals, or None for what has no number there.
    """

    goal: int | None
    name: str
    value: float
    unit: str
    yardstick: float
    ratio: float
    aim: float | None
    met: bool | None


@dataclass(frozen=True)
class Effort:
    """How much to do: ``rounds`` interleaved rounds; ``many`` and ``few`` times quick and slow work in each.

    ``events`` of a long timeline, how many ``timelines`` there are at most, and ``watchers`` of one.
    """

    rounds: int
    many: int
    few: int
    events: int
    timelines: int
    watchers: int


FULL = Effort(rounds=25, many=20, few=5, events=10_000, timelines=100_000, watchers=1_000)
QUICK = Effort(rounds=1, many=4, few=1, events=100, timelines=3_000, watchers=30)

type_work = Callable[[], float]
type_aim = tuple[int | None, float | None]  # the goal's number, the upper bound of the ratio


def figure(name: str, value: float, yardstick: float, unit: str, *aims: type_aim) -> list[Figure]:
    """Return one line for each aim, or one without."""
    ratio = round(value / yardstick, 3)
    value, yardstick = round(value, 4), round(yardstick, 4)
    return [
        Figure(goal, name, value, unit, yardstick, ratio, aim, None if aim is None else ratio <= aim)
        for goal, aim in aims or [(None, None)]
    ]


def interleaved(rounds: int, works: dict[str, type_work]) -> dict[str, float]:
    """Do each work once in every round, forwards and backwards in turn, and return the medians of what they answer.

    What else happens on the machine then falls on all of them alike. A first round that does not count warms them up.
    """
    found: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(rounds + 1):
        names = list(works) if round_ % 2 else list(reversed(works))
        for name in names:
            took = works[name]()
            if round_:
                found[name].append(took)
    return {name: statistics.median(took) for name, took in found.items()}


def each(times: int, work: Callable[[], object], parts: int = 1) -> type_work:
    """Return a work that is done this many times and answers the milliseconds of one part of one."""

    def batch() -> float:
        begin = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - begin) * 1000 / (times * parts)

    return batch
