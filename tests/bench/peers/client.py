"""What each contestant's process does: it gets ready, and runs so many flows each time it is told to. No imports of ours.

python dbos_steps.py prepare    # once: make the tables in the database that RACE_URL names
python dbos_steps.py            # then, in one process or several: a line "20" on stdin runs 20 flows and answers "done"
"""

from __future__ import annotations

import sys
from collections.abc import Callable

type_flow = Callable[[], object]


def main(prepare: Callable[[], object], ready: Callable[[], type_flow]) -> None:
    """Do what the command line says. ``ready`` returns what runs one flow to its end."""
    if sys.argv[1:] == ["prepare"]:
        prepare()
        return
    flow = ready()
    for _ in range(3):
        flow()
    print("ready", flush=True)
    for line in sys.stdin:
        for _ in range(int(line)):
            flow()
        print("done", flush=True)
