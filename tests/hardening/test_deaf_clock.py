"""A clock that cannot ring, because its machine does not serve or does not reach Redis, does not keep the others from ringing."""

from datetime import timedelta

import pytest

from django_timelines.engine import bells, clock
from django_timelines.placements import embedded
from django_timelines.testing import travel
from tests.shop.here import HERE
from tests.shop.workflows import Order

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_a_clock_that_does_not_serve_leaves_the_embedded_bells_to_one_that_does(monkeypatch):
    Order.start(customer="ann")  # pack is due, at the embedded worker of a process that is gone
    serving = embedded.EmbeddedWorker()
    monkeypatch.setattr(embedded, "worker", serving)
    rung = []

    for _ in range(20):  # seconds, in each of which a clock that does not serve looks first
        travel(timedelta(seconds=1))
        serving._pid = 0
        clock.tick(HERE)
        serving._pid = embedded.os.getpid()
        clock.tick(HERE)
        bells._silent_until.clear()
        while not serving.bells.empty():
            rung.append(serving.bells.get())

    assert [bell.step for bell in rung][:1] == ["pack"]
