"""Events by month on PostgreSQL. The tests' transactions take back what they do to the tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_timelines import moments
from django_timelines.engine.partitions import FIRST, partition, partitions
from django_timelines.engine.prune import prune
from django_timelines.exceptions import Refused
from django_timelines.models import Event, Projection, Timeline, first_id_at
from django_timelines.testing import assert_holds, drain, travel
from tests.shop.here import HERE
from tests.shop.workflows import Letter, Trip

pytestmark = pytest.mark.django_db(databases="__all__")
BEFORE = "django_timelines_event_before"


@pytest.fixture
def by_month() -> None:
    """Events by month, of two letters that were posted before."""
    if connections[HERE].vendor != "postgresql":
        pytest.skip("Only PostgreSQL partitions events")
    for to in ("Ada", "Grace"):
        Letter.start(to=to)
    drain()
    with connections[HERE].cursor() as cursor:
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # what waits for the commit would keep tables from being altered
    partition(HERE)


def tables() -> list[str]:
    return [one.table for one in partitions(HERE)]


def where_events_are() -> str:
    with connections[HERE].cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, count(*) FROM django_timelines_event GROUP BY 1 ORDER BY 1")
        return str(dict(cursor.fetchall()))


def test_other_databases_say_that_they_do_not_partition() -> None:
    if connections[HERE].vendor == "postgresql":
        pytest.skip("PostgreSQL does")

    with pytest.raises(Refused) as refused:
        partition(HERE)

    assert refused.value.reason == "not_applicable"
    assert partitions(HERE) == []


@pytest.mark.usefixtures("by_month")
def test_what_was_there_is_the_first_partition_and_the_next_months_have_one_each() -> None:
    found = partitions(HERE)

    assert found[0].table == BEFORE
    assert found[0].first == FIRST
    assert [one.first for one in found[1:]] == [one.end for one in found[:-1]]
    assert len(found) == 4
    assert where_events_are().startswith(f"{{'{BEFORE}': ")
    assert_holds()


@pytest.mark.usefixtures("by_month")
def test_partitioning_again_makes_only_what_is_missing() -> None:
    known = tables()

    assert partition(HERE) == []
    travel(timedelta(days=62))
    made = partition(HERE)

    assert len(made) == 2
    assert tables() == [*known, *made]


@pytest.mark.usefixtures("by_month")
def test_the_constraints_hold_on_the_partition_of_a_later_month() -> None:
    letter = Timeline.objects.using(HERE).all()[0]
    letter.id, letter.digest = partitions(HERE)[2].first, None
    letter.save(using=HERE, force_insert=True)
    row = {
        "timeline_id": letter.id,
        "sequence": 1,
        "type": "X",
        "data": {},
        "at": moments.now(),
        "actor_type": "system",
    }
    Event.objects.using(HERE).create(**row)

    for wrong in ({}, {"sequence": 0}, {"timeline_id": first_id_at(moments.now() + timedelta(days=40))}):
        with pytest.raises(IntegrityError), transaction.atomic(using=HERE):
            Event.objects.using(HERE).create(**row | wrong)
    Event.objects.using(HERE).filter(timeline=letter.id)._raw_delete(HERE)
    letter.delete()


@pytest.mark.usefixtures("by_month")
def test_prune_drops_a_partition_that_nobody_needs_with_its_timelines() -> None:
    travel(timedelta(days=130))

    assert list(prune(timedelta(days=90), using=HERE)) == [2]

    assert BEFORE not in tables()
    assert (Timeline.objects.using(HERE).count(), Event.objects.using(HERE).count()) == (0, 0)


@pytest.mark.usefixtures("by_month")
def test_prune_keeps_a_partition_in_which_something_is_in_flight_and_deletes_the_rest_by_row() -> None:
    trip = Trip.start("Ada")
    travel(timedelta(days=130))

    assert list(prune(timedelta(days=90), using=HERE)) == [2]

    assert BEFORE in tables()
    assert list(Timeline.objects.using(HERE).values_list("id", flat=True)) == [trip.pk]


@pytest.mark.usefixtures("by_month")
def test_prune_keeps_a_partition_that_a_projection_has_not_come_to() -> None:
    Projection.objects.using(HERE).filter(label="ledger.History").update(has_walked=False)
    travel(timedelta(days=130))

    assert list(prune(timedelta(days=90), using=HERE)) == []

    assert BEFORE in tables()
    assert Timeline.objects.using(HERE).count() == 2


@pytest.mark.usefixtures("by_month")
def test_whether_a_partition_is_needed_is_asked_by_joins() -> None:
    travel(timedelta(days=130))
    with CaptureQueriesContext(connections[HERE]) as asked:
        assert list(prune(timedelta(days=90), using=HERE)) == [2]

    dropped = next(number for number, one in enumerate(asked.captured_queries) if "DROP TABLE" in one["sql"])
    with connections[HERE].cursor() as cursor:
        for query in asked.captured_queries[:dropped]:
            if query["sql"].startswith("SELECT 1"):
                cursor.execute(f"EXPLAIN {query['sql']}")
                assert "SubPlan" not in str(cursor.fetchall())  # which is run for each row, or each row for it


@pytest.mark.usefixtures("by_month")
def test_prune_of_one_workflow_or_for_a_look_drops_no_partition() -> None:
    travel(timedelta(days=130))

    assert list(prune(timedelta(days=90), dry_run=True, using=HERE)) == [2]
    assert list(prune(timedelta(days=90), "shop.Letter", using=HERE)) == [2]

    assert BEFORE in tables()


@pytest.mark.usefixtures("by_month")
def test_a_month_that_is_not_over_for_long_enough_is_left_alone() -> None:
    begins = partitions(HERE)[0].end
    ends = datetime.fromtimestamp((begins.int >> 80) / 1000, UTC)
    moments.offset += ends - moments.now() + timedelta(days=90, seconds=-1)

    list(prune(timedelta(days=90), using=HERE))

    assert BEFORE in tables()
