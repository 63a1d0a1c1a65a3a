"""Crash at every point.

python -m tests.crash                                          # all databases, all scenarios, all points
python -m tests.crash --database sqlite --every 10             # every tenth point, from a random one of the first ten
python -m tests.crash --database sqlite --every 10 --within 40 # as many scenarios as can be begun in 40 seconds
python -m tests.crash --database sqlite --scenario start/away --point 7
python -m tests.crash --database sqlite --part 2/4             # the second of four shares, to be run side by side
"""

import argparse
import importlib
import logging
import os
import random
import subprocess
import sys
import time
from typing import Any

DATABASES = ("sqlite", "postgres", "mariadb")


def main() -> None:
    """Do what was asked for; end with 1 if something was found."""
    asked = _asked()
    if asked.database is None:
        again = [sys.executable, "-m", "tests.crash", *sys.argv[1:], "--database"]
        sys.exit(max([subprocess.run([*again, name], check=False).returncode for name in DATABASES]))
    os.environ["DJANGO_SETTINGS_MODULE"] = f"tests.settings.{asked.database}"
    importlib.import_module("django").setup()
    logging.disable()  # an attempt that fails is logged, and fails as it should
    sys.exit(_crash(asked))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="Stop a process dead at every point.")
    parser.add_argument("--database", choices=DATABASES, help="one of them, else all")
    parser.add_argument("--scenario", help="by name, or name/placement; else all")
    parser.add_argument(
        "--part", type=_part, default=(1, 1), metavar="K/N", help="the K-th of N shares of the scenarios"
    )
    parser.add_argument("--point", type=int, help="only this one, by number")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th point")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="where --every begins")  # noqa: S311
    parser.add_argument("--within", type=float, metavar="SECONDS", help="begin no scenario after that; in random order")
    parser.add_argument("--list", action="store_true", help="only list the points")
    return parser.parse_args()


def _part(text: str) -> tuple[int, int]:
    share, shares = (int(number) for number in text.split("/"))
    if not 1 <= share <= shares:
        raise ValueError(text)
    return share, shares


def _crash(asked: argparse.Namespace) -> int:
    from . import harness, world  # the apps are ready only now

    chance = random.Random(asked.seed)  # noqa: S311
    cases = harness.cases(asked.scenario) or sys.exit(f"There is no scenario {asked.scenario!r}.")
    share, shares = asked.part
    cases = cases[share - 1 :: shares]
    if asked.every > 1 or asked.within:
        print(f"{asked.database}: --every {asked.every} --seed {asked.seed}")
    if asked.within:
        chance.shuffle(cases)
    tried, wrong = 0, 0
    with world.own():
        began = time.monotonic()
        for number, case in enumerate(cases):
            if asked.within and time.monotonic() - began > asked.within:
                print(f"{asked.database:8}  {len(cases) - number} of {len(cases)} scenarios were not begun in time")
                break
            points, findings = _try(case, asked, chance.randrange(asked.every) + 1)
            tried, wrong = tried + points, wrong + findings
    print(f"{asked.database:8}  {tried} points, {wrong} findings, {time.monotonic() - began:.0f} s")
    return min(wrong, 1)


def _try(case: Any, asked: argparse.Namespace, first: int) -> tuple[int, int]:
    """Try a scenario's points; return how many there were, and how many findings."""
    from . import harness

    try:
        undisturbed = harness.record(case)
    except harness.Unplayed as problem:
        print(f"{asked.database:8}  {case!s:40}  fails though nobody dies\n{problem}")
        return 0, 1
    if asked.list:
        print(case, *(f"{number:4} {name}" for number, name in enumerate(undisturbed.points, 1)), sep="\n")
        return 0, 0
    if asked.point and asked.point > len(undisturbed.points):
        sys.exit(f"{case} has {len(undisturbed.points)} points.")
    numbers = [asked.point] if asked.point else range(first, len(undisturbed.points) + 1, asked.every)
    found = [line for number in numbers for line in harness.crash(case, number, undisturbed)]
    said = f"{len(found)} findings" if found else "all went on"
    print(f"{asked.database:8}  {case!s:40}  {len(numbers):4} of {len(undisturbed.points):4} points: {said}")
    for line in found:
        print(f"    {line}")
    return len(numbers), len(found)


if __name__ == "__main__":
    main()
