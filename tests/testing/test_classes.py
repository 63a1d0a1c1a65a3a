"""The helpers in Django's own test classes."""

from __future__ import annotations

import threading
from datetime import timedelta
from http.client import HTTPConnection

from asgiref.sync import sync_to_async
from django.test import LiveServerTestCase, TestCase, TransactionTestCase

from django_timelines.models import Timeline
from django_timelines.testing import assert_holds, crash_at, deliver_twice, drain, fail_step, given, travel
from tests.shop.workflows import Order, ran


class Stories:
    """What is told in both kinds of test."""

    databases = "__all__"

    def test_a_payment_is_noted(self) -> None:
        given(Order, customer="Ada").upto("pay").when("pay", amount=5).then(
            "StepCompleted pay", fields={"notes": ["paid 5"]}, status="running"
        )
        assert_holds()

    def test_a_crash_is_survived(self) -> None:
        order = given(Order, customer="Ada").upto("announce").workflow

        with crash_at("after body", Order.announce):
            drain()
        with travel(timedelta(minutes=2)):
            drain()

        assert (Order.get(order.pk).pay.status, ran["announce"]) == ("waiting", 2)
        assert_holds(order)

    def test_trouble_comes_in_company(self) -> None:
        order = given(Order, customer="Ada").upto("pack").workflow

        with deliver_twice(), fail_step("announce", OSError("No paper.")):
            with crash_at("before commit", "pack"):
                drain()
            with travel(timedelta(minutes=2)):
                drain()
            with travel(timedelta(minutes=4)):
                drain()

        assert (Order.get(order.pk).pay.status, ran) == ("waiting", {"pack": 2, "announce": 1})
        assert Timeline.objects.count() == 1
        assert_holds()

    async def test_an_async_test_drains_in_a_thread(self) -> None:
        order = await Order.astart(customer="Ada")

        with fail_step(Order.pack, OSError("No string.")):
            await sync_to_async(drain)()
        with travel(timedelta(minutes=2)), crash_at("after body", Order.pack):
            await sync_to_async(drain)()
        with travel(timedelta(minutes=4)):
            await sync_to_async(drain)()

        found = await Order.aget(order.pk)
        assert (found.pay.status, ran["pack"]) == ("waiting", 2)
        await sync_to_async(assert_holds)(found)


class InATransaction(Stories, TestCase):
    """Rolled back at the end."""


class Committed(Stories, TransactionTestCase):
    """Flushed at the end."""


class Served(LiveServerTestCase):
    """Asked for by a browser."""

    databases = "__all__"

    def test_a_live_server_starts_no_worker_that_would_go_on_into_other_tests(self) -> None:
        served = HTTPConnection(self.server_thread.host, self.server_thread.port)
        served.request("GET", "/admin/login/")
        assert served.getresponse().status == 200
        served.close()

        assert not {"timelines-worker-1", "timelines-clock"} & {thread.name for thread in threading.enumerate()}
