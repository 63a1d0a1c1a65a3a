"""The verbs of ``manage.py timelines``, one small module for each or a few of them."""

from __future__ import annotations

from . import explain, graph, listing, moving, show
from .base import Answer, Verb

__all__ = ["VERBS", "Answer", "Verb"]

VERBS: tuple[Verb, ...] = (listing.VERB, show.VERB, explain.VERB, *moving.VERBS, graph.VERB)
"""In the order of ``--help``."""
