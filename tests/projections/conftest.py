"""What the tests of projections share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_timelines import following
from django_timelines.engine.follow import follow
from django_timelines.engine.projecting import begin_new
from tests.shop.here import HERE

from .projections import trouble


@pytest.fixture(autouse=True)
def no_trouble() -> Iterator[None]:
    """Begin and end without trouble."""
    trouble.clear()
    yield
    trouble.clear()


def follow_to_the_end(label: str = "ledger.Accounts", **options: Any) -> None:
    """Follow with one projection until nothing is new."""
    begin_new(HERE)
    while follow(following.get(label), HERE, **options):
        pass


type_cause = Callable[[Any], Any]


@pytest.fixture
def cause() -> Callable[[type_cause], None]:
    """Let a handler do this first."""
    return trouble.append
