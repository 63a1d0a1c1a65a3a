"""What a placement is."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

ANSWER = "django_timelines.engine.answer.answer"
"""The function that answers a bell, by name: only JSON values cross a queue, and placements import nothing of the engine."""

ANSWER_ALL = "django_timelines.engine.answer.answer_all"
"""The function that answers several, one after the other."""

STOP = "django_timelines.engine.stopping.stop"
"""The function that ends what the workers of this process execute."""

stopping = threading.Event()
"""Set while the workers of this process end: they take no new attempt."""


@dataclass(frozen=True, slots=True)
class Bell:
    """A wake-up: this run is due. ``fence`` says which attempt was meant; an older bell is dropped."""

    timeline: str  # its id, as 32 hexadecimal digits
    step: str
    item: str
    fence: int
    using: str
    placement: str
    trace: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the arguments of ``ANSWER``."""
        return asdict(self)


class Placement(ABC):
    """Where steps run."""

    def __init__(self, argument: str = "") -> None:
        self.argument = argument

    @abstractmethod
    def ring(self, bell: Bell) -> bool:
        """Wake whoever runs steps here; return whether somebody may have heard it. A lost bell is rung again by the clock."""

    def hears(self) -> bool:
        """Tell, as far as that is known before it is rung, whether somebody may hear a bell that this process rings."""
        return True

    def problem(self) -> str | None:
        """Say what keeps this placement from working as it is configured, or None."""
        return None

    def runs_at_once(self) -> bool:
        """Tell whether ``ring()`` executes, which holds up whoever rings."""
        return False

    def workers(self) -> int | None:
        """Return how many workers are seen here now, or None where that cannot be told."""
        return None
