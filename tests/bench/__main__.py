"""Measure everything, print a table and write ``build/bench.json``.

python -m tests.bench            # some minutes
python -m tests.bench --quick    # only sees that it runs
python -m tests.bench inline     # only these figures
python -m tests.bench flat --plans   # and how the database goes about it
python -m tests.bench peers      # other systems: see tests/bench/peers
python -m tests.bench flat --timelines 1000000
python -m tests.bench projections --events 100000  # ten times as many: a million
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.settings"
os.environ["BENCH_DATABASE"] = f"timelines_bench_{os.getpid()}"  # for the processes that we start, too
django.setup()

from django.conf import settings  # noqa: E402

from tests.services import missing_postgres  # noqa: E402

from . import (  # noqa: E402
    background,
    databases,
    deciding,
    fanout,
    flat,
    hints,
    imports,
    inline,
    live,
    projecting,
    reading,
    watchers,
)
from .measure import FULL, QUICK, Effort, Figure  # noqa: E402
from .peers import race  # noqa: E402

FIGURES: dict[str, list[Callable[[Effort], list[Figure]]]] = {
    "inline": [inline.steps, inline.slow_disk, inline.counted],
    "state": [reading.state],
    "graph": [deciding.graph],
    "projections": [projecting.projections],
    "imports": [imports.imports],
    "background": [background.busy, background.idle],
    "live": [inline.hints_too, live.browser],
    "watchers": [watchers.watchers],
    "fanout": [fanout.fanout],
    "flat": [flat.flat],
    "peers": [race.race],
}
NEED_REDIS = {"background", "live", "watchers", "flat"}
ALL = [name for name in FIGURES if name != "peers"]  # they are no part of the project, and not there unless asked for


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Our work against raw work.")
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="all but peers, unless some are named")
    parser.add_argument("--quick", action="store_true", help="only see that it runs: the figures mean nothing")
    parser.add_argument("--plans", action="store_true", help="print how the database goes about what is flat")
    parser.add_argument(
        "--timelines", type=int, help="how many there are at most, of which the figures should not depend"
    )
    parser.add_argument("--events", type=int, help="how many a long timeline has")
    asked = parser.parse_args()
    if problem := missing_postgres():
        sys.exit(f"There is {problem}. All yardsticks need one.")
    effort = QUICK if asked.quick else FULL
    effort = replace(effort, **{name: given for name in ("timelines", "events") if (given := getattr(asked, name))})
    busy = os.getloadavg()[0] > 0.7 * (os.cpu_count() or 1)
    hints.off()
    with databases.own(), databases.own_redis() as no_redis:
        figures: list[Figure] = []
        for name in asked.figures or ALL:
            if name in NEED_REDIS and no_redis:
                print(f"{name}: not measured. {no_redis}.", file=sys.stderr)
                continue
            for measure in FIGURES[name]:
                figures += measure(effort)
    show(figures)
    if asked.plans:
        print(*(f"\n{statement}\n{plan}" for statement, plan in flat.plans.items()), sep="\n")
    if busy:
        print("\nThe machine was busy with other work when this began: the ratios are worth little.")
    write(figures)


def show(figures: list[Figure]) -> None:
    """Print the table."""
    width = max((len(figure.name) for figure in figures), default=0)
    print(f"{'goal':>4}  {'':{width}}  {'value':>9} {'yardstick':>9} {'':10}  {'ratio':>6}  {'aim':>5}")
    for figure in figures:
        aim = "" if figure.aim is None else f"{figure.aim:.2f}"
        met = {None: "", True: "met", False: "NOT MET"}[figure.met]
        print(
            f"{figure.goal or '':>4}  {figure.name:{width}}  {figure.value:9.3f} {figure.yardstick:9.3f} {figure.unit:10}"
            f"  {figure.ratio:6.2f}  {aim:>5}  {met}".rstrip()
        )


def write(figures: list[Figure]) -> None:
    """Write the same as JSON."""
    file = settings.BUILD / "bench.json"
    file.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    print(f"\nWritten to {file.relative_to(settings.BUILD.parent)}.")


if __name__ == "__main__":
    main()
