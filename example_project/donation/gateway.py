"""The demo's payment provider. As a real one does, it takes the same key twice for one charge."""

from __future__ import annotations

from .models import Charge


def charge(amount: int, *, idempotency_key: str) -> str:
    """Charge this many euros, once for each key; return the provider's reference."""
    made, _is_new = Charge.objects.get_or_create(key=idempotency_key, defaults={"amount": amount})
    return str(made)
