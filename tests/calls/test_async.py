"""Async code awaits what other code calls: the same engine, and the same answers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import AsyncClient, Client

from django_timelines.actors import acting, of_user
from django_timelines.exceptions import Refused, Rejected
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Outcome, Retry, Workflow, step
from tests.live.sockets import PATIENCE, Socket
from tests.shop.workflows import Bar, Order, plan

from .workflows import Courier, Notice

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def fail(workflow: Any) -> None:
    raise OSError("The printer is out of paper.")


def ordered() -> Order:
    """Return an order that waits to be paid."""
    order = Order.start(customer="Ada", amount=2)
    drain()
    return Order.get(order.pk)


def test_an_async_view_acts_as_its_user_and_carries_the_trace() -> None:
    ada = get_user_model().objects.create_user(username="ada")
    client = AsyncClient()

    async def story() -> str:
        await client.aforce_login(ada)
        return (await client.get("/order/async/?customer=Ada", headers={"traceparent": TRACE})).content.decode()

    order = Order.get(async_to_sync(story)())

    called = order.timeline.events.get(type="StepCalled")
    assert (called.actor_type, called.actor_id, called.actor_label) == ("user", str(ada.pk), "ada")
    assert called.trace == TRACE


@pytest.mark.parametrize("asked", ["", "&by-system"])
def test_a_session_sees_what_its_async_view_began(client: Client, asked: str) -> None:
    session = client.session
    session["basket"] = ["a pen"]
    session.save()
    visitor = AsyncClient()
    visitor.cookies["sessionid"] = session.session_key

    async def story() -> str:
        return (await visitor.get(f"/order/async/?customer=Ada{asked}")).content.decode()

    pk = async_to_sync(story)()

    client.cookies["sessionid"] = session.session_key
    assert client.get(f"/timelines/{pk}/").status_code == 200
    assert Client().get(f"/timelines/{pk}/").status_code == 404


def test_a_call_is_awaited_and_moves_its_object_on() -> None:
    order = ordered()

    assert async_to_sync(order.pay.acall)(amount=5) is Outcome.COMPLETED

    assert order.notes == ["paid 5"]
    assert Order.get(order.pk).pay.status == "completed"


def test_options_of_a_call_hold_for_an_awaited_one() -> None:
    order, ada = ordered(), get_user_model().objects.create_user(username="ada")

    async def story() -> list[Outcome]:
        return [await order.pay.using(key="click", actor=ada).acall(amount=5) for _click in range(2)]

    assert async_to_sync(story)() == [Outcome.COMPLETED, Outcome.COMPLETED]
    called = order.timeline.events.filter(type="StepCalled", step="pay")
    assert [event.actor_label for event in called] == ["ada"]


def test_an_awaited_call_is_refused_and_rejected_as_any_other() -> None:
    order = ordered()

    with pytest.raises(Rejected, match="at least nought"):
        async_to_sync(order.pay.acall)(amount=-1)
    async_to_sync(order.pay.acall)(amount=5)
    with pytest.raises(Refused) as refused:
        async_to_sync(order.pay.acall)(amount=6)

    assert refused.value.reason == "settled"


def test_awaiting_an_outcome_holds_no_thread() -> None:
    order = Order.start(customer="Ada")

    async def story() -> Outcome:
        # sync code has one thread here: were it held, the body could not run before the time is up
        outcome, _drained = await asyncio.gather(order.pack.await_outcome(timeout=5), sync_to_async(drain)())
        return outcome

    assert async_to_sync(story)() is Outcome.COMPLETED
    assert order.pack.status == "completed"


def test_the_outcome_of_an_item_is_awaited() -> None:
    bar = Bar.start(drinks=["latte"])
    drain()

    async def story() -> Outcome:
        return await (await Bar.aget(bar.pk)).make["latte"].await_outcome(timeout=5)

    assert async_to_sync(story)() is Outcome.COMPLETED


def test_an_awaited_outcome_raises_what_a_worker_rejected(place: Any) -> None:
    place(Notice._declaration.label, post="embedded")
    notice = Notice.start(text="News")
    notice.post(to="nobody")

    async def story() -> None:
        await asyncio.gather(notice.post.await_outcome(timeout=5), sync_to_async(drain)())

    with pytest.raises(Rejected, match="Nobody does not read"):
        async_to_sync(story)()


def test_what_a_person_does_is_awaited() -> None:
    plan["pack"] = fail
    order = Order.start(customer="Ada")

    async def story() -> None:
        assert "pack" in str(await timeline.aexplain())
        await order.pack.aretry(reason="new paper")
        await order.pack.askip({"amount": 7}, reason="packed by hand")
        await timeline.aamend({"customer": "Grace"}, reason="mistyped", amount=8)
        await timeline.apause(reason="lunch")
        await timeline.aresume(reason="back")
        assert (await timeline.apreview_rewind(to="pack")).again
        await timeline.arewind(to="pack", reason="a bigger box")
        await timeline.acancel(reason="too late")
        await timeline.aerase(reason="they asked")

    with recorded_errors():
        drain()
        timeline = order.timeline
        async_to_sync(story)()

    types = set(timeline.events.values_list("type", flat=True))
    assert {"StepSkipped", "Amended", "Paused", "Resumed", "RoundBegun", "CancelRequested", "Erased"} <= types
    assert timeline.status == "cancelled"


def test_a_step_awaits_another_timeline_which_knows_its_cause() -> None:
    courier = Courier.start()
    drain()

    courier = Courier.get(courier.pk)
    notice = Notice.get(courier.sent)
    began = courier.timeline.events.get(type="AttemptStarted", step="send")
    first = notice.timeline.events.get(sequence=1)
    assert notice.post.status == "completed"
    assert (first.cause_timeline, first.cause) == (courier.pk, began.sequence)
    assert notice.timeline.correlation == courier.pk


class Till(AsyncJsonWebsocketConsumer):
    """Takes the money of an order through a socket."""

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        with acting(of_user(self.scope["user"])):
            order = await Order.aget(content["order"])
            try:
                outcome = await order.pay.acall(amount=content["amount"])
            except Refused as refusal:
                await self.send_json({"refused": refusal.reason})
            else:
                await self.send_json({"outcome": outcome})


def test_a_consumer_awaits_calls_as_its_user() -> None:
    order, ada = ordered(), get_user_model().objects.create_user(username="ada")

    async def story() -> list[dict[str, Any]]:
        socket = Socket(Till.as_asgi(), "/")
        socket.scope["user"] = ada
        await socket.connect(timeout=PATIENCE)
        frames = []
        for amount in (5, 6):
            await socket.send_json_to({"order": str(order.pk), "amount": amount})
            frames.append(await socket.frame())
        await socket.disconnect()
        return frames

    assert async_to_sync(story)() == [{"outcome": "completed"}, {"refused": "settled"}]
    called = order.timeline.events.get(type="StepCalled", step="pay")
    assert (called.actor_type, called.actor_label) == ("user", "ada")


class Patience(Workflow):
    """Async steps that take long."""

    @step
    def begin(self) -> None: ...

    @step(after=begin, manual=True, delivery=AT_LEAST_ONCE, retry=Retry(1))
    async def repeat(self) -> None:
        begun.set()
        await asyncio.sleep(60)

    @step(after=begin, manual=True, delivery=AT_MOST_ONCE)
    async def once(self) -> None:
        begun.set()
        await asyncio.sleep(60)


begun = threading.Event()


@pytest.mark.parametrize(("name", "left"), [("repeat", "retrying"), ("once", "blocked")])
def test_a_caller_that_is_cancelled_is_so_and_gives_the_attempt_back(name: str, left: str, place: Any) -> None:
    place(Patience._declaration.label, begin="inline", repeat="inline", once="inline")
    patience, ended = Patience.start(), list[str]()
    begun.clear()

    async def visit() -> None:
        try:
            await getattr(patience, name).acall()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def leave() -> None:
        async with ThreadSensitiveContext():
            visitor = asyncio.create_task(visit())
            await asyncio.to_thread(begun.wait, PATIENCE)
            visitor.cancel()
            with pytest.raises(asyncio.CancelledError):
                await visitor
            await sync_to_async(connections.close_all)()  # of this context's thread

    asyncio.run(leave())

    run = Patience.get(patience.pk).timeline.state["runs"][name]
    assert (ended, run["status"], run["attempt"]) == (["cancelled"], left, 0 if left == "retrying" else 1)


def test_an_inline_body_runs_in_the_loop_of_who_awaits_it_and_one_called_from_sync_code_in_its_own(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def notes(workflow: Any) -> None:
        loops.append(asyncio.get_running_loop())

    async def visit() -> None:
        async with ThreadSensitiveContext():
            await first.repeat.acall()
            loops.append(asyncio.get_running_loop())
            await sync_to_async(connections.close_all)()  # of this context's thread

    place(Patience._declaration.label, begin="inline", repeat="inline")
    first, second = Patience.start(), Patience.start()
    monkeypatch.setattr(Patience.repeat, "body", notes)
    asyncio.run(visit())
    second.repeat()

    assert [loop is loops[1] for loop in loops] == [True, True, False]


@pytest.mark.parametrize("how", ["raises", "cancels its task"])
def test_a_body_that_is_cancelled_by_itself_has_failed(how: str, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancels_itself(workflow: Any) -> None:
        if how == "raises":
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(PATIENCE)

    place(Patience._declaration.label, begin="inline", repeat="inline")
    patience = Patience.start()
    monkeypatch.setattr(Patience.repeat, "body", cancels_itself)

    with recorded_errors():
        assert patience.repeat() == "blocked"
