"""Fixtures and rules for all tests."""

import os

import pytest

from .services import MISSING


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``redis``, ``postgres`` or ``browser`` where that is missing; in CI nothing may be missing."""
    for marker, missing in MISSING.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            if os.environ.get("CI") == "true":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
