"""Heartbeats go on, whatever befalls the database of others."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import InterfaceError, connections

from django_timelines.actors import Actor, ActorType
from django_timelines.engine import leases
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Runner
from django_timelines.models import Lease, Run
from tests.shop.here import HERE
from tests.shop.workflows import Order
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
UNWRITTEN = "A heartbeat could not be written."


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Have a database named ``silent``: a server that takes connections and never says a word."""
    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has no server that could be silent")
    create = connections.create_connection
    with socket.create_server(("127.0.0.1", 0)) as server:

        def connect(alias: str) -> Any:
            if alias != "silent":
                return create(alias)
            connection = create(HERE).copy("of no test")  # Django's tests may connect to no other that is set
            connection.settings_dict |= {"HOST": "127.0.0.1", "PORT": str(server.getsockname()[1])}
            return connection

        server.settimeout(20)
        monkeypatch.setattr(connections, "create_connection", connect)
        monkeypatch.setitem(connections.settings, "silent", connections.settings[HERE])
        yield server


def claimed() -> str:
    """Return the holder of the lease of an attempt that is executed."""
    order = Order.start(customer="Ada")
    worker = Runner(Actor(ActorType.WORKER, "busy", "busy"), "embedded", HERE)
    claim(order.pk, ("pack", ""), Run.objects.get(step="pack").fence, worker)
    return worker.by().holder


def end_of_lease() -> datetime:
    return Lease.objects.get().expires


def test_a_database_that_does_not_answer_keeps_no_heartbeat_from_another(
    settings: Any, silent: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TIMELINES = {**settings.TIMELINES, "LEASE": 0.6}
    keeper = leases.Keeper()

    with keeper.keep("silent", "nobody"), keeper.keep(HERE, claimed()):
        asked, _ = silent.accept()
        before = end_of_lease()
        eventually(lambda: end_of_lease() > before)
        assert UNWRITTEN not in caplog.text  # the silent one is being asked still
    asked.close()
    eventually(lambda: UNWRITTEN in caplog.text)  # here, and not in the next test


@pytest.mark.parametrize("failing", ["heartbeat", "close"])
def test_a_heartbeat_that_could_not_be_written_is_tried_again_soon_and_told_of_once(
    failing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class EnoughError(BaseException):
        """Ends the loop."""

    slept: list[float] = []
    failures = 2
    here = threading.current_thread()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is not here:  # the heartbeats of tests before this one go on
            time.sleep(seconds)
            return
        slept.append(seconds)
        if len(slept) == 5:
            raise EnoughError

    def fail(*args: Any) -> None:
        nonlocal failures
        if threading.current_thread() is here and failures:
            failures -= 1
            raise InterfaceError("it is gone")

    keeper = leases.Keeper()
    monkeypatch.setattr(leases, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    monkeypatch.setattr(
        *((leases.store, "heartbeat") if failing == "heartbeat" else (connections[HERE], "close")), fail
    )
    keeper._held["busy"] = HERE, float("inf")
    with pytest.raises(EnoughError):
        keeper._beat(HERE)

    assert slept == [20, 1, 1, 20, 20]
    assert caplog.text.count(UNWRITTEN) == 1
