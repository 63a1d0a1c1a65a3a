"""Another process, which calls a step when it is told to: ``python -m tests.races.caller ALIAS DATABASE TIMELINE``."""

import sys

import django
from django.conf import settings


def pay(alias: str, database: str, timeline: str) -> None:
    """Say that all is ready, wait for a line, call the step, and print the answer."""
    settings.DATABASES[alias]["NAME"] = database
    django.setup()

    from tests.races.workflows import Till

    till = Till.get(timeline)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(f"{till.pay(amount=5)}\n")


if __name__ == "__main__":
    pay(*sys.argv[1:])
