"""A real RQ worker in a process of its own: ``python -m tests.placements.rq_worker ALIAS DATABASE CLASS QUEUE``."""

import sys

import django
from django.conf import settings
from django.core.management import call_command


def work(alias: str, database: str, worker_class: str, queue: str) -> None:
    """Work on the queue, with the workflows that a test uses, until a signal ends it."""
    settings.DATABASES[alias]["NAME"] = database
    settings.TIMELINES = {**settings.TIMELINES, "GRACE": 0.2, "PLACEMENT": {"*": f"rq:{queue}"}}
    django.setup()

    from tests.placements import workflows

    assert workflows
    call_command("rqworker", queue, worker_class=worker_class)


if __name__ == "__main__":
    work(*sys.argv[1:])
