"""A page whose steps wait for other timelines is told when one of these moves, though its own does not."""

import asyncio
import json

import pytest

from django_timelines.frames import Seen
from django_timelines.live import hub as hubs
from django_timelines.live.hub import hub
from django_timelines.live.layer import group_of
from django_timelines.live.threads import in_thread
from django_timelines.outline import outline
from django_timelines.signals import appended
from django_timelines.testing import drain
from tests.shop.workflows import Banquet, Supper

from .test_hub import Notebook, settled
from .test_layer import PATIENCE, server, until

__all__ = ["server"]
UID = "django_timelines.live.hub"


@pytest.fixture
def supper(transactional_db):
    """A supper whose bill waits for a tip."""
    supper = Supper.start(guest="Ada", dishes=[])
    drain()
    return Supper.get(supper.pk)


def page_of(workflow) -> Notebook:
    """Return the socket of a page that was drawn just now."""
    shown = outline(type(workflow).get(workflow.pk).timeline)
    page = Notebook(shown.timeline.head)
    page.seen = Seen(shown.timeline.head, shown.version, "en-us")
    return page


def pause(child) -> None:
    child.timeline.pause(reason="the till is closed")


async def told(page, move, *args) -> dict:
    """Return what the page is told once this has happened."""
    page.told.clear()
    await in_thread(move, *args)
    await asyncio.wait_for(page.told.wait(), PATIENCE)
    return json.loads(page.got[-1][1])


def watch(workflow, story):
    """Tell a story about the page of this workflow, and return what it returns, and what its hub still knows after the page."""

    async def whole():
        watching, page = hub(), page_of_it
        watching.join(workflow.pk, page)
        await settled(watching)
        assert page.got == []  # it was drawn just now
        try:
            return await story(watching, page), watching.told_by
        finally:
            watching.leave(workflow.pk, page)

    page_of_it = page_of(workflow)
    result, known = asyncio.run(whole())
    assert known == {}
    return result


def test_a_child_that_moves_reaches_the_page_of_its_parent(supper, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 3600)
    head, child = supper.timeline.head, supper.bill.child

    frame = watch(supper, lambda watching, page: told(page, pause, child))

    assert (frame["sequence"], frame["events"]) == (head, [])
    assert "It is paused and goes on later" in frame["html"]


def test_it_is_told_each_time_and_of_its_own_events_as_well(supper, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 3600)
    head, child = supper.timeline.head, supper.bill.child

    async def story(watching, page):
        frames = [await told(page, pause, child), await told(page, child.timeline.resume)]
        await settled(watching)
        frames.append(await told(page, lambda: supper.timeline.pause(reason="the office is closed")))
        return frames

    paused, resumed, own = watch(supper, story)
    assert len({paused["version"], resumed["version"]}) == 2
    assert "It is paused" not in resumed["html"]
    assert own["sequence"] == head + 1


def test_so_does_a_child_of_a_child(transactional_db, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 3600)
    banquet = Banquet.start(guest="Ada")
    drain()
    banquet = Banquet.get(banquet.pk)
    bill = banquet.supper.child.bill.child

    frame = watch(banquet, lambda watching, page: told(page, pause, bill))

    assert "It is paused and goes on later" in frame["html"]


def test_a_lost_hint_of_a_child_delays_the_page_and_loses_nothing(supper, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 0.05)
    child = supper.bill.child

    async def story(watching, page):
        assert appended.disconnect(dispatch_uid=UID)
        try:
            return await told(page, pause, child)
        finally:
            appended.connect(hubs.wake_all, dispatch_uid=UID)

    assert "It is paused" in watch(supper, story)["html"]


@pytest.mark.redis
@pytest.mark.redis_server
def test_a_child_that_moves_in_another_process_reaches_the_page(server, supper, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 3600)  # only a hint can tell
    child = supper.bill.child

    async def story(watching, page):
        await until(lambda: server.subscribers(group_of(child.pk)) == 1)
        await settled(watching)
        assert appended.disconnect(dispatch_uid=UID)  # as in a process that serves no page
        try:
            return await told(page, pause, child)
        finally:
            appended.connect(hubs.wake_all, dispatch_uid=UID)

    assert "It is paused" in watch(supper, story)["html"]
    assert server.subscribers(group_of(child.pk)) == 0
