"""Fixtures and rules for all tests."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from django_timelines import moments
from django_timelines.engine import bells
from django_timelines.state import is_open, run_key, timeline_status

from .services import MISSING


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``redis``, ``postgres`` or ``browser`` where that is missing; in CI nothing may be missing."""
    for marker, missing in MISSING.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            if os.environ.get("CI") == "true":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)


@pytest.fixture(autouse=True)
def timelines_hold(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test with a database: every sequence is gapless, and the fold of the events is the stored state."""
    from django_timelines.models import Timeline  # the apps are ready only now

    from .shop.workflows import given_back, plan, ran, seen

    bells._silent_until.clear()
    ran.clear()
    plan.clear()
    seen.clear()
    given_back.clear()
    marked = request.node.get_closest_marker("django_db") or {"db", "transactional_db"} & set(request.fixturenames)
    if marked:
        request.getfixturevalue("_django_db_helper")
    yield
    moments.offset = timedelta(0)
    if marked and not any(connection.needs_rollback for connection in connections.all(initialized_only=True)):
        for timeline in Timeline.objects.all():
            assert_holds(timeline)


def assert_holds(timeline: Any) -> None:
    """Check clauses 1 and 2 of the contract on one timeline, and that its open runs are those of its state."""
    from django_timelines.engine.history import state_at

    events = list(timeline.events.order_by("sequence"))
    assert [event.sequence for event in events] == list(range(1, timeline.head + 1))
    state = state_at(timeline.pk, timeline.using, timeline.head)
    assert state == timeline.state
    assert timeline.status == timeline_status(state)
    rows = {run_key(run.step, run.item): (run.status, run.fence, run.attempt) for run in timeline.runs.all()}
    runs = {key: run for key, run in state["runs"].items() if is_open(run)}
    assert rows == {key: (run["status"], run["fence"], run["attempt"]) for key, run in runs.items()}


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
        thread.join(timeout=20)
        assert not thread.is_alive(), "the other connection waits for a lock that the body holds"

    return do
