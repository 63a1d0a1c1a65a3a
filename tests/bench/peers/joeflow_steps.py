"""joeflow: five machine tasks by its runner for Celery, which runs them at once: no broker, no worker."""

from __future__ import annotations

import celery
import django_peers
from client import main, type_flow

celery.Celery("race", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)
django_peers.setup(
    *("joeflow", "race_joeflow"),
    JOEFLOW_TASK_RUNNER="joeflow.runner.celery.task_runner",
    MIGRATION_MODULES=dict.fromkeys(
        ("auth", "contenttypes", "joeflow")
    ),  # our table has none, and theirs come before it
)

from django.core.management import call_command  # noqa: E402
from race_joeflow.models import Five  # noqa: E402


def prepare() -> None:
    call_command("migrate", run_syncdb=True, verbosity=0)


def ready() -> type_flow:
    return lambda: Five.start()


if __name__ == "__main__":
    main(prepare, ready)
