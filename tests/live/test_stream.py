"""The stream of one timeline, at the address of its socket."""

import asyncio
import json
import uuid

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.sessions.models import Session

from django_timelines.live import stream, watcher
from django_timelines.live.asgi import with_streams
from django_timelines.live.hub import hub
from django_timelines.live.threads import in_thread
from django_timelines.models import Timeline

from .sockets import PATIENCE

STREAM = (b"accept", b"text/event-stream")


async def page(scope, receive, send):
    """Stand for the site's own pages."""
    await send({"type": "http.response.start", "status": 299, "headers": []})


class Stream(ApplicationCommunicator):
    """A request for a stream, by a visitor's browser."""

    def __init__(self, visitor, timeline, *headers, asked="", method="GET") -> None:
        cookie = (b"cookie", f"sessionid={visitor.session}".encode())
        scope = {"type": "http", "method": method, "path": f"/timelines/{timeline}/live/"}
        scope |= {"query_string": asked.encode(), "headers": [cookie, *headers]}
        super().__init__(with_streams(page), scope)

    async def begin(self) -> int:
        await self.send_input({"type": "http.request", "body": b""})
        self.start = await self.receive_output(PATIENCE)
        return int(self.start["status"])

    async def event(self) -> dict[str, str]:
        """Return the next event."""
        text = (await self.receive_output(PATIENCE))["body"].decode()
        assert text.endswith("\n\n")
        return dict(line.split(": ", 1) for line in text.strip().split("\n"))

    async def leave(self) -> None:
        await self.send_input({"type": "http.disconnect"})
        await self.wait(PATIENCE)


def test_a_stream_says_hello_and_then_what_its_page_has_not_seen(visitor, signup):
    head = signup.timeline.head

    async def story():
        stream = Stream(visitor, signup.pk, STREAM, asked=f"after={head - 1}")
        assert await stream.begin() == 200
        events = [await stream.event(), await stream.event()]
        await in_thread(signup.activate)
        events.append(await stream.event())
        await stream.leave()
        return stream.start["headers"], events, dict(hub().watched)

    headers, (hello, first, second), watched = asyncio.run(story())
    assert (b"content-type", b"text/event-stream; charset=utf-8") in headers
    assert (hello["event"], first["id"]) == ("hello", f"{head} ")
    assert [event["type"] for event in json.loads(first["data"])["events"]] == ["StepDue"]
    assert json.loads(second["data"])["sequence"] > head
    assert watched == {}


def test_who_comes_back_is_told_what_came_after_the_last_event(visitor, signup):
    head = signup.timeline.head

    async def story():
        last = (b"last-event-id", f"{head - 2} ".encode())
        stream = Stream(visitor, signup.pk, STREAM, last, asked="after=0")
        await stream.begin()
        await stream.event()
        frame = await stream.event()
        await stream.leave()
        return json.loads(frame["data"])

    assert [event["sequence"] for event in asyncio.run(story())["events"]] == [head - 1, head]


@pytest.mark.parametrize("asked", ["after=x", "after=-1", "after=" + "9" * 5000])
def test_unknown_foreign_and_malformed_are_left_to_the_site_alike(visitor, stranger, signup, asked):
    async def story():
        requests = [
            Stream(visitor, uuid.uuid4(), STREAM),
            Stream(stranger, signup.pk, STREAM),
            Stream(visitor, signup.pk, STREAM, asked=asked),
        ]
        return [await request.begin() for request in requests]

    assert asyncio.run(story()) == [299] * 3


def test_a_site_has_event_streams_of_its_own_at_addresses_that_look_like_ours(visitor):
    seen = []

    async def ticker(scope, receive, send):
        seen.append((scope, await receive()))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def story():
        stream = Stream(visitor, uuid.uuid4(), STREAM)
        stream.scope["path"] = f"/tickers/{uuid.uuid4()}/live/"
        stream.application = with_streams(ticker)
        return await stream.begin()

    assert asyncio.run(story()) == 200
    scope, message = seen[0]
    assert message == {"type": "http.request", "body": b""}
    assert set(scope) == {"type", "method", "path", "query_string", "headers"}


def test_whatever_asks_for_no_stream_is_the_sites_own(visitor, signup):
    async def story():
        requests = [
            Stream(visitor, signup.pk, (b"accept", b"text/html")),
            Stream(visitor, signup.pk),
            Stream(visitor, signup.pk, STREAM, method="POST"),
            Stream(visitor, "their-own", STREAM),
        ]
        return [await request.begin() for request in requests]

    assert asyncio.run(story()) == [299] * 4


def test_a_stream_is_short_so_that_a_server_can_shut_down(visitor, signup, monkeypatch):
    monkeypatch.setattr(stream, "LASTS", 0.1)
    monkeypatch.setattr(stream, "BEAT", 0.05)

    async def story():
        stream = Stream(visitor, signup.pk, STREAM, asked=f"after={head}")
        await stream.begin()
        await stream.event()
        said = [await stream.receive_output(PATIENCE), await stream.receive_output(PATIENCE)]
        await stream.wait(PATIENCE)
        return [message["body"] for message in said], said[-1].get("more_body", False)

    head = signup.timeline.head
    assert asyncio.run(story()) == ([b":\n\n", b""], False)


def test_the_stream_of_a_client_that_reads_nothing_is_as_short(visitor, signup, monkeypatch):
    monkeypatch.setattr(stream, "LASTS", 0.1)
    monkeypatch.setattr(stream, "BEAT", 0.05)

    async def story():
        stream, ended = Stream(visitor, signup.pk, STREAM, asked=f"after={head}"), asyncio.Event()

        async def send(message):
            if message.get("body") == b":\n\n":
                await asyncio.Event().wait()  # as a server does whose client takes nothing more
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                ended.set()

        serving = asyncio.create_task(with_streams(page)(stream.scope, asyncio.Queue().get, send))
        await asyncio.wait_for(ended.wait(), PATIENCE)
        await serving
        return dict(hub().watched)

    head = signup.timeline.head
    assert asyncio.run(story()) == {}


def test_who_may_look_no_more_is_told_that_it_is_over(visitor, client, signup, monkeypatch):
    monkeypatch.setattr(watcher, "ASKED_LONG_AGO", 0.0)
    monkeypatch.setattr(stream, "BEAT", 3600)  # only the end itself ends it

    async def story():
        stream = Stream(visitor, signup.pk, STREAM, asked=f"after={head}")
        await stream.begin()
        await stream.event()
        await in_thread(client.session.flush)
        await in_thread(signup.activate)
        over = await stream.event()
        last = await stream.receive_output(PATIENCE)
        return over | {"then": last.get("more_body", False)}

    head = signup.timeline.head
    assert asyncio.run(story()) == {"event": "end", "data": "4403", "then": False}


def test_a_timeline_that_was_deleted_is_over(visitor, signup):
    async def story():
        stream = Stream(visitor, signup.pk, STREAM, asked=f"after={head}")
        await stream.begin()
        await stream.event()
        await in_thread(Timeline.objects.filter(pk=signup.pk).delete)
        hub().heard(signup.pk, head + 1)
        over = await stream.event()
        await stream.wait(PATIENCE)
        return over["event"]

    head = signup.timeline.head
    assert asyncio.run(story()) == "end"


@pytest.mark.django_db(transaction=True)
def test_a_stream_saves_no_session_and_sends_no_cookie(visitor, stranger, signup, settings):
    settings.SESSION_SAVE_EVERY_REQUEST = True
    before = list(Session.objects.values_list("session_key", "expire_date"))

    async def story():
        allowed, refused = Stream(visitor, signup.pk, STREAM), Stream(stranger, signup.pk, STREAM)
        statuses = [await allowed.begin(), await refused.begin()]
        await allowed.event()
        await allowed.leave()
        return statuses, [name for one in (allowed, refused) for name, _value in one.start["headers"]]

    statuses, headers = asyncio.run(story())
    assert statuses == [200, 299]
    assert b"Set-Cookie" not in headers
    assert list(Session.objects.values_list("session_key", "expire_date")) == before
