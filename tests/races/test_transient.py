"""What the database wants begun again is, in transactions of ours: a few times, never a body of the outside kinds, never the
caller's transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connections, transaction

from django_timelines import store
from django_timelines.databases import is_transient
from django_timelines.engine import clock
from django_timelines.engine.answer import answer
from django_timelines.models import Event, Lease, Run, Timeline
from django_timelines.testing import recorded_errors, travel
from tests.races.at_once import Started, at_once, meanwhile, until
from tests.races.workers import bell_of
from tests.races.workflows import Till
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

VENDOR = connections[HERE].vendor
FAR = timedelta(days=1)
STRICT = {"postgresql": "SERIALIZABLE", "mysql": "serializable"}
REPEATABLE = {"postgresql": "REPEATABLE READ", "mysql": "repeatable read"}


def isolation(level: str) -> Any:
    """Return the level as the driver of Django's backend wants it."""
    if VENDOR != "postgresql":
        return level
    from django.db.backends.postgresql.psycopg_any import IsolationLevel

    return IsolationLevel[level.replace(" ", "_")]


def a_short_wait() -> dict[str, Any]:
    """Return the options with which a connection does not wait long for a lock."""
    if VENDOR == "sqlite":
        return {"timeout": 0.05}
    if VENDOR == "postgresql":
        return {"options": "-c lock_timeout=50"}
    return {"init_command": "SET SESSION innodb_lock_wait_timeout = 1"}


@contextmanager
def locked(till: Till) -> Iterator[None]:
    """Hold what a write of this timeline needs, on a connection of its own."""
    connection = connections[HERE].copy()
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": dict(connection.settings_dict["OPTIONS"])}
    connection.ensure_connection()
    connection.set_autocommit(False)
    try:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_timelines_timeline SET head = head")
        yield
    finally:
        connection.rollback()
        connection.set_autocommit(True)
        connection.close()


@pytest.fixture
def asked(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Tell how often the database has asked to begin again."""
    caplog.set_level(logging.INFO, "django_timelines")
    return lambda: [r.getMessage() for r in caplog.records if r.getMessage().startswith("The database asks to begin")]


@pytest.fixture
def impatient_database(options: Callable[..., None]) -> None:
    """Wait for a lock for a moment only."""
    options(**a_short_wait())


DEEDS: dict[str, Callable[[Till], Any]] = {
    "call": lambda till: str(Till.get(till.pk).pay(amount=5)),
    "outside call": lambda till: str(Till.get(till.pk).mail(amount=5)),
    "answer": lambda till: answer(**bell_of(till, "count")),
    "outside answer": lambda till: answer(**bell_of(till, "tell")),
    "skip": lambda till: str(Till.get(till.pk).tell.skip(reason="told them myself")),
    "cancel": lambda till: Till.get(till.pk).timeline.cancel(reason="no more"),
    "start": lambda till: str(Till.start(owner="Grace").open.status),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_meets_a_lock_begins_again_until_it_is_given_back(
    deed: str, impatient_database: None, asked: Callable[[], list[str]]
) -> None:
    if deed == "start" and VENDOR != "sqlite":
        pytest.skip("Nobody else has a lock on a row that is not there yet")
    till = Till.start(owner="Ada")

    with locked(till):
        doing = Started(lambda: DEEDS[deed](till))
        until(lambda: asked() or doing.ended)
    done = doing.answer()

    assert len(asked()) >= 1
    assert done in ("completed", None)
    assert (ran["mail"], ran["tell"]) in [(0, 0), (1, 0), (0, 1)]
    assert not Event.objects.filter(type="AttemptFailed").exists()


def test_it_is_begun_again_a_few_times_only(impatient_database: None, asked: Callable[[], list[str]]) -> None:
    till = Till.start(owner="Ada")

    with locked(till):
        (error,) = at_once(lambda: DEEDS["cancel"](till))

    assert isinstance(error, OperationalError)
    assert 1 <= len(asked()) <= 10
    assert Till.get(till.pk).timeline.status == "running"


def test_a_clock_that_meets_a_lock_looks_again_later(impatient_database: None, asked: Callable[[], list[str]]) -> None:
    from tests.races.workers import claimed

    till = Till.start(owner="Ada")
    claimed(till, "tell", "dead")
    with travel(timedelta(seconds=61)):
        with locked(till):
            at_once(lambda: clock.tick(HERE))
        assert Till.get(till.pk).tell.status == "running"

        clock.tick(HERE)

    assert Till.get(till.pk).tell.status == "retrying"


def test_the_end_of_an_outside_effect_is_appended_again_and_its_body_is_not_run_again(
    impatient_database: None, asked: Callable[[], list[str]]
) -> None:
    till, give_back, taken = Till.start(owner="Ada"), threading.Event(), threading.Event()

    def hold() -> None:
        with locked(till):
            taken.set()
            assert give_back.wait(30)

    def be_locked_out(workflow: Any) -> None:
        holding.append(Started(hold))
        assert taken.wait(30)

    holding: list[Started] = []
    plan["tell"] = be_locked_out
    bell = bell_of(till, "tell")
    telling = Started(lambda: answer(**bell))
    until(lambda: asked() or telling.ended)
    give_back.set()

    assert (telling.answer(), holding[0].answer()) == (None, None)
    assert (ran["tell"], Till.get(till.pk).tell.status) == (1, "completed")


@pytest.mark.parametrize("deed", ["call", "outside call", "skip", "cancel"])
def test_in_the_callers_transaction_the_error_is_the_callers(
    deed: str, impatient_database: None, asked: Callable[[], list[str]]
) -> None:
    till = Till.start(owner="Ada")

    def in_a_transaction() -> None:
        with transaction.atomic(using=HERE):
            DEEDS[deed](till)

    with locked(till):
        (error,) = at_once(in_a_transaction)

    assert isinstance(error, OperationalError)
    assert is_transient(error)
    assert (asked(), ran["pay"] <= 1, ran["mail"]) == ([], True, 0)
    assert Till.get(till.pk).timeline.events.count() == 9  # as it was begun
    assert not Entry.objects.filter(text="pay").exists()


@pytest.mark.parametrize("level", [REPEATABLE, STRICT], ids=["repeatable read", "serializable"])
def test_at_a_strict_level_calls_at_once_have_one_effect_and_one_answer(
    level: dict[str, str], row_locks: None, options: Callable[..., None]
) -> None:
    options(isolation_level=isolation(level[VENDOR]))
    till = Till.start(owner="Ada")

    answers = at_once(*[lambda: str(Till.get(till.pk).pay(amount=5))] * 20)

    assert answers == ["completed"] * 20
    assert (Entry.objects.filter(text="pay").count(), Till.get(till.pk).total) == (1, 5)


@pytest.mark.parametrize("level", [REPEATABLE, STRICT], ids=["repeatable read", "serializable"])
def test_at_a_strict_level_starts_with_one_key_are_one_timeline(
    level: dict[str, str], row_locks: None, options: Callable[..., None]
) -> None:
    options(isolation_level=isolation(level[VENDOR]))

    found = at_once(*[lambda: Till.using(key="form-token").start(owner="Ada").pk] * 20)

    assert len(set(found)) == 1
    assert (Timeline.objects.count(), Entry.objects.filter(text="open").count()) == (1, 1)


@pytest.mark.parametrize("level", [REPEATABLE, STRICT], ids=["repeatable read", "serializable"])
def test_at_a_strict_level_parallel_steps_lose_no_update(
    level: dict[str, str], row_locks: None, options: Callable[..., None]
) -> None:
    options(isolation_level=isolation(level[VENDOR]))
    tills = [Till.start(owner="Ada") for _ in range(5)]
    bells = [(till, bell_of(till, "count")) for till in tills]

    answers = at_once(
        *[lambda bell=bell: answer(**bell) for _, bell in bells],
        *[lambda till=till: till.pay(amount=5) for till, _ in bells],
    )

    assert answers == [None] * 5 + ["completed"] * 5
    assert [Till.get(till.pk).total for till in tills] == [15] * 5
    assert Entry.objects.filter(text__in=("pay", "count")).count() == 10
    assert not Event.objects.filter(type="AttemptFailed").exists()


@pytest.fixture
def repeatable_read(options: Callable[..., None]) -> None:
    """Have every transaction read one snapshot, where the database says which of them cannot be serialized."""
    if VENDOR != "postgresql":
        pytest.skip("PostgreSQL says which transactions cannot be serialized")
    options(isolation_level=isolation("REPEATABLE READ"))


@pytest.mark.postgres
def test_an_exactly_once_body_that_cannot_be_serialized_runs_again_and_uses_no_attempt(
    repeatable_read: None,
) -> None:
    till, row = Till.start(owner="Ada"), Entry.objects.create(text="nobody's")
    plan["count"] = update_after_somebody_else(row)

    answer(**bell_of(till, "count"))

    row.refresh_from_db()
    assert (row.text, Till.get(till.pk).total) == ("mine", 10)
    assert ran["count"] == 2
    assert attempts(till, "count") == [("AttemptStarted", 1), ("StepCompleted", 1)]


@pytest.mark.postgres
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_neither_a_heartbeat_nor_a_clock_in_the_middle_of_an_exactly_once_body_is_a_conflict(
    level: str, repeatable_read: None, options: Callable[..., None]
) -> None:
    options(isolation_level=isolation(level))
    till = Till.start(owner="Ada")

    def beat_and_look(workflow: Any) -> None:
        Entry.objects.count()  # the snapshot is from before
        run = Run.objects.using(HERE).get(timeline=till.pk, step="count")
        assert meanwhile(lambda: store.heartbeat(HERE, [run.lease.holder], 600)) == 1
        with travel(timedelta(seconds=61)):
            meanwhile(lambda: clock.tick(HERE))

    plan["count"] = beat_and_look
    answer(**bell_of(till, "count"))

    assert (ran["count"], Till.get(till.pk).count.status) == (1, "completed")


@pytest.mark.parametrize("level", [REPEATABLE, STRICT], ids=["repeatable read", "serializable"])
def test_a_body_that_says_how_far_it_is_overtakes_itself_at_no_level(
    level: dict[str, str], row_locks: None, options: Callable[..., None]
) -> None:
    options(isolation_level=isolation(level[VENDOR]))
    till = Till.start(owner="Ada")

    def read_and_tell(workflow: Any) -> None:
        Entry.objects.count()  # the snapshot is from before
        workflow.progress(1, 2)

    plan["count"] = read_and_tell
    answer(**bell_of(till, "count"))

    assert (ran["count"], Till.get(till.pk).count.status) == (1, "completed")


@pytest.mark.postgres
def test_a_lease_that_was_left_behind_proves_nothing_and_is_swept_up(repeatable_read: None) -> None:
    till = Till.start(owner="Ada")
    plan["tell"] = fail
    with recorded_errors():
        answer(**bell_of(till, "count"))
        answer(**bell_of(till, "tell"))
    del plan["tell"]
    run = Run.objects.using(HERE).get(timeline=till.pk, step="tell")
    Lease.objects.using(HERE).update_or_create(run=run, defaults={"holder": "dead", "expires": run.due + FAR})

    with travel(timedelta(seconds=16)):
        assert store.leases(HERE, [run.pk]) == {}
        assert clock.tick(HERE) >= 1  # it is rung for all the same
        answer(**bell_of(till, "tell"))
    assert Till.get(till.pk).tell.status == "completed"

    store.delete_ended_leases(HERE)
    with travel(2 * FAR):
        store.delete_ended_leases(HERE)
    assert not Lease.objects.using(HERE).filter(run=run.pk).exists()


def fail(workflow: Any) -> None:
    raise OSError("The line is dead.")


@pytest.mark.postgres
def test_an_outside_body_that_cannot_be_serialized_is_the_policys_business(repeatable_read: None) -> None:
    till, row = Till.start(owner="Ada"), Entry.objects.create(text="nobody's")

    def in_a_transaction_of_its_own(workflow: Any) -> None:
        with transaction.atomic(using=HERE):
            Entry.objects.count()
            update_after_somebody_else(row)(workflow)

    plan["tell"] = in_a_transaction_of_its_own
    with recorded_errors():
        answer(**bell_of(till, "tell"))

    assert (ran["tell"], Till.get(till.pk).tell.status) == (1, "retrying")


@pytest.mark.postgres
def test_a_called_body_that_cannot_be_serialized_in_the_callers_transaction_is_the_callers(
    repeatable_read: None,
) -> None:
    till, row = Till.start(owner="Ada"), Entry.objects.create(text="nobody's")
    plan["pay"] = update_after_somebody_else(row)

    with pytest.raises(OperationalError, match="could not serialize"), transaction.atomic(using=HERE):
        till.pay(amount=5)

    assert (ran["pay"], Till.get(till.pk).pay.status, Entry.objects.filter(text="pay").count()) == (1, "waiting", 0)


class NotSerialized(Exception):
    """What a driver says."""

    sqlstate = "40001"


def test_a_wait_outlasts_a_read_that_the_database_wants_begun_again(asked: Callable[[], list[str]]) -> None:
    till = Till.start(owner="Ada")
    reads = []

    def twice_in_vain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and "django_timelines_timeline" in sql:
            reads.append(sql)
            if len(reads) <= 2:
                raise OperationalError from NotSerialized()
            if len(reads) == 3:
                meanwhile(lambda: answer(**bell_of(till, "tell")))
        return execute(sql, params, many, context)

    with connections[HERE].execute_wrapper(twice_in_vain):
        assert till.tell.wait(timeout=60) == "completed"
    assert len(asked()) == 2


def update_after_somebody_else(row: Entry) -> Callable[[Any], None]:
    def body(workflow: Any) -> None:
        step = max(ran, key=lambda name: (name in plan, ran[name]))
        if ran[step] == 1:
            meanwhile(lambda: Entry.objects.filter(pk=row.pk).update(text="somebody else's"))
        Entry.objects.filter(pk=row.pk).update(text="mine")

    return body


def attempts(till: Till, step: str) -> list[tuple[str, int]]:
    events = Event.objects.filter(timeline=till.pk, step=step, attempt__isnull=False).order_by("sequence")
    return list(events.values_list("type", "attempt"))


@pytest.mark.parametrize("error", [DatabaseError(), DatabaseError([]), ValueError("database is locked"), Exception(5)])
def test_other_errors_are_not_transient(error: Exception) -> None:
    assert not is_transient(error)
