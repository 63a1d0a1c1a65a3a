"""Inline: whoever made the step due runs it, straight after. There is nobody to wake."""

from __future__ import annotations

from .base import Bell, Placement


class Inline(Placement):
    """No doorbell. What its runner left behind goes to the default background placement."""

    def ring(self, bell: Bell) -> bool:
        """Do nothing."""
        return False
