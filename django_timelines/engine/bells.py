"""Doorbells: which placement a due run belongs to, and the wake-up after the commit."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction

from .. import conf, placements, registry
from ..placements import EMBEDDED, INLINE, Bell

logger = logging.getLogger("django_timelines")


def background() -> str:
    """Return the default background placement."""
    return conf.placement(conf.BACKGROUND) or EMBEDDED


def placement_of(workflow: str, step: str, *, called: bool = False) -> str:
    """Return where a step runs, as the settings say at this moment.

    ``called``: somebody calls it now, which runs it where it is called unless it is placed. Everything else that has no
    placement of its own goes to the background.
    """
    placed = conf.placement(f"{registry.current(workflow)}.{step}")
    return placed or (INLINE if called else background())


def retry_placement_of(workflow: str, step: str) -> str:
    """Return where a retry runs: nobody stands there to run it inline."""
    placed = placement_of(workflow, step)
    return background() if placed == INLINE else placed


def next_ring(rings: int, at: datetime) -> datetime:
    """Return when the clock rings again for what nobody picked up: after 5 s, doubling to 5 min."""
    doublings = min(rings, 16)  # the cap has long been reached
    wait: timedelta = min(conf.LAST_RING, conf.FIRST_RING * (1 << doublings))
    return at + wait


def ring_after_commit(bells: list[Bell], using: str) -> None:
    """Ring these bells once the open transaction has committed; at once when there is none."""
    for bell in bells:
        transaction.on_commit(partial(_ring_unless_silent, bell), using=using)


def _ring_unless_silent(bell: Bell) -> None:
    """Ring, but let no more than one caller in five seconds wait for a placement that does not answer."""
    if not _is_silent(bell.placement):
        ring(bell)


def ring(bell: Bell) -> bool:
    """Ring a bell; return whether somebody may have heard it. If not (Redis is away), the clock rings again."""
    try:
        return placements.get(bell.placement).ring(bell)
    except Exception:
        _silence(bell.placement)
        logger.warning("Could not ring for %s; the clock will ring again.", bell, exc_info=True)
        return False


def can_ring(placement: str) -> bool:
    """Tell whether it makes sense to ring there now: this process may be heard, and the placement has not just been silent."""
    return hears(placement) and not _is_silent(placement)


def hears(placement: str) -> bool:
    """Tell whether a bell that this process rings there may be heard; if that is not known, ringing tells."""
    try:
        return placements.get(placement).hears()
    except Exception:
        return True


def nobody_seen(placement: str) -> bool:
    """Tell whether a placement has seen no worker, or cannot be asked at all."""
    if _is_silent(placement):
        return True
    try:
        return placements.get(placement).workers() == 0
    except Exception:
        _silence(placement)
        return True


_silent_until: dict[str, float] = {}  # by placement, in monotonic time


def _silence(placement: str) -> None:
    _silent_until[placement] = time.monotonic() + conf.FIRST_RING.total_seconds()


def _is_silent(placement: str) -> bool:
    return time.monotonic() < _silent_until.get(placement, 0)
