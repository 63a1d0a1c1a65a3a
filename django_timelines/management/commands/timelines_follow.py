"""``manage.py timelines_follow``: a process of its own for the projections, which else the clock's process follows with."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import router

from ...engine import follow
from ...models import Timeline
from ..ending import work_until_told


class Command(BaseCommand):
    """Hands events to the projections, each in one transaction with its place. Several do no harm."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ``--once``."""
        parser.add_argument(
            "--once", action="store_true", help="Follow what there is and stop, for a scheduler of your own."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Follow until SIGINT or SIGTERM."""
        if options["once"]:
            while follow.follow_all(router.db_for_write(Timeline)):
                pass
            return
        self.stdout.write("Projections are followed. Ctrl-C ends it.")
        work_until_told(follow.keep_following)
