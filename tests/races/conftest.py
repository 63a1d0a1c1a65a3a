"""What the races need of a database."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from tests.shop.here import HERE


@pytest.fixture
def options() -> Iterator[Callable[..., None]]:
    """Set ``OPTIONS`` of all connections that are opened from now on, also of this thread's."""
    settings = connections.settings[HERE]
    before = settings["OPTIONS"]

    def set_options(**changed: Any) -> None:
        connections[HERE].close()
        settings["OPTIONS"] = {**before, **changed}
        connections[HERE].settings_dict["OPTIONS"] = settings["OPTIONS"]

    yield set_options
    settings["OPTIONS"] = before
    connections[HERE].close()
    connections[HERE].settings_dict["OPTIONS"] = before
