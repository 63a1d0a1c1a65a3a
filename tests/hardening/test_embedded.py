"""The threads of the embedded worker: no body ends them, and they know below which path the site lies."""

import sys
from typing import Any

import pytest
from django.test.utils import override_script_prefix
from django.urls import reverse

from django_timelines.models import Run
from django_timelines.placements import Bell
from django_timelines.placements.embedded import EmbeddedWorker
from tests.shop.here import HERE
from tests.shop.workflows import Order, plan

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_a_body_that_exits_does_not_end_the_embedded_worker() -> None:
    def leave(order: Any) -> None:
        if order.customer == "Eve":
            sys.exit(1)

    plan["pack"] = leave
    worker = EmbeddedWorker()
    orders = [Order.start(customer=customer) for customer in ("Eve", "Ada")]
    for order in orders:
        run = Run.objects.get(timeline=order.timeline)
        worker.bells.put(Bell(order.pk.hex, run.step, run.item, run.fence, HERE, "embedded"))
    worker.bells.put(None)

    worker._work()

    eve, ada = (Order.get(order.pk) for order in orders)
    assert (eve.pack.status, ada.pack.status) == ("retrying", "completed")


def test_an_address_made_by_the_embedded_worker_is_that_of_a_view() -> None:
    found: list[str] = []
    with override_script_prefix("/app/"):
        thread = EmbeddedWorker()._thread("timelines-test", lambda: found.append(reverse("timelines:mine")))
        thread.join(10)

    assert found == ["/app/timelines/"]
