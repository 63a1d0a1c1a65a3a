"""Pruning against somebody who writes a timeline that ended long ago, and against another pruning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import OperationalError, connections, transaction

from django_timelines.engine.partitions import _CONSTRAINTS, TABLE, partition, partitions
from django_timelines.engine.prune import prune
from django_timelines.exceptions import Refused
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


@pytest.fixture
def by_month(letters: list[Letter]) -> Iterator[None]:
    """Their events in a partition; afterwards the table is one of a piece again."""
    if connections[HERE].vendor != "postgresql":
        pytest.skip("Only PostgreSQL partitions events")
    partition(HERE)
    yield
    with transaction.atomic(using=HERE), connections[HERE].cursor() as cursor:
        cursor.execute(_CONSTRAINTS, [TABLE])
        constraints = cursor.fetchall()
        cursor.execute(f"CREATE TABLE again (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute(f"INSERT INTO again SELECT * FROM {TABLE}")  # noqa: S608 (ours)
        cursor.execute(f"DROP TABLE {TABLE}")
        cursor.execute(f"ALTER TABLE again RENAME TO {TABLE}")
        for name, _kind, definition in constraints:
            cursor.execute(f'ALTER TABLE {TABLE} ADD CONSTRAINT "{name}" {definition}')


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


@pytest.mark.usefixtures("by_month")
def test_of_two_prunings_one_drops_the_partition() -> None:
    travel(timedelta(days=150))  # nothing of its month is needed

    one, other = at_once(pruned, pruned)

    assert one + other == 20
    assert (Timeline.objects.count(), Event.objects.count()) == (0, 0)


@pytest.mark.usefixtures("by_month")
def test_what_somebody_reads_for_long_is_deleted_by_row_so_that_nobody_waits() -> None:
    travel(timedelta(days=150))

    with transaction.atomic(using=HERE):
        Event.objects.first()  # a backup does so

        assert at_once(pruned) == [20]

    assert (Timeline.objects.count(), Event.objects.count()) == (0, 0)
    assert partitions(HERE)[0].table == f"{TABLE}_before"


@pytest.mark.usefixtures("by_month")
def test_no_partition_is_made_while_somebody_reads_for_long() -> None:
    travel(timedelta(days=62))

    with transaction.atomic(using=HERE):
        Event.objects.first()
        (refused,) = at_once(lambda: partition(HERE))

    assert isinstance(refused, Refused)
    assert refused.reason == "taken"
    assert partition(HERE).made


@pytest.mark.usefixtures("by_month")
def test_a_partition_stays_of_which_a_timeline_is_erased_meanwhile(letters: list[Letter]) -> None:
    travel(timedelta(days=150))
    erased, left = letters[7], {letters[7].pk}

    try:
        with transaction.atomic(using=HERE):
            Timeline.objects.using(HERE).select_for_update().get(pk=erased.pk)
            pruning = Started(pruned)
            until(somebody_waits)
            erased.timeline.erase(reason="asked for it")
    except OperationalError:  # each waits for the other: the database lets one of them begin again, mostly the pruning
        left = set()

    assert pruning.answer() == 20 - len(left)
    assert set(Event.objects.values_list("timeline", flat=True)) == left
