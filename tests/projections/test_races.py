"""Nothing is missed and nothing is followed twice: transactions that commit late, several who follow, crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connections, transaction

from django_timelines import following
from django_timelines.engine import follow as following_engine
from django_timelines.engine import places
from django_timelines.engine.follow import follow, follow_all, keep_following
from django_timelines.engine.projecting import begin_new
from django_timelines.engine.rebuild import ask, rebuild
from django_timelines.models import Event, News, Place, Projection
from django_timelines.placements.embedded import EmbeddedWorker
from django_timelines.testing import travel
from tests.races.at_once import Started, at_once, meanwhile, until
from tests.shop.here import HERE

from .conftest import follow_to_the_end
from .models import Account, Seen, Thanks
from .projections import trouble
from .test_following import sell, totals
from .workflows import Sale

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
ACCOUNTS = following.get("ledger.Accounts")
LONG = 30  # seconds


class Late:
    """A transaction of somebody else that has written and not committed."""

    def __init__(self, deed: Any) -> None:
        self._written, self._may_commit = threading.Event(), threading.Event()

        def write() -> None:
            with transaction.atomic(using=HERE):
                deed()
                self._written.set()
                assert self._may_commit.wait(LONG)

        self._other = Started(write)
        assert self._written.wait(LONG)

    def commit(self) -> None:
        """Let it commit, and wait until it has."""
        self._may_commit.set()
        assert self._other.answer() is None


@pytest.mark.usefixtures("row_locks")
def test_an_event_that_is_committed_late_is_followed() -> None:
    begin_new(HERE)
    old = Sale.start(customer="Grace")
    new = Late(lambda: sell("Eve", 5))
    more = Late(lambda: Sale.get(old.pk).pay(amount=3))
    sell("Ada", 1)
    follow_to_the_end()
    assert totals() == {"Ada": 1}

    more.commit()
    sell("Ada", 1)
    follow_to_the_end()
    assert totals() == {"Ada": 2, "Grace": 3}
    new.commit()
    follow_to_the_end()

    assert totals() == {"Ada": 2, "Grace": 3, "Eve": 5}


@pytest.mark.usefixtures("row_locks")
def test_an_event_that_is_committed_after_the_walk_came_by_and_without_news_is_followed() -> None:
    def sell_without_news() -> None:
        sell("Eve", 5)
        News.objects.using(HERE).all().delete()

    late = Late(sell_without_news)
    sell("Ada", 1)
    follow_to_the_end()
    late.commit()

    with travel(timedelta(minutes=11)):
        follow_to_the_end()

    assert totals() == {"Ada": 1, "Eve": 5}


@pytest.mark.usefixtures("row_locks")
def test_an_event_that_is_committed_after_the_others_were_read_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    follow_to_the_end()
    sale = sell("Ada", 5)
    read_events = places.page

    def read_and_be_late(*args: Any) -> Any:
        found = read_events(*args)
        if not Event.objects.filter(timeline=sale.pk, type="TimelineCompleted").exists():
            meanwhile(lambda: Sale.get(sale.pk).pay_again(amount=6))
        return found

    monkeypatch.setattr(places, "page", read_and_be_late)
    follow_to_the_end()

    assert totals() == {"Ada": 11}


def test_several_who_follow_at_once_follow_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_engine, "MOST_TIMELINES", 3)
    begin_new(HERE)
    for number in range(20):
        sell(f"customer {number}", 1, 2)

    def follow_on() -> None:
        while follow_all(HERE):
            pass

    errors = [answer for answer in at_once(*[follow_on] * 6) if answer is not None]
    follow_on()

    assert errors == []
    assert totals() == {f"customer {number}": 3 for number in range(20)}
    assert Thanks.objects.count() == 40
    assert Seen.objects.filter(type="Received").count() == 40
    assert not Projection.objects.exclude(error="").exists()


@pytest.mark.usefixtures("row_locks")
def test_one_follows_while_the_others_go_away_at_once() -> None:
    begin_new(HERE)
    sell("Ada", 5)
    said: list[bool] = []
    trouble.append(lambda event: said.append(meanwhile(lambda: follow(ACCOUNTS, HERE))))

    follow_to_the_end()

    assert (said, totals()) == ([False], {"Ada": 5})


def test_those_who_follow_and_those_who_sell_at_once_lose_nothing() -> None:
    begin_new(HERE)
    stop = threading.Event()
    follower = Started(lambda: keep_following(stop))

    at_once(*[lambda number=number: [sell(f"customer {number}", 1, 2) for _ in range(4)] for number in range(4)])
    follow_all(HERE)
    stop.set()
    assert follower.answer() is None
    follow_to_the_end()

    assert totals() == {f"customer {number}": 12 for number in range(4)}


@pytest.mark.parametrize("behind", ["hand_over", "move", "_note_followed"])
def test_a_process_that_dies_before_its_commit_has_followed_nothing(behind: str) -> None:
    begin_new(HERE)
    sell("Ada", 5)
    database = str(connections[HERE].settings_dict["NAME"])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}

    died = subprocess.run([sys.executable, "-m", "tests.projections.killed", HERE, database, behind], env=environment)

    assert died.returncode == -signal.SIGKILL
    assert (totals(), Place.objects.count(), Thanks.objects.count()) == ({}, 0, 0)
    wait_until_nobody_follows()
    follow_to_the_end()
    assert (totals(), Thanks.objects.count()) == ({"Ada": 5}, 1)


def wait_until_nobody_follows() -> None:
    """Wait until the database has seen that who followed is gone. Until then others go away, as from one who follows."""
    with transaction.atomic(using=HERE):
        Projection.objects.using(HERE).select_for_update().get(pk=ACCOUNTS.label)


def test_a_connection_that_breaks_is_survived() -> None:
    begin_new(HERE)
    sell("Ada", 5)
    broken: list[Any] = []

    def break_once(event: Any) -> None:
        if not broken:
            broken.append(event)
            connections[HERE].connection.close()

    trouble.append(break_once)
    stop = threading.Event()
    follower = Started(lambda: keep_following(stop))
    until(lambda: totals() == {"Ada": 5})
    stop.set()
    assert follower.answer() is None

    assert len(broken) == 1


def test_the_embedded_worker_follows() -> None:
    begin_new(HERE)
    sell("Ada", 5)
    worker = EmbeddedWorker()

    worker.start()
    try:
        until(lambda: totals() == {"Ada": 5})
    finally:
        worker.end()
        for thread in worker.threads:
            thread.join(LONG)


class _Deadlock(Exception):
    """What a driver raises."""

    sqlstate = "40P01"


def test_what_the_database_wants_begun_again_is_begun_again() -> None:
    asked: list[Any] = []

    def deadlock(event: Any) -> None:
        asked.append(event)
        if len(asked) == 1:
            raise OperationalError("deadlock detected") from _Deadlock()

    trouble.append(deadlock)
    sell("Ada", 5)

    follow_to_the_end()

    assert (totals(), len(asked)) == ({"Ada": 5}, 2)
    assert Projection.objects.get(pk=ACCOUNTS.label).error == ""


def test_who_failed_does_not_stop_a_projection_that_somebody_else_has_followed_since() -> None:
    def fail_here(event: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            raise OSError("This process has no files left.")

    def somebody_else_first(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and '"error"' in sql.replace("`", '"') and not others:
            others.append(sql)
            meanwhile(lambda: follow(ACCOUNTS, HERE))
        return execute(sql, *rest)

    others: list[str] = []
    begin_new(HERE)
    sell("Ada", 5)
    trouble.append(fail_here)
    with connections[HERE].execute_wrapper(somebody_else_first):
        follow(ACCOUNTS, HERE)

    row = Projection.objects.get(pk=ACCOUNTS.label)
    assert (len(others), totals(), row.error, row.tries, row.retry) == (1, {"Ada": 5}, "", 0, None)


def test_who_meets_a_deadlock_as_several_note_new_projections_begins_again() -> None:
    asked: list[str] = []

    def first_is_refused(execute: Any, sql: str, *more: Any) -> Any:
        if sql.startswith("INSERT"):
            asked.append(sql)
            if len(asked) == 1:
                raise OperationalError("deadlock detected") from _Deadlock()
        return execute(sql, *more)

    Projection.objects.all().delete()
    with connections[HERE].execute_wrapper(first_is_refused):
        begin_new(HERE)

    assert len(asked) == 2
    assert {one.label for one in Projection.objects.all()} == set(following.labels())


@pytest.mark.usefixtures("row_locks")
def test_the_old_rows_are_read_until_a_rebuild_is_done_and_timelines_go_on() -> None:
    sell("Ada", 5, 6)
    sell("Grace", 7)
    follow_to_the_end()
    Account.objects.filter(customer="Ada").update(total=1)
    read: list[dict[str, int]] = []

    def look(event: Any) -> None:
        read.append(meanwhile(totals))
        meanwhile(lambda: sell("Eve", 1))
        assert meanwhile(lambda: follow(ACCOUNTS, HERE)) is False

    trouble.append(look)
    rebuild(ACCOUNTS, HERE)
    trouble.clear()

    assert read == [{"Ada": 1, "Grace": 7}] * 3
    assert totals() == {"Ada": 11, "Grace": 7}
    follow_to_the_end()
    assert totals() == {"Ada": 11, "Grace": 7, "Eve": 3}


@pytest.mark.usefixtures("row_locks")
def test_to_ask_for_a_rebuild_waits_for_nobody() -> None:
    sell("Ada", 5)
    follow_to_the_end()
    trouble.append(lambda event: meanwhile(lambda: ask(ACCOUNTS.label)))

    rebuild(ACCOUNTS, HERE)
    trouble.clear()

    assert News.objects.filter(timeline=None).count() == 1  # who asked while it was done is answered by another one
    follow_to_the_end()
    assert totals() == {"Ada": 5}
