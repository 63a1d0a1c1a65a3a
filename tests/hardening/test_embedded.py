"""The threads of the embedded worker: no body ends them, and they know below which path the site lies."""

import os
import signal
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import override_script_prefix
from django.urls import reverse

from django_timelines.engine import clock
from django_timelines.models import Run
from django_timelines.placements import Bell, embedded
from django_timelines.placements.embedded import EmbeddedWorker
from django_timelines.testing import drain, travel
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


def answer_apart(bell: Bell) -> int:
    """Let the embedded worker of a process of its own answer a bell; return how the process ended."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)  # it hangs
        try:
            worker = EmbeddedWorker()
            worker.bells.put(bell)
            worker.bells.put(None)
            worker._work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(("step", "stands"), [("pack", "retrying"), ("announce", "retrying"), ("send", "blocked")])
def test_a_body_that_ends_the_serving_process_is_told_of(step: str, stands: str) -> None:
    order = Order.start(customer="Ada")
    if step == "send":
        drain()
        order.pay(amount=1)
    run = Run.objects.get(timeline=order.pk)
    plan[step] = lambda order: os._exit(3)

    assert answer_apart(Bell(order.pk.hex, run.step, "", run.fence, HERE, "embedded")) == 3

    plan.clear()
    with travel(timedelta(seconds=61)):
        clock.tick(HERE)
        assert getattr(Order.get(order.pk), step).status == stands
        drain()
    event = order.timeline.events.get(type="AttemptInterrupted", step=step)
    assert (event.attempt, event.data["error"]["message"]) == (1, "The process that executed it went away.")
    wanted = "blocked" if stands == "blocked" else "completed"
    assert getattr(Order.get(order.pk), step).status == wanted


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> EmbeddedWorker:
    """Return the worker of a process that serves, and whose threads are busy."""
    worker = EmbeddedWorker()
    worker._pid = os.getpid()
    monkeypatch.setattr(embedded, "worker", worker)
    return worker


def test_a_bell_that_is_rung_again_waits_once(serving: EmbeddedWorker) -> None:
    orders = [Order.start(customer=customer) for customer in ("Ada", "Eve")]

    for seconds in (10, 30, 60):
        with travel(timedelta(seconds=seconds)):
            clock.tick(HERE)
    serving.bells.put(None)

    assert [serving.bells.get().timeline for _ in orders] == [order.pk.hex for order in orders]
    assert serving.bells.get() is None
    assert [run.rings for run in Run.objects.all()] == [4, 4]


def test_a_bell_is_taken_again_once_somebody_answers_it(serving: EmbeddedWorker) -> None:
    bell = Bell(Order.start(customer="Ada").pk.hex, "pack", "", 2, HERE, "embedded")
    serving.bells.get()
    placement = embedded.Embedded()

    assert [placement.ring(bell), placement.ring(bell), serving.bells.get()] == [True, True, bell]
    assert [placement.ring(bell), serving.bells.get()] == [True, bell]
    assert serving.bells.empty()


def test_an_address_made_by_the_embedded_worker_is_that_of_a_view() -> None:
    found: list[str] = []
    with override_script_prefix("/app/"):
        thread = EmbeddedWorker()._thread("timelines-test", lambda: found.append(reverse("timelines:mine")))
        thread.join(10)

    assert found == ["/app/timelines/"]
