"""A real worker in a process of its own: ``python -m tests.placements.worker DATABASES WORKER PLACEMENT LEASE LAST``.

``DATABASES``: the names of the test's databases by their alias, as JSON. ``WORKER``: a class of RQ's, ``db_worker``, or a server
with the embedded worker, which is sent its first request here. ``LEASE``: in seconds. ``LAST``: so many
may it take to give back what it executes when it is told to end.
"""

import json
import sys
import threading
import time
from http.client import HTTPConnection

import django
import uvicorn
from daphne.cli import CommandLineInterface
from django.conf import settings
from django.core.management import call_command

from tests.ports import kept_port

APPLICATION = "tests.placements.asgi:application"


def work(databases: str, worker: str, placement: str, lease: str, last: str) -> None:
    """Work on the placement's queue, with the workflows that a test uses, until a signal ends it."""
    for alias, name in json.loads(databases).items():
        settings.DATABASES[alias]["NAME"] = name
    ours = {"GRACE": 0.2, "LEASE": float(lease), "PLACEMENT": {"*": placement}}
    settings.TIMELINES = {**settings.TIMELINES, **ours}
    django.setup()

    from django_timelines import conf
    from django_timelines.engine import stopping
    from tests.placements import workflows

    stopping.LAST = stopping.MOMENT = float(last)
    conf.QUICK = 60.0  # however slow the machine is, one job goes on with what waits
    assert workflows
    argument = placement.partition(":")[2]
    if worker in SERVERS:
        serve(worker)
    elif worker == "db_worker":
        call_command(
            "db_worker", f"--backend={argument}", "--queue-name=steps", "--interval=0.05", "--no-startup-delay"
        )
    else:
        call_command("rqworker", argument, worker_class=worker)


def serve(server: str) -> None:
    """Serve at a free port, in the main thread, as that server's command does."""
    kept, port = kept_port()
    with kept:
        threading.Thread(target=visit, args=[port], daemon=True).start()
        SERVERS[server](port)


def visit(port: int) -> None:
    """Send the first request, as soon as somebody listens."""
    while True:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/")
            connection.getresponse()
            return
        except ConnectionError:
            time.sleep(0.05)  # it polls: nobody tells this thread


SERVERS = {
    "uvicorn": lambda port: uvicorn.run(APPLICATION, port=port),
    "daphne": lambda port: CommandLineInterface().run(["--port", str(port), APPLICATION]),
    "runserver": lambda port: call_command("runserver", str(port), use_reloader=False),
}

if __name__ == "__main__":
    work(*sys.argv[1:])
