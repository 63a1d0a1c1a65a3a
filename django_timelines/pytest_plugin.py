"""Fixtures for pytest. Loaded by itself where the package is installed: before Django is, so that nothing is imported here.

``timelines`` runs what is due and travels; ``recorded_errors`` records errors of bodies without raising them;
``timelines_hold`` checks, after the test, what is promised of every timeline. With ``timelines_hold = true`` in the ini file
each test with a database is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django_timelines.testing import travel


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take ``timelines_hold`` in the ini file."""
    said = "Check after each test with a database that every timeline's events and state hold."
    parser.addini("timelines_hold", said, type="bool", default=False)


class Timelines:
    """What the fixture ``timelines`` gives."""

    def drain(self) -> int:
        """Run all that is due until nothing is; return how many attempts were claimed."""
        from django_timelines.testing import drain

        return drain()

    def travel(self, delta: timedelta) -> travel:
        """Move the timelines' clock. It moves back at the end of the test; as a context manager, at the end of the block."""
        from django_timelines.testing import travel

        return travel(delta)


@pytest.fixture
def timelines() -> Iterator[Timelines]:
    """``timelines.drain()`` and ``timelines.travel(timedelta(days=3))``; the clock moves back at the end."""
    from django_timelines.testing import travel

    with travel(timedelta(0)):
        yield Timelines()


@pytest.fixture
def recorded_errors() -> Iterator[None]:
    """Record errors of bodies in this test, as in production, without raising them."""
    from django_timelines.testing import recorded_errors

    with recorded_errors():
        yield


@pytest.fixture
def timelines_hold(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test: the events of each timeline are numbered without a gap, and their fold is its state.

    Not of a Django ``TestCase``, whose database is gone by then: call ``assert_holds()`` in its ``tearDown``.
    """
    if not _has_database(request):
        yield
        return
    request.getfixturevalue("db")  # so that it is there until we have looked; transactional, if the test says so
    yield
    from django.db import connections

    from django_timelines.testing import assert_holds

    if not any(connection.needs_rollback for connection in connections.all(initialized_only=True)):
        assert_holds()


@pytest.fixture(autouse=True)
def _timelines_hold_if_asked(request: pytest.FixtureRequest) -> None:
    if request.config.getini("timelines_hold"):
        request.getfixturevalue("timelines_hold")


def _has_database(request: pytest.FixtureRequest) -> bool:
    """Tell whether the test may ask the database that holds the timelines."""
    from django.db import router
    from django.test import SimpleTestCase

    from django_timelines.models import Timeline

    if request.cls is not None and issubclass(request.cls, SimpleTestCase):
        return False
    marker = request.node.get_closest_marker("django_db")
    if marker is None and not {"db", "transactional_db", "live_server"} & set(request.fixturenames):
        return False
    allowed = (marker.kwargs.get("databases") if marker else None) or ["default"]
    return allowed == "__all__" or router.db_for_write(Timeline) in allowed
