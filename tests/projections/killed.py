"""A process that follows and is killed behind a line: ``python -m tests.projections.killed ALIAS DATABASE FUNCTION``."""

import os
import signal
import sys
from typing import Any

import django
from django.conf import settings


def follow_and_die(alias: str, database: str, function: str) -> None:
    """Die when this function of the follower has returned."""
    settings.DATABASES[alias]["NAME"] = database
    django.setup()

    from django_timelines import following
    from django_timelines.engine import follow

    before = getattr(follow, function)

    def die(*args: Any, **kwargs: Any) -> None:
        before(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(follow, function, die)
    follow.follow(following.get("ledger.Accounts"), alias)


if __name__ == "__main__":
    follow_and_die(*sys.argv[1:])
