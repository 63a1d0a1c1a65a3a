"""The threads in which sockets ask the database, and their connections."""

import asyncio
from threading import Event

import pytest
from django.db import OperationalError, connection, connections

from django_timelines.live.threads import in_thread, keep_connections, let_go

pytestmark = pytest.mark.django_db(transaction=True)


def raw():
    """Return the connection of this thread, opened if it was not."""
    connection.ensure_connection()
    return connection.connection


def is_open() -> bool:
    return connection.connection is not None


@pytest.fixture
def watcher():
    watcher = Event()  # anything that a weak reference can hold
    keep_connections(watcher)
    yield watcher
    let_go(watcher)


def test_while_something_is_watched_a_connection_is_kept_though_the_site_keeps_none(watcher):
    assert connections.settings["default"].get("CONN_MAX_AGE", 0) == 0

    async def story():
        return await in_thread(raw), await in_thread(raw)

    first, second = asyncio.run(story())
    assert first is second


@pytest.mark.skipif("in_memory" in str(connections.settings["default"]["NAME"]), reason="it lives in its connection")
def test_when_nobody_watches_none_is_kept(watcher):
    async def story():
        before = await in_thread(raw), await in_thread(is_open)
        let_go(watcher)
        return before[1], await in_thread(is_open)

    assert asyncio.run(story()) == (True, False)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a file does not hang up")
def test_a_connection_that_was_lost_is_opened_again_and_nobody_notices(watcher):
    def backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    async def story():
        return await in_thread(backend)

    before = asyncio.run(story())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    assert asyncio.run(story()) != before


def test_what_goes_wrong_otherwise_is_not_tried_again(watcher):
    tried = []

    def wrong():
        tried.append(1)
        raw()
        raise OperationalError("database is locked")

    async def story():
        with pytest.raises(OperationalError):
            await in_thread(wrong)

    asyncio.run(story())
    assert tried == [1]


def test_the_least_busy_thread_is_asked(watcher):
    async def story():
        begun, go = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow():
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go.wait(), loop).result(20)

        waiting = asyncio.create_task(in_thread(slow))
        await begun.wait()
        quick = await in_thread(lambda: "quick")
        go.set()
        await waiting
        return quick

    assert asyncio.run(story()) == "quick"
