"""Another process that works: ``python -m tests.limits.worker DATABASES``. It answers what is due until a line is given to it."""

import json
import sys
import threading

import django
from django.conf import settings


def work(databases: str) -> None:
    """Say that all is ready, wait for a line, and work until all is done."""
    for alias, name in json.loads(databases).items():
        settings.DATABASES[alias]["NAME"] = name
    django.setup()

    from tests.limits.crowd import answer_all

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    threads = [threading.Thread(target=answer_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    work(*sys.argv[1:])
