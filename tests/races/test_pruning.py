"""Pruning against somebody who writes a timeline that ended long ago, and against another pruning."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from django_timelines.engine.prune import prune
from django_timelines.models import Event, Timeline
from django_timelines.testing import drain, travel
from tests.races.at_once import Started, at_once, somebody_waits, until
from tests.shop.here import HERE
from tests.shop.workflows import Letter

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
LONG_AGO = timedelta(days=90)


@pytest.fixture
def letters() -> list[Letter]:
    """Twenty letters that were posted long ago."""
    posted = [Letter.start(to="Ada") for _ in range(20)]
    drain()
    travel(timedelta(days=91))
    return posted


def pruned() -> int:
    return sum(prune(LONG_AGO))


def test_a_timeline_that_is_erased_meanwhile_is_left(letters: list[Letter], row_locks: None) -> None:
    erased = letters[7]

    with transaction.atomic(using=HERE):
        erased.timeline.erase(reason="asked for it")
        pruning = Started(pruned)
        until(somebody_waits)

    assert pruning.answer() == 19
    assert list(Timeline.objects.values_list("pk", flat=True)) == [erased.pk]
    assert set(Event.objects.values_list("timeline", flat=True)) == {erased.pk}


@pytest.mark.usefixtures("letters")
def test_two_prunings_at_once_count_what_each_has_deleted() -> None:
    one, other = at_once(pruned, pruned)

    assert one + other == 20
    assert (Timeline.objects.count(), Event.objects.count()) == (0, 0)
