"""The tests' projections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import F

from django_timelines.projections import Projection, StoredEvent, on, reaction

from .models import Account, Seen, Thanks
from .workflows import Letter, Received, Sale

trouble: list[Callable[[StoredEvent[Any]], Any]] = []
"""What a handler of ``Accounts`` does first, if a test wants it to."""


class Accounts(Projection):
    """What each customer has paid in all."""

    into = (Account,)

    @on(Received, workflow=Sale)
    def count(self, event: StoredEvent[Received]) -> None:
        for cause in trouble:
            cause(event)
        Account.objects.get_or_create(customer=event.data.customer)
        Account.objects.filter(customer=event.data.customer).update(total=F("total") + event.data.amount)

    @on("Erased", workflow=Sale)
    def forget(self, event: StoredEvent[dict[str, Any]]) -> None:
        Account.objects.filter(customer="Eve").delete()

    @reaction(Received, workflow=Sale)
    def thank(self, event: StoredEvent[Received]) -> None:
        Thanks.objects.create(customer=event.data.customer, amount=event.data.amount)
        Letter.using(key=event.key).start(to=event.data.customer)


class History(Projection):
    """Every event of its types, of all workflows, written at once."""

    into = (Seen,)

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self.seen: list[Seen] = []

    @on("StepCompleted", workflow=Sale, step="pay")
    @on(Received, "TimelineStarted")
    def see(self, event: StoredEvent[Any]) -> None:
        self.seen.append(Seen(timeline=event.timeline, sequence=event.sequence, type=event.type))

    def flush(self) -> None:
        Seen.objects.bulk_create(self.seen)
