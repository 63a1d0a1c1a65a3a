"""A real worker in a process of its own: ``python -m tests.placements.worker DATABASES WORKER PLACEMENT LEASE``.

``DATABASES``: the names of the test's databases by their alias, as JSON. ``WORKER``: a class of RQ's, or ``db_worker``.
``LEASE``: in seconds.
"""

import json
import sys

import django
from django.conf import settings
from django.core.management import call_command


def work(databases: str, worker: str, placement: str, lease: str) -> None:
    """Work on the placement's queue, with the workflows that a test uses, until a signal ends it."""
    for alias, name in json.loads(databases).items():
        settings.DATABASES[alias]["NAME"] = name
    ours = {"GRACE": 0.2, "LEASE": float(lease), "PLACEMENT": {"*": placement}}
    settings.TIMELINES = {**settings.TIMELINES, **ours}
    django.setup()

    from django_timelines import conf
    from tests.placements import workflows

    conf.QUICK = 60.0  # however slow the machine is, one job goes on with what waits
    assert workflows
    argument = placement.partition(":")[2]
    if worker == "db_worker":
        call_command(
            "db_worker", f"--backend={argument}", "--queue-name=steps", "--interval=0.05", "--no-startup-delay"
        )
    else:
        call_command("rqworker", argument, worker_class=worker)


if __name__ == "__main__":
    work(*sys.argv[1:])
