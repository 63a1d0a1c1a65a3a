"""A process of one release: ``python -m tests.releases.process RELEASE ROLE DATABASES``.

``RELEASE``: ``before`` or ``after``. ``ROLE``: ``web``, which begins timelines and calls the step that waits, ``clock``, or a
class of RQ's workers. ``DATABASES``: the names of the test's databases by their alias, as JSON.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
import threading
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

ENOUGH = 60  # timelines, of which the old release begins half at most, however long the new one takes to start
PAUSE = 0.05  # seconds between two requests


def main(release: str, role: str, databases: str) -> None:
    """Be that, until a signal ends it."""
    for alias, name in json.loads(databases).items():
        settings.DATABASES[alias]["NAME"] = name
    settings.TIMELINES = {**settings.TIMELINES, "GRACE": 1, "PLACEMENT": {"*": "rq:default"}}
    django.setup()
    carrier = importlib.import_module(f"tests.releases.{release}.carrier")
    if role == "web":
        serve(carrier.Packet, ENOUGH) if release == "after" else serve(carrier.Parcel, ENOUGH // 2, leaves=3)
    elif role == "clock":
        call_command("timelines_clock")
    else:
        call_command("rqworker", "default", worker_class=role, verbosity=0)


def serve(workflow: Any, most: int, leaves: int = 0) -> None:
    """Begin timelines until there are that many, and sign for all that wait for it and are of a class that we know.

    ``leaves``: of that many one is left to the other release.
    """
    from django_timelines.exceptions import Refused
    from django_timelines.models import Timeline
    from django_timelines.registry import current

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    while not ended.wait(PAUSE):
        if Timeline.objects.count() < most:
            workflow.start("Main Street 1")
        for timeline in Timeline.objects.filter(status="waiting"):
            if current(timeline.workflow) != workflow._declaration.label:
                continue
            if leaves and timeline.pk.int % leaves == 0:
                continue
            try:
                workflow.get(timeline.pk).sign(name="Ada")
            except Refused as refused:
                if refused.reason not in ("older_code", "settled", "not_yet", "taken"):
                    raise


if __name__ == "__main__":
    main(*sys.argv[1:])
