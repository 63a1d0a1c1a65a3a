"""``timelines partition``: events by month, so that pruning drops a month's at once."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.color import Style

from ...engine.partitions import LATER, partition
from . import finding
from .base import Answer, Verb, type_options


def _arguments(parser: ArgumentParser) -> None:
    """Nothing: it is by month, and three months ahead."""


def _run(options: type_options, style: Style) -> Answer:
    done = partition(finding.database(options))
    said = [f"Made {table}." for table in done.made]
    said += [f"Not made: {table}. The events of its month are in {LATER}." for table in done.not_made]
    return Answer({"partitions": done.made, "not_made": done.not_made}, said or ["All partitions are there."])


VERB = Verb("partition", "PostgreSQL: keep events by month, so that prune drops a month's at once.", _arguments, _run)
