"""The verbs of ``manage.py timelines``, one small module for each or a few of them."""

from __future__ import annotations

from . import (
    checking,
    erasing,
    explain,
    graph,
    listing,
    moving,
    partitioning,
    pausing,
    people,
    projecting,
    pruning,
    refolding,
    retrying,
    rewinding,
    schedules,
    show,
)
from .base import Answer, Verb

__all__ = ["VERBS", "Answer", "Verb"]

VERBS: tuple[Verb, ...] = (
    *(listing.VERB, show.VERB, explain.VERB, graph.VERB),
    *(*moving.VERBS, retrying.VERB, rewinding.VERB, *pausing.VERBS, *people.VERBS),
    *(erasing.VERB, pruning.VERB, partitioning.VERB),
    *(*projecting.VERBS, schedules.VERB),
    *(checking.VERB, refolding.VERB),
)
"""In the order of ``--help``: look, move on, keep or delete, projections, schedules, release, mend."""
