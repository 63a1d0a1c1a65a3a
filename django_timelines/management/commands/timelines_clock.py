"""``manage.py timelines_clock``: the process that keeps time. Beside it, in a thread, it follows with the projections."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import router

from ...engine import clock, follow
from ...models import Timeline
from ..ending import work_until_told


class Command(BaseCommand):
    """Rings again for what nobody picked up, rescues what its worker left, settles what is overdue. Run one or more.

    It also follows with the projections, if there are any: see ``timelines_follow``.
    """

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ``--once``."""
        parser.add_argument("--once", action="store_true", help="Look once and stop, for a scheduler of your own.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Keep time until SIGINT or SIGTERM."""
        if options["once"]:
            using = router.db_for_write(Timeline)
            self.stdout.write(f"Looked at {clock.Clock(using).turn()}.")
            while follow.follow_all(using):
                pass
            return
        self.stdout.write("The clock keeps time. Ctrl-C ends it.")
        work_until_told(clock.keep_time, follow.keep_following)
