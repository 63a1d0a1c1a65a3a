"""The till and the coffee machine: stand-ins for systems outside, which know nothing of timelines.

A card is good for ``LIMIT``, so who orders a Kopi Luwak sees one declined. The counter's page pulls the plugs.
"""

from __future__ import annotations

import time
from decimal import Decimal

from .models import Charge, Machine, Unplugged

MENU = {
    "espresso": Decimal("2.40"),
    "latte": Decimal("3.80"),
    "mocha": Decimal("4.20"),
    "kopi luwak": Decimal("45.00"),
}
LIMIT = Decimal("40.00")
SECONDS = 1.0  # that a drink takes


class Unreachable(Exception):
    """Nobody answers. Try again."""


class Declined(Exception):
    """The card is not good for it. Trying again does not help."""


def price(drinks: list[str]) -> Decimal:
    """Return what these drinks cost together."""
    return sum((MENU[drink] for drink in drinks), Decimal(0))


def charge(amount: Decimal, *, idempotency_key: str) -> str:
    """Take the money; return the charge's reference."""
    _reach(Machine.TILL)
    if amount > LIMIT:
        raise Declined(f"{amount} is more than the {LIMIT} that the card is good for.")
    charge, _is_new = Charge.objects.get_or_create(key=idempotency_key, defaults={"amount": amount})
    return str(charge.pk)


def refund(reference: str, *, idempotency_key: str) -> None:
    """Give the money of a charge back."""
    _reach(Machine.TILL)
    Charge.objects.filter(pk=reference, refund="").update(refund=idempotency_key)


def make(drink: str) -> None:
    """Let the machine make a drink."""
    _reach(Machine.COFFEE)
    time.sleep(SECONDS)


def _reach(machine: Machine) -> None:
    if Unplugged.objects.filter(pk=machine).exists():
        raise Unreachable(f"{machine.label} does not answer.")
