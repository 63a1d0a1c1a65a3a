"""Fixtures and rules for all tests."""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from textwrap import dedent
from typing import Any

import pytest
import uuid_utils.compat
from django.db import connections
from django.db.models import Min
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings

from django_timelines import conf, moments, registry
from django_timelines.engine import bells, clock
from django_timelines.engine.elsewhere import RINGS
from django_timelines.models import Run, first_id_at
from django_timelines.placements import stopping
from django_timelines.retries import Retry
from django_timelines.testing import drain

from .emptying import emptied
from .services import MISSING

pytest_plugins = ["django_timelines.pytest_plugin"]  # its fixtures, and the check after each test: see pyproject.toml

settings.register_profile("however slow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("however slow")  # the machine is

DEPLOYED_WITH = """
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any
from pydantic import BeforeValidator
from django_timelines.workflows import *
from django_timelines.workflows import RenamedFrom
from tests.shop.workflows import plan, ran
"""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker names a service or a browser that is missing; in CI nothing may be missing."""
    for marker, missing in MISSING.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            if os.environ.get("CI") == "true":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def emptied_quickly() -> Iterator[None]:
    """Let a test with transactions of its own leave what a new database has, by deleting the rows that it wrote.

    Django truncates all tables and makes content types and permissions anew, which takes longer than most tests.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TransactionTestCase, "_fixture_teardown", emptied)
        yield


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """Begin each test with bodies that do nothing special, placements that may be rung, and the machine's time."""
    from .shop.workflows import given_back, plan, ran, seen  # the apps are ready only now

    bells._silent_until.clear()
    stopping.clear()  # set by a test that ended a worker
    ran.clear()
    plan.clear()
    seen.clear()
    given_back.clear()
    yield
    moments.offset = timedelta(0)
    for thread in threading.enumerate():
        if thread.name == "timelines-stop":  # who ended a worker, and may be looking still whom to end
            thread.join(60)


@pytest.fixture(autouse=True)
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chance decide nothing: a retry waits as long as it may, so that none is due again before a test has looked."""
    monkeypatch.setattr(Retry.delay, "__defaults__", (lambda: 1.0,))


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a runner go on with the next due steps, however slow the machine is: after a second it would give the job back."""
    monkeypatch.setattr(conf, "QUICK", 600.0)


@pytest.fixture
def keys_by_our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make keys of timelines in the time that a test has travelled to."""
    made = uuid_utils.compat.uuid7

    def make() -> uuid.UUID:
        return uuid.UUID(int=first_id_at(moments.now()).int | made().int % (1 << 80))

    monkeypatch.setattr(uuid_utils.compat, "uuid7", make)


@pytest.fixture
def place(settings: Any) -> Callable[..., None]:
    """Set placements: ``place(pack="rq:default")`` for steps of shop.Order; ``background=`` for ``*``."""

    def set_placements(workflow: str = "shop.Order", background: str | None = None, **steps: str) -> None:
        placement = {f"{workflow}.{step}": placed for step, placed in steps.items()}
        settings.TIMELINES = {
            **settings.TIMELINES,
            "PLACEMENT": placement | ({"*": background} if background else {}),
        }

    return set_placements


@pytest.fixture
def elsewhere() -> Callable[[Callable[[], Any]], None]:
    """Do something on another database connection, as another process would, in the middle of a body's transaction."""
    from .shop.here import HERE

    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has one writer: while a body's transaction is open nobody else can write")

    def do(what: Callable[[], Any]) -> None:
        def work() -> None:
            try:
                what()
            finally:
                connections.close_all()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(timeout=60)
        assert not thread.is_alive(), "the other connection waits for a lock that the body holds"

    return do


@pytest.fixture
def row_locks() -> None:
    """Skip where one connection at a time writes: nobody else gets between the lines of a transaction."""
    from .shop.here import HERE

    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has one writer: while a transaction writes nobody else can")


@pytest.fixture
def after_the_rollout(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Work, and let a clock ring, for as long as what the code lacks is left to processes of another release."""
    from .shop.here import HERE

    def keep_time() -> None:
        monkeypatch.setattr(bells, "hears", lambda placement: True)
        monkeypatch.setattr(bells, "ring", lambda bell: True)
        for _ in range(RINGS + 2):  # a retry is rung for once it is due
            drain()
            ring = Run.objects.aggregate(at=Min("ring"))["at"]
            if ring is None:
                return
            moments.offset += max(ring - moments.now(), timedelta(0))
            clock.tick(HERE)

    return keep_time


@pytest.fixture
def deploy() -> Iterator[Callable[[str], Any]]:
    """Put this source in the place of the workflow, as a deploy does; return the class."""
    before = dict(registry._declarations), dict(registry._aliases)

    def put(source: str, name: str = "Parcel") -> Any:
        registry._declarations.pop("shop.Parcel", None)
        namespace = {"__name__": "tests.shop.workflows"}
        exec(DEPLOYED_WITH + dedent(source), namespace)  # noqa: S102 (ours)
        return namespace[name]

    yield put
    registry._declarations.clear()
    registry._declarations.update(before[0])
    registry._aliases.clear()
    registry._aliases.update(before[1])
