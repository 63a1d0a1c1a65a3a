"""The few things worth a signal, each after its commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.dispatch import Signal

from django_timelines.exceptions import PermanentFailure
from django_timelines.models import Projection
from django_timelines.signals import projection_stopped, step_blocked, timeline_ended
from django_timelines.testing import drain, fail_step, recorded_errors, travel
from tests.shop.here import HERE

from .conftest import follow_to_the_end
from .projections import trouble
from .test_following import sell
from .workflows import Letter, Sale

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def heard() -> Iterator[Callable[[Signal], list[dict[str, Any]]]]:
    """Listen to a signal; what it said is in the list."""
    receivers: list[tuple[Signal, Any]] = []

    def listen(signal: Signal) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = []

        def receive(signal: Signal, sender: Any, **words: Any) -> None:
            said.append(words)

        signal.connect(receive, weak=False)
        receivers.append((signal, receive))
        return said

    yield listen
    for signal, receive in receivers:
        signal.disconnect(receive)


def test_the_end_of_a_timeline_is_told(heard: Any) -> None:
    said = heard(timeline_ended)
    sale, other = sell("Ada", 5, 6), Sale.start(customer="Eve")
    other.timeline.cancel(reason="she left")

    assert said == [
        {"timeline": sale.pk, "workflow": "ledger.Sale", "status": "completed", "using": HERE},
        {"timeline": other.pk, "workflow": "ledger.Sale", "status": "cancelled", "using": HERE},
    ]


def test_a_step_that_is_blocked_is_told(heard: Any) -> None:
    said = heard(step_blocked)
    letter = Letter.start(to="Ada")
    with recorded_errors(), fail_step(Letter.post, PermanentFailure("No stamp.")):
        drain()

    where = {"timeline": letter.pk, "workflow": "ledger.Letter", "using": HERE}
    assert said == [{**where, "step": "post", "item": "", "reason": "failed"}]


def test_nothing_is_told_of_what_is_rolled_back(heard: Any) -> None:
    said = heard(timeline_ended)

    with transaction.atomic(using=HERE):
        sell("Ada", 5, 6)
        transaction.set_rollback(True, using=HERE)

    assert said == []


def test_a_projection_that_stops_is_told_once(heard: Any) -> None:
    said = heard(projection_stopped)
    sell("Ada", 5)
    trouble.append(lambda event: 1 / 0)

    follow_to_the_end()
    with travel(timedelta(seconds=6)):
        follow_to_the_end()

    assert Projection.objects.get(pk="ledger.Accounts").tries == 2
    assert said == [{"projection": "ledger.Accounts", "error": "division by zero", "using": HERE}]
