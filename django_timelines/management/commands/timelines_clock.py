"""``manage.py timelines_clock``: the process that keeps time."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import router

from ...engine import clock
from ...models import Timeline


class Command(BaseCommand):
    """Rings again for what nobody picked up, rescues what its worker left, settles what is overdue. Run one or more."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ``--once``."""
        parser.add_argument("--once", action="store_true", help="Tick once and stop, for a scheduler of your own.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Tick until SIGINT or SIGTERM."""
        if options["once"]:
            looked_at = clock.tick(router.db_for_write(Timeline))
            self.stdout.write(f"Looked at {looked_at}.")
            return
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("The clock keeps time. Ctrl-C ends it.")
        clock.keep_time(stop)
