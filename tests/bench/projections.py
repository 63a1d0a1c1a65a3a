"""The projection that is measured."""

from typing import Any

from django.db.models import F

from django_timelines.projections import Projection, StoredEvent, on

from .models import Sum
from .workflows import Noted


class Sums(Projection):
    """Adds up what was noted: what a transaction follows is one row's update."""

    into = (Sum,)

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self.sum = 0

    @on(Noted)
    def add(self, event: StoredEvent[Noted]) -> None:
        self.sum += event.data.number

    def flush(self) -> Any:
        if not Sum.objects.update(total=F("total") + self.sum):
            Sum.objects.create(total=self.sum)
