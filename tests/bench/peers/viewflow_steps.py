"""viewflow: five functions, which it runs in one transaction; with ``RACE_KIND=handles`` five that code calls, a commit each."""

from __future__ import annotations

import os

import django_peers
from client import main, type_flow

django_peers.setup("viewflow", "viewflow.workflow", "race_viewflow")

from django.core.management import call_command  # noqa: E402
from race_viewflow.flows import Called, Five  # noqa: E402


def prepare() -> None:
    call_command("migrate", verbosity=0)


def call_five() -> None:
    process = Called.start.run()
    for node in (Called.one, Called.two, Called.three, Called.four, Called.five):
        node.run(process.task_set.get(flow_task=node))


def ready() -> type_flow:
    return call_five if os.environ["RACE_KIND"] == "handles" else Five.start.run


if __name__ == "__main__":
    main(prepare, ready)
