"""The hub, with sockets that write down what they are sent."""

import asyncio
import json
import threading
import uuid

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext

from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.frames import Seen, read_sequence
from django_timelines.live.hub import Hub, hub
from django_timelines.live.layer import read_hint
from django_timelines.live.reading import read
from django_timelines.live.threads import in_thread
from django_timelines.models import Timeline
from django_timelines.sight import look, look_at
from example_project.signup.workflows import Signup


class Notebook:
    """A socket. ``stuck``: its frames do not get through."""

    def __init__(self, seen: int, language: str = "en-us", *, stuck: bool = False) -> None:
        self.seen, self.is_busy = Seen(seen, "", language), stuck
        self.got: list[tuple[int, str]] = []
        self.told = asyncio.Event()

    def send_frame(self, seen: Seen, text: str) -> None:
        self.seen = seen
        self.got.append((seen.sequence, text))
        self.told.set()

    def ask_again(self) -> None:
        pass

    def close(self) -> None:
        self.got.append((0, "closed"))


async def settled(watching) -> None:
    """Wait until nothing is read any more."""
    while any(watched.pushing for watched in watching.watched.values()):
        await asyncio.sleep(0.01)


def test_sockets_that_have_seen_the_same_get_the_very_same_frame(signup):
    async def story():
        hub = Hub()
        same = [Notebook(3), Notebook(3)]
        further_behind = Notebook(1)
        for socket in (*same, further_behind):
            hub.join(signup.pk, socket)
        await asyncio.gather(*(socket.told.wait() for socket in (*same, further_behind)))
        for socket in (*same, further_behind):
            hub.leave(signup.pk, socket)
        return same[0].got, same[1].got, further_behind.got

    first, second, third = asyncio.run(story())
    assert len(first) == len(second) == len(third) == 1
    assert first[0][1] is second[0][1]
    assert len(third[0][1]) > len(first[0][1])


def test_many_hints_at_once_make_one_push_with_the_newest_event(signup, monkeypatch):
    monkeypatch.setattr("django_timelines.live.hub.LOOK", 3600)  # only the hints tell
    pushes = []
    monkeypatch.setattr("django_timelines.live.hub.read", lambda *asked: pushes.append(asked) or read(*asked))
    head = signup.timeline.head

    async def story():
        hub = Hub()
        socket = Notebook(head)
        hub.join(signup.pk, socket)
        await settled(hub)
        pushes.clear()
        await in_thread(signup.activate)
        for _ in range(100):
            hub.heard(signup.pk, head + 3)
        await socket.told.wait()
        await settled(hub)
        hub.leave(signup.pk, socket)
        return socket.got

    assert [sequence for sequence, _text in asyncio.run(story())] == [signup.timeline.head]
    assert len(pushes) == 1


def test_a_hint_of_what_was_sent_already_is_no_news(signup):
    head = signup.timeline.head

    async def story():
        hub = Hub()
        socket = Notebook(head - 1)
        hub.join(signup.pk, socket)
        await socket.told.wait()
        while hub.watched[signup.pk].pushing is not None:
            await asyncio.sleep(0)
        hub.heard(signup.pk, head)
        pushing = hub.watched[signup.pk].pushing
        hub.leave(signup.pk, socket)
        return pushing

    assert asyncio.run(story()) is None


def test_a_slow_socket_holds_up_no_other_and_catches_up(signup):
    head = signup.timeline.head

    async def story():
        hub = Hub()
        slow, quick = Notebook(head - 2, stuck=True), Notebook(head - 2)
        hub.join(signup.pk, slow)
        hub.join(signup.pk, quick)
        await quick.told.wait()
        before = list(slow.got)
        slow.is_busy = False
        hub.heard(signup.pk, None)
        await slow.told.wait()
        hub.leave(signup.pk, slow)
        hub.leave(signup.pk, quick)
        return before, slow.got, quick.got

    before, slow, quick = asyncio.run(story())
    assert before == []
    assert slow == quick


def test_a_database_that_is_away_is_asked_again(signup, monkeypatch, caplog):
    monkeypatch.setattr("django_timelines.live.hub.LOOK", 0.02)
    head = signup.timeline.head
    broken = [True]

    def away(execute, sql, params, many, context):
        if broken and "django_timelines_timeline" in sql:
            raise connection.Database.OperationalError("gone away")
        return execute(sql, params, many, context)

    def break_new_connections(connection, **kwargs):
        connection.execute_wrappers.append(away)

    async def story():
        hub = Hub()
        socket = Notebook(head - 1)
        hub.join(signup.pk, socket)
        while "Could not read timeline" not in caplog.text:  # who looks for heads may find it away first
            await asyncio.sleep(0)
        broken.clear()
        await socket.told.wait()
        hub.leave(signup.pk, socket)
        return socket.got

    connection_created.connect(break_new_connections)
    try:
        got = asyncio.run(asyncio.wait_for(story(), 20))
    finally:
        connection_created.disconnect(break_new_connections)
    assert [sequence for sequence, _text in got] == [head]
    assert "Could not read timeline" in caplog.text


def test_what_is_running_and_does_not_move_is_drawn_again(transactional_db, monkeypatch):
    monkeypatch.setattr("django_timelines.live.hub.LOOK", 0.02)
    monkeypatch.setattr("django_timelines.live.hub.REDRAW", 0.0)
    signup = Signup.start(email="ada@example.org", password="correct horse")
    head = signup.timeline.head

    async def story():
        hub = Hub()
        socket = Notebook(head)
        hub.join(signup.pk, socket)
        await asyncio.wait_for(socket.told.wait(), 20)
        hub.leave(signup.pk, socket)
        return socket.got

    frame = json.loads(asyncio.run(story())[0][1])
    assert (frame["sequence"], frame["status"], frame["events"]) == (head, "running", [])


def test_a_pause_of_everything_is_seen_on_a_page_that_is_read_for_the_first_time_just_then(
    transactional_db, monkeypatch
):
    monkeypatch.setattr("django_timelines.live.hub.LOOK", 3600)  # only the pause itself can tell
    running = Signup.start(email="grace@example.org", password="correct horse")
    head = running.timeline.head
    has_read, over = threading.Event(), threading.Event()

    def read_slowly(*asked):
        found = read(*asked)
        has_read.set()
        assert over.wait(20)
        return found

    monkeypatch.setattr("django_timelines.live.hub.read", read_slowly)

    async def story():
        watching, socket = hub(), Notebook(head)
        watching.join(running.pk, socket)
        await asyncio.to_thread(has_read.wait, 20)
        watching.draw()  # as a pause has it
        over.set()
        await asyncio.wait_for(socket.told.wait(), 20)
        watching.leave(running.pk, socket)
        return socket.got

    assert [sequence for sequence, _text in asyncio.run(story())] == [head]


def test_a_pause_of_everything_draws_what_is_running_again_and_nothing_else(signup, monkeypatch):
    monkeypatch.setattr("django_timelines.live.hub.LOOK", 3600)  # only the pause itself can tell
    running = Signup.start(email="grace@example.org", password="correct horse")
    heads = {signup.pk: signup.timeline.head, running.pk: running.timeline.head}

    async def story():
        watching = hub()
        sockets = {pk: Notebook(head) for pk, head in heads.items()}
        for pk, socket in sockets.items():
            watching.join(pk, socket)
        await settled(watching)
        await in_thread(pause_all, "the office is on fire")
        await asyncio.wait_for(sockets[running.pk].told.wait(), 20)
        sockets[running.pk].told.clear()
        paused = dict(sockets[running.pk].got)
        await settled(watching)
        await in_thread(resume_all)
        await asyncio.wait_for(sockets[running.pk].told.wait(), 20)
        for pk, socket in sockets.items():
            watching.leave(pk, socket)
        return paused, dict(sockets[running.pk].got), sockets[signup.pk].got

    paused, resumed, waiting = asyncio.run(story())
    assert list(paused) == list(resumed) == [heads[running.pk]]
    assert "It is paused and goes on later" in paused[heads[running.pk]]
    assert "It is paused" not in resumed[heads[running.pk]]
    assert waiting == []


@pytest.mark.parametrize("sockets", [1, 20])
def test_a_push_asks_the_database_alike_for_one_socket_and_for_many(signup, sockets):
    clients = {Seen(n % 3, "", "en-us") for n in range(sockets)}
    with CaptureQueriesContext(connections["default"]) as queries:
        read(signup.pk, clients)

    # PostgreSQL: one statement. Elsewhere: the row, its open runs, its events, and when its steps came where they are
    assert len(queries) == (1 if connection.vendor == "postgresql" else 4)


def test_one_statement_sees_what_several_see(signup):
    head = signup.timeline.head

    one = look(signup.pk, "default", head - 2)
    several = look_at(Timeline.objects.get(pk=signup.pk), head - 2)

    assert one is not None
    assert one.timeline.__dict__ | {"_state": None} == several.timeline.__dict__ | {"_state": None}
    assert [run.__dict__ | {"_state": None} for run in one.runs] == [
        run.__dict__ | {"_state": None} for run in several.runs
    ]
    assert [list(event) for event in one.events] == [list(event) for event in several.events]
    runs = several.timeline.state["runs"].values()
    assert one.times_of(runs) == several.times_of(runs)


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"type": "another.app"},
        {"type": "timeline.hint", "timeline": 5, "sequence": 1},
        {"type": "timeline.hint", "timeline": "x", "sequence": 1},
        {"type": "timeline.hint", "timeline": uuid.uuid4().hex, "sequence": float("inf")},
        {"type": "timeline.hint", "timeline": uuid.uuid4().hex, "sequence": None},
    ],
)
def test_a_message_that_is_no_hint_of_ours_is_none(message):
    assert read_hint(message) is None


def test_a_page_that_has_seen_what_cannot_be_is_sent_nothing_and_is_no_error(signup):
    found = read(signup.pk, {Seen(read_sequence("9999999999") or 0, "", "en-us")})

    assert found is not None
    assert (found.head, found.frames) == (signup.timeline.head, {})


def test_a_timeline_that_is_not_there_is_none(transactional_db):
    assert look(uuid.uuid4(), "default") is None
