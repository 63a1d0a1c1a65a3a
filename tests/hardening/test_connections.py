"""A worker outlives a restart of the database."""

import pytest
from django.db import Error, connections

from django_timelines.engine.execute import answer
from django_timelines.models import Run
from tests.shop.here import HERE
from tests.shop.workflows import Order

from .broken import break_connection

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_a_worker_whose_connection_broke_answers_the_next_bell():
    if connections[HERE].vendor == "sqlite":
        pytest.skip("SQLite has no server that could go away")
    order = Order.start(customer="ann")
    run = Run.objects.get(timeline=order.pk)
    bell = {"timeline": order.pk.hex, "step": "pack", "item": "", "fence": run.fence, "using": HERE}
    break_connection(HERE)

    with pytest.raises(Error):
        answer(**bell, placement="rq:default")
    answer(**bell, placement="rq:default")

    assert Order.get(order.pk).pack.status == "completed"
