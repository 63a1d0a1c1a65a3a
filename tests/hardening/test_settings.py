"""Wrong settings stop nothing for good: once they are mended, all goes on."""

from datetime import timedelta
from typing import Any

import pytest

from django_timelines.checks import check_site
from django_timelines.engine import clock
from django_timelines.testing import drain, travel
from tests.shop.here import HERE
from tests.shop.workflows import Order

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.mark.parametrize(
    "placement",
    ["rq", "rq:nowhere", "bogus", "", None, 5, "rq:" + "x" * 200, ["rq:default"], "inline"],
    ids=lambda placement: repr(placement)[:20],
)
@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_placement_that_is_none_stops_no_timeline_for_good(placement: Any, settings: Any) -> None:
    right = settings.TIMELINES
    settings.TIMELINES = {**right, "PLACEMENT": {"*": placement}}
    order = Order.start(customer="Ada")
    with travel(timedelta(seconds=10)):
        clock.tick(HERE)

    settings.TIMELINES = right
    drain()

    assert Order.get(order.pk).pay.status == "waiting"


def test_times_without_a_zone_are_refused_by_the_check(settings: Any) -> None:
    settings.USE_TZ = False

    found = [message.id for message in check_site() if message.is_serious()]

    assert found == ["timelines.E023"]
