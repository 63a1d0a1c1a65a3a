"""Events by month on PostgreSQL. The tests' transactions take back what they do to the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_timelines import moments
from django_timelines.engine.partitions import FIRST, Partitioned, partition, partitions
from django_timelines.engine.prune import prune
from django_timelines.exceptions import Refused
from django_timelines.models import Event, Projection, Timeline, first_id_at
from django_timelines.testing import assert_holds, drain, travel
from tests.docs.snippets import ROOT, blocks
from tests.referring.models import Claim, Note
from tests.shop.here import HERE
from tests.shop.workflows import Letter, Trip

pytestmark = pytest.mark.django_db(databases="__all__")
BEFORE = "django_timelines_event_before"


@pytest.fixture
def two_letters() -> None:
    """Two letters that were posted, whatever day it is today, and nothing by month yet."""
    if connections[HERE].vendor != "postgresql":
        pytest.skip("Only PostgreSQL partitions events")
    now = moments.now()
    travel((now.replace(day=1) + timedelta(days=32)).replace(day=10) - now)  # from there two months are 62 days
    for to in ("Ada", "Grace"):
        Letter.start(to=to)
    drain()
    with connections[HERE].cursor() as cursor:
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # what waits for the commit would keep tables from being altered


@pytest.fixture
def by_month(two_letters: None) -> None:
    """Events by month, of two letters that were posted before."""
    partition(HERE)


@pytest.fixture
def site(two_letters: None) -> str:
    """A role that reads and writes the tables, which belong to another."""
    run(
        "CREATE ROLE timelines_site",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO timelines_site",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO timelines_site",
    )
    return "timelines_site"


def run(*statements: str) -> list[tuple[str, ...]]:
    """Run SQL, and return the rows of the last statement, if it has any."""
    with connections[HERE].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def acting_as(role: str) -> Iterator[None]:
    run(f"SET LOCAL ROLE {role}")
    yield
    run("RESET ROLE")


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

    assert partition(HERE) == Partitioned([], [])
    travel(timedelta(days=62))
    done = partition(HERE)

    assert (len(done.made), done.not_made) == (2, [])
    assert tables() == [*known, *done.made]


def post_one() -> None:
    """Post a letter of this month."""
    Letter.start(to="Eve")
    drain()
    with connections[HERE].cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.usefixtures("by_month")
def test_this_month_is_made_if_nobody_made_it_and_nothing_of_it_is_there() -> None:
    known = tables()
    travel(timedelta(days=155))

    done = partition(HERE)

    assert (len(done.made), done.not_made) == (4, [])
    assert done.made[0] == f"django_timelines_event_{moments.now():%Y_%m}"
    assert tables() == [*known, *done.made]
    assert partition(HERE) == Partitioned([], [])


@pytest.mark.usefixtures("by_month", "keys_by_our_clock")
def test_this_month_is_not_made_while_events_of_it_are_where_nobody_made_a_month() -> None:
    travel(timedelta(days=155))
    post_one()

    done = partition(HERE)

    assert (len(done.made), done.not_made) == (3, [f"django_timelines_event_{moments.now():%Y_%m}"])
    assert "'django_timelines_event_later': " in where_events_are()
    assert partition(HERE) == Partitioned([], done.not_made)
    letter = Timeline.objects.using(HERE).latest("id")
    Event.objects.using(HERE).filter(timeline=letter.id)._raw_delete(HERE)
    letter.delete()
    assert partition(HERE) == Partitioned(done.not_made, [])


@pytest.mark.usefixtures("by_month", "keys_by_our_clock")
def test_a_month_in_which_a_clock_was_too_early_is_not_made_and_keeps_no_other_from_being_made() -> None:
    travel(timedelta(days=155))
    with travel(timedelta(days=31)):
        post_one()
        early = f"django_timelines_event_{moments.now():%Y_%m}"

    done = partition(HERE)

    assert (len(done.made), done.not_made) == (3, [early])
    assert_holds()


@pytest.mark.usefixtures("by_month", "keys_by_our_clock")
def test_the_lines_of_the_how_to_move_what_came_before_its_month_was_made() -> None:
    page = ROOT / "docs" / "howto" / "keep-or-delete.md"
    lines = next(text for language, text in blocks(page) if language == "python")
    travel(timedelta(days=155))
    post_one()
    month = f"django_timelines_event_{moments.now():%Y_%m}"

    exec(lines)  # noqa: S102 (the page is ours)

    assert f"'{month}': " in where_events_are()
    assert "_later" not in where_events_are()
    assert Timeline.objects.using(HERE).filter(status="completed").count() == 3
    assert_holds()


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
def test_prune_keeps_a_partition_with_a_timeline_to_which_a_row_refers_and_deletes_by_row() -> None:
    Note.objects.create(timeline=Timeline.objects.using(HERE).all()[0])
    travel(timedelta(days=130))

    assert list(prune(timedelta(days=90), using=HERE)) == [2]

    assert BEFORE in tables()
    assert not Note.objects.exists()
    assert (Timeline.objects.using(HERE).count(), Event.objects.using(HERE).count()) == (0, 0)
    assert list(prune(timedelta(days=90), using=HERE)) == []
    assert BEFORE not in tables()


@pytest.mark.usefixtures("by_month")
def test_prune_keeps_a_partition_with_a_timeline_that_a_row_protects() -> None:
    claim = Claim.objects.create(timeline=Timeline.objects.using(HERE).all()[0])
    travel(timedelta(days=130))

    assert list(prune(timedelta(days=90), using=HERE)) == [1]

    assert BEFORE in tables()
    assert list(Timeline.objects.using(HERE).values_list("id", flat=True)) == [claim.timeline_id]


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


# Roles, and what the site has made itself


def belonging() -> dict[str, tuple[str, ...]]:
    """Return of each table of events whose it is, and who may do what with it or a column."""
    found = run("""
        SELECT relname, relowner::regrole::text, (
            SELECT string_agg(one::text, ' ' ORDER BY one::text)
            FROM aclexplode(coalesce(relacl, acldefault('r', relowner))) AS one
        ), (
            SELECT string_agg(attname || attacl::text, ' ' ORDER BY attname)
            FROM pg_attribute WHERE attrelid = pg_class.oid AND attacl IS NOT NULL
        )
        FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE 'django_timelines_event%'
    """)
    return {table: tuple(rest) for table, *rest in found}


def test_all_partitions_belong_to_whom_the_table_belonged_and_to_nobody_else(site: str) -> None:
    run(
        'CREATE ROLE "Timelines\'s owner"',
        "CREATE ROLE timelines_reader",
        'GRANT CREATE ON SCHEMA public TO "Timelines\'s owner"',
        'ALTER TABLE django_timelines_event OWNER TO "Timelines\'s owner"',
        'REVOKE TRUNCATE ON django_timelines_event FROM "Timelines\'s owner"',
        f"GRANT REFERENCES ON django_timelines_event TO {site} WITH GRANT OPTION",
        "GRANT SELECT (type, at) ON django_timelines_event TO timelines_reader",
        "GRANT TRIGGER ON django_timelines_event TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO timelines_reader",
    )
    before = belonging()["django_timelines_event"]

    partition(HERE)
    travel(timedelta(days=62))
    partition(HERE)

    assert len(belonging()) == 8
    assert set(belonging().values()) == {before}


def test_a_role_that_does_not_own_the_table_goes_on_writing_after_it_was_partitioned(site: str) -> None:
    partition(HERE)

    with acting_as(site):
        post_one()

    assert Timeline.objects.using(HERE).filter(status="completed").count() == 3


def test_a_role_that_does_not_own_a_partition_prunes_it_row_by_row(site: str) -> None:
    partition(HERE)
    travel(timedelta(days=130))

    with acting_as(site):
        assert list(prune(timedelta(days=90), using=HERE)) == [2]

    assert BEFORE in tables()
    assert Event.objects.using(HERE).count() == 0


def test_a_role_that_does_not_own_the_table_is_told_who_may_partition_it(site: str) -> None:
    with (
        acting_as(site),
        pytest.raises(Refused, match=r"must be owner of table .* Let the role do it that owns") as refused,
    ):
        partition(HERE)

    assert refused.value.reason == "not_allowed"
    assert partition(HERE).made[0] == BEFORE


@pytest.mark.usefixtures("two_letters")
@pytest.mark.parametrize(
    ("made", "named", "taken_away"),
    [
        ("CREATE VIEW report AS SELECT type, at FROM django_timelines_event", "view report", "DROP VIEW report"),
        (
            """CREATE TRIGGER copied BEFORE UPDATE ON django_timelines_event
            FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
            "trigger copied",
            "DROP TRIGGER copied ON django_timelines_event",
        ),
        (
            "CREATE POLICY tenant ON django_timelines_event USING (true)",
            "policy tenant",
            "DROP POLICY tenant ON django_timelines_event",
        ),
        (
            "ALTER TABLE django_timelines_event ENABLE ROW LEVEL SECURITY",
            "row-level security",
            "ALTER TABLE django_timelines_event DISABLE ROW LEVEL SECURITY",
        ),
        (
            "CREATE PUBLICATION copied FOR TABLE django_timelines_event",
            "publication copied",
            "DROP PUBLICATION copied",
        ),
    ],
)
def test_what_would_stay_with_the_first_partition_is_named_and_nothing_is_partitioned(
    made: str, named: str, taken_away: str
) -> None:
    run(made)

    with pytest.raises(Refused, match=f"would stay with the events of until now: [^.,]*{named}[^.,]*\\. ") as refused:
        partition(HERE)

    assert refused.value.reason == "not_applicable"
    assert partitions(HERE) == []
    run(taken_away)
    partition(HERE)
    run(made)  # goes for all partitions then
    travel(timedelta(days=62))
    assert partition(HERE).made
