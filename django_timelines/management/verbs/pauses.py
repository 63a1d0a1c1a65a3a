"""What holds everything, or a workflow, back: said wherever somebody looks."""

from __future__ import annotations

from typing import Any

from ...models import Pause
from .base import plain
from .times import moment, written


def pauses_in(using: str, *workflows: str) -> list[Pause]:
    """Return the pauses that there are; only of these workflows, if any are named."""
    pauses = Pause.objects.using(using).order_by("workflow")
    return list(pauses.filter(workflow__in=workflows) if workflows else pauses)


def pause_document(pause: Pause) -> dict[str, Any]:
    """Return a pause for programs; of everything: without a workflow."""
    return {
        "workflow": pause.workflow or None,
        "reason": pause.reason,
        "by": pause.actor_label,
        "since": written(pause.at),
    }


def pause_line(pause: Pause) -> str:
    """Return a pause for people."""
    what, by = name_of(pause.workflow), f" by {pause.actor_label}" if pause.actor_label else ""
    return plain(f"{what} is paused since {moment(pause.at)}{by}: {pause.reason}")


def name_of(workflow: str | None) -> str:
    """Name what is paused, at the beginning of a sentence."""
    return workflow or "Everything"
