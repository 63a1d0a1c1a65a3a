"""A worker outlives a restart of the database, and a connection that is out of step."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, OperationalError, connections, transaction
from pymysql.constants import COMMAND

from django_timelines.engine import execute, leaks
from django_timelines.engine.answer import answer
from django_timelines.models import Run
from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Order, plan, ran

from .broken import break_connection

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


class Census(Workflow):
    """A count that the database takes long for."""

    @step
    def begin(self) -> None: ...

    @step(after=begin, manual=True, timeout=timedelta(seconds=2))
    def count(self, ways: str) -> None:
        connection = connections[HERE]
        if ways == "while it waits for the answer":
            with connection.cursor() as cursor:
                cursor.execute(
                    {"mysql": "SELECT 7 + SLEEP(30)", "postgresql": "SELECT pg_sleep(30)"}[connection.vendor]
                )
        elif ways == "before it reads the answer":
            ask_without_reading("SELECT 7")
            time.sleep(30)  # until it is interrupted


def ask_without_reading(query: str) -> None:
    """Leave the connection as an interrupt between PyMySQL's writing and reading does."""
    raw: Any = connections[HERE].connection
    raw._execute_command(COMMAND.COM_QUERY, query)


def skip_unless_possible(ways: str) -> None:
    """Skip where no driver can be interrupted like this."""
    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite's driver is not interrupted in the middle of a query")
    if ways == "before it reads the answer" and connections[HERE].vendor != "mysql":
        pytest.skip("only MySQL's driver in Python can be interrupted between a question and its answer")


def test_a_worker_whose_connection_broke_answers_the_next_bell():
    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has no server that could go away")
    order = Order.start(customer="ann")
    run = Run.objects.get(timeline=order.pk)
    bell = {"timeline": order.pk.hex, "step": "pack", "item": "", "fence": run.fence, "using": HERE}
    break_connection(HERE)

    with pytest.raises(Error):
        answer(**bell, placement="rq:default")
    answer(**bell, placement="rq:default")

    assert Order.get(order.pk).pack.status == "completed"


def test_a_connection_that_was_interrupted_before_it_read_its_answer_is_not_asked_again() -> None:
    connection = connections[HERE]
    skip_unless_possible("before it reads the answer")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    ask_without_reading("SELECT 7")

    assert leaks.mend()

    with connection.cursor() as cursor:
        cursor.execute("SELECT 8")
        assert cursor.fetchone() == (8,)
    assert not leaks.mend()


@transaction.atomic(using=HERE)
def count_in_a_transaction(census: Census, ways: str, caught: Any) -> None:
    Entry.objects.create(text="before")
    with suppress(caught):
        census.count(ways)
    Entry.objects.create(text="after")


@pytest.mark.parametrize("ways", ["while it waits for the answer", "before it reads the answer"])
@pytest.mark.parametrize("caught", [True, False])
def test_a_request_whose_connection_is_interrupted_in_its_transaction_writes_nothing(
    caught: bool, ways: str, place: Any
) -> None:
    skip_unless_possible(ways)
    place(Census._declaration.label, begin="inline", count="inline")
    census = Census.start()

    with pytest.raises(Error if caught else TimeoutError):
        count_in_a_transaction(census, ways, TimeoutError if caught else ())

    assert Entry.objects.count() == 0
    assert Census.get(census.pk).count.status == "waiting"


@pytest.mark.parametrize("ways", ["while it waits for the answer", "before it reads the answer"])
def test_outside_a_transaction_it_is_a_failed_attempt(ways: str, place: Any) -> None:
    skip_unless_possible(ways)
    place(Census._declaration.label, begin="inline", count="inline")
    census = Census.start()

    with pytest.raises(TimeoutError):
        census.count(ways)

    assert Census.get(census.pk).count.status == "retrying"


class Away(Workflow):
    """The database goes away while a step works outside, and is back after some tries."""

    @step
    def begin(self) -> None: ...

    @step(after=begin, manual=True, delivery=AT_LEAST_ONCE)
    def work(self) -> None:
        ran["work"] += 1
        plan["work"](self)


def test_an_effect_is_recorded_once_the_server_is_back(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connections[HERE]
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no server that could go away")
    place(Away._declaration.label, begin="inline", work="inline")
    monkeypatch.setattr(execute, "LONGEST_PAUSE", 0.01)
    away = Away.start()
    connect, tries = connection.get_new_connection, []

    def refused(params: dict[str, Any]) -> Any:
        tries.append(1)
        if len(tries) <= 5:
            raise OperationalError("the server is starting up")
        return connect(params)

    def go_away(_away: Any) -> None:
        break_connection(HERE)
        monkeypatch.setattr(connection, "get_new_connection", refused)

    plan["work"] = go_away
    away.work()

    assert (Away.get(away.pk).work.status, ran["work"], len(tries)) == ("completed", 1, 6)


@pytest.fixture
def pooled() -> Iterator[Any]:
    """Let the database's connections come from a pool, as Django 5.1 and later can."""
    connection: Any = connections[HERE]
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL's connections come from a pool")
    options = connection.settings_dict["OPTIONS"]
    connection.close()
    options["pool"] = {"min_size": 3, "max_size": 6, "timeout": 20}
    connection.pool.open()
    connection.pool.wait(20)
    yield connection
    connection.close()
    connection.pool.wait(20)  # it makes new ones by itself, of which none is to be left
    connection.close_pool()
    del options["pool"]


class Restart(Workflow):
    """The database goes away while a step works outside."""

    @step
    def begin(self) -> None: ...

    @step(after=begin, manual=True, delivery=AT_MOST_ONCE)
    def work(self) -> None:
        options = {key: value for key, value in connections[HERE].get_connection_params().items() if key != "pool"}
        with connections[HERE].Database.connect(**options, autocommit=True) as another:
            name = [connections[HERE].settings_dict["NAME"]]
            others = "datname = %s AND pid <> pg_backend_pid()"
            another.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}", name)  # noqa: S608


def test_an_effect_is_recorded_although_all_connections_of_a_pool_broke_meanwhile(pooled: Any, place: Any) -> None:
    place(Restart._declaration.label, begin="inline", work="inline")
    restart = Restart.start()

    restart.work()

    assert Restart.get(restart.pk).work.status == "completed"
