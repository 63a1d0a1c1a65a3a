"""What an advance is: who appends, the change, and what its commit makes due."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from ..actors import Actor
from ..placements import Bell
from ..state import RunName
from ..store import Change, Snapshot


@dataclass(frozen=True, slots=True)
class By:
    """Who appends, where, and what led to it: the same for all events of a commit."""

    actor: Actor
    placement: str = ""
    trace: str = ""
    cause: int | None = None
    cause_timeline: uuid.UUID | None = None
    through: str = ""  # what a person acts through
    holder: str = ""  # who takes the leases of the attempts that this commit starts


@dataclass(slots=True)
class Advance:
    """A change, and what its commit makes due."""

    change: Change
    bells: list[Bell]
    taken: RunName | None = None  # the next run, claimed in the same commit by the same runner
    inline: list[Bell] = field(default_factory=list)  # due, or told, and seen to by whoever made them so
    at_hand: RunName | None = None  # the next run, which the same runner claims when it has a slot for it

    @property
    def after(self) -> Snapshot:
        """The timeline after the commit."""
        return self.change.after

    def take_in(self, child: Advance) -> None:
        """Let a timeline begin with this commit."""
        self.change.children.append(child.change)
        self.bells += child.bells
        self.inline += child.inline
