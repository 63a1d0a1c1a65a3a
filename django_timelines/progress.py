"""How far a long step has come, as it is stored and as people read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

MINUTE, HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done, of how much if that is known; ``rate`` is a number of them for each second."""

    done: float
    total: float | None = None
    message: str = ""
    rate: float = 0

    @classmethod
    def read(cls, stored: Any) -> Progress:
        """Return what is stored with a run."""
        return cls(stored["done"], stored["total"], stored["message"], stored["rate"])

    @property
    def percent(self) -> int | None:
        """How much of the whole is done, if that is known; 100 only when all of it is."""
        if not self.total:
            return None
        return int(min(self.done / self.total, 1) * 100)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate, if that can be told."""
        if self.total is None or self.rate <= 0 or self.done >= self.total:
            return None
        return (self.total - self.done) / self.rate

    @property
    def count(self) -> str:
        """Say how much is done: "370 of 1,000"."""
        if self.total is None:
            return _number(self.done)
        return _("%(done)s of %(total)s") % {"done": _number(self.done), "total": _number(self.total)}

    @property
    def speed(self) -> str:
        """Say the rate: "120 per second", or of what is slow "12 per minute"; nothing before it is known."""
        if self.rate >= 1:
            return _("%(count)s per second") % {"count": _number(round(self.rate))}
        if self.rate * MINUTE >= 1:
            return _("%(count)s per minute") % {"count": _number(round(self.rate * MINUTE))}
        return ""

    @property
    def left(self) -> str:
        """Say the time left, as roughly as it is known: "about 5 minutes left"."""
        seconds = self.seconds_left
        if seconds is None:
            return ""
        if seconds < MINUTE:
            number = max(1, round(seconds))
            return ngettext("about %(n)d second left", "about %(n)d seconds left", number) % {"n": number}
        if seconds < HOUR:
            number = round(seconds / MINUTE)
            return ngettext("about %(n)d minute left", "about %(n)d minutes left", number) % {"n": number}
        number = round(seconds / HOUR)
        return ngettext("about %(n)d hour left", "about %(n)d hours left", number) % {"n": number}


def _number(value: float) -> str:
    decimals = 0 if float(value).is_integer() else 1
    return number_format(value, decimals, use_l10n=True, force_grouping=True)
