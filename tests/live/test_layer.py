"""Several processes, and a Redis of our own that is stopped and started."""

import asyncio
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from django.db import connection

from django_timelines.engine.pause import pause_all
from django_timelines.live import ear, sender
from django_timelines.live import hub as hubs
from django_timelines.live.layer import EVERY, group_of, shared_layer
from django_timelines.live.threads import in_thread
from django_timelines.signals import paused
from example_project.signup.workflows import Signup
from tests.ports import kept_port
from tests.settings.base import BASE_DIR

from .elsewhere import layer_at
from .sockets import PATIENCE
from .test_hub import Notebook, settled

pytestmark = [pytest.mark.redis, pytest.mark.redis_server]


class Redis:
    """A Redis server of this test alone."""

    def __init__(self) -> None:
        self.kept, self.port = kept_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        quiet = ["--save", "", "--appendonly", "no"]
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", *quiet]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(
            self.url, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), 3000)
        ) as client:
            client.ping()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def subscribers(self, group: str) -> int:
        with redis.Redis.from_url(self.url) as client:
            return client.pubsub_numsub(f"asgi__group__{group}")[0][1]


@pytest.fixture
def server(settings, monkeypatch) -> Iterator[Redis]:
    server = Redis()
    settings.CHANNEL_LAYERS = {"default": layer_at(server.url)}
    monkeypatch.setattr(sender, "sender", sender.Sender())
    monkeypatch.setattr(sender, "PATIENCE", PATIENCE)  # of a machine that has much else to do
    yield server
    server.stop()
    server.kept.close()


async def until(condition) -> None:
    """Wait for something that no event of ours tells: a server's own book-keeping."""
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


def activate_elsewhere(server: Redis, signup: Signup) -> None:
    """Call the step in another process."""
    command = [
        sys.executable,
        "-m",
        "tests.live.elsewhere",
        str(connection.settings_dict["NAME"]),
        server.url,
        str(signup.pk),
    ]
    subprocess.run(command, check=True, cwd=BASE_DIR)


def test_a_commit_in_another_process_reaches_the_socket(server, visitor, signup, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 3600)  # only a hint can tell
    head = signup.timeline.head

    async def story():
        socket = await visitor.open(signup.pk, after=head)
        await until(lambda: server.subscribers(group_of(signup.pk)) == 1)
        await asyncio.to_thread(activate_elsewhere, server, signup)
        frames = await socket.frame_at(head + 5)
        await socket.disconnect()
        return frames

    assert asyncio.run(story())[-1]["sequence"] == head + 5


def test_a_pause_of_everything_is_one_hint_that_reaches_the_pages_of_other_processes(
    server, transactional_db, monkeypatch
):
    monkeypatch.setattr(hubs, "LOOK", 3600)  # only a hint can tell
    running = Signup.start(email="grace@example.org", password="correct horse")
    head = running.timeline.head
    assert paused.disconnect(dispatch_uid="django_timelines.live.hub")  # as in a process that serves no page

    async def story():
        watching, socket = hubs.hub(), Notebook(head)
        watching.join(running.pk, socket)
        await until(lambda: server.subscribers(group_of(EVERY)) == 1)
        await settled(watching)  # only what was read is known to be running
        await in_thread(pause_all, "the office is on fire")
        await asyncio.wait_for(socket.told.wait(), PATIENCE)
        watching.leave(running.pk, socket)
        await until(lambda: server.subscribers(group_of(EVERY)) == 0)
        return socket.got

    try:
        ((sequence, text),) = asyncio.run(story())
    finally:
        paused.connect(hubs.draw_all, dispatch_uid="django_timelines.live.hub")
    assert sequence == head
    assert "It is paused and goes on later" in text


def test_a_process_subscribes_once_for_each_timeline_and_leaves_with_its_last_socket(server, visitor, signup):
    async def story():
        sockets = [await visitor.open(signup.pk, after=0) for _ in range(3)]
        await until(lambda: server.subscribers(group_of(signup.pk)) == 1)
        for socket in sockets:
            await socket.disconnect(timeout=PATIENCE)
        await until(lambda: server.subscribers(group_of(signup.pk)) == 0)

    asyncio.run(story())


def test_two_event_loops_of_a_process_are_both_told(server, visitor, signup, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 3600)  # only a hint can tell
    head = signup.timeline.head
    ready, sequences = threading.Barrier(3, timeout=PATIENCE), []

    async def watch():
        socket = await visitor.open(signup.pk, after=head)
        await settled(hubs.hub())
        await asyncio.to_thread(ready.wait)
        sequences.append((await socket.frame_at(head + 5))[-1]["sequence"])
        await socket.disconnect()

    loops = [threading.Thread(target=asyncio.run, args=(watch(),)) for _ in range(2)]
    for loop in loops:
        loop.start()
    ready.wait()
    signup.activate()
    for loop in loops:
        loop.join(PATIENCE)
    assert sequences == [head + 5, head + 5]


def test_pages_find_out_by_themselves_while_redis_is_away_and_are_told_again_when_it_is_back(
    server, visitor, signup, monkeypatch, caplog
):
    monkeypatch.setattr(hubs, "LOOK", 0.1)
    monkeypatch.setattr(ear, "RETRY", 0.1)
    head = signup.timeline.head

    async def story():
        socket = await visitor.open(signup.pk, after=head)
        await until(lambda: server.subscribers(group_of(signup.pk)) == 1)
        server.stop()
        await asyncio.to_thread(activate_elsewhere, server, signup)
        frames = await socket.frame_at(head + 5)
        await asyncio.to_thread(server.start)
        await until(lambda: server.subscribers(group_of(signup.pk)) == 1)
        await socket.disconnect()
        return frames

    assert asyncio.run(story())[-1]["sequence"] == head + 5


def test_a_socket_that_opens_while_redis_is_away_joins_when_it_is_back(server, visitor, signup, monkeypatch, caplog):
    monkeypatch.setattr(ear, "RETRY", 0.1)
    server.stop()

    async def story():
        socket = await visitor.open(signup.pk, after=0)
        frame = await socket.frame()
        await until(lambda: "The channel layer failed" in caplog.text)
        await asyncio.to_thread(server.start)
        await until(lambda: server.subscribers(group_of(signup.pk)) == 1)
        await socket.disconnect()
        return frame["status"]

    assert asyncio.run(story()) == "waiting"


def test_a_commit_succeeds_without_redis_and_says_so_once(server, signup, caplog, monkeypatch):
    monkeypatch.setattr(sender, "PATIENCE", 1.0)
    monkeypatch.setattr(sender, "SILENCE", 3600)  # longer than the test takes on any machine
    server.stop()

    signup.activate()
    deadline = time.monotonic() + PATIENCE
    while (
        not caplog.records and time.monotonic() < deadline
    ):  # it leaves behind the commit, and may follow another hint
        time.sleep(0.01)

    sender.sender.flush()
    sender.send_hint(signup.pk, 99)
    sender.sender.flush()

    assert Signup.get(signup.pk).activate.status == "completed"
    said = [record for record in caplog.records if "Could not send a hint" in record.message]
    assert len(said) == 1
    server.start()


def test_a_commit_in_an_event_loops_thread_waits_for_no_hint(server):
    timeline = uuid.uuid4()  # of which nobody has said anything yet

    async def story():
        receiver = shared_layer()
        channel = await receiver.new_channel()
        await receiver.group_add(group_of(timeline), channel)
        await until(lambda: server.subscribers(group_of(timeline)) == 1)
        sender.send_hint(timeline, 99)
        message = await asyncio.wait_for(receiver.receive(channel), PATIENCE)
        await receiver.flush()
        return message["sequence"]

    assert asyncio.run(story()) == 99


@contextmanager
def in_a_moment() -> Iterator[None]:
    """Let no time go by for the sender, however long it takes to tell it all this."""
    told = threading.Event()
    sender.sender._running_loop().call_soon_threadsafe(told.wait, PATIENCE)
    yield
    told.set()


def test_a_runner_that_goes_on_sends_its_first_hint_and_its_last(server):
    timeline = uuid.uuid4()  # of which nobody has said anything yet

    async def story():
        receiver = shared_layer()
        channel = await receiver.new_channel()
        await receiver.group_add(group_of(timeline), channel)
        await until(lambda: server.subscribers(group_of(timeline)) == 1)
        with in_a_moment():
            for sequence in (11, 12, 13, 14):
                sender.send_hint(timeline, sequence, more=True)
            sender.send_hint(timeline, 15)
        await until(lambda: timeline not in sender.sender._later)  # what would come later has come
        await asyncio.to_thread(sender.sender.flush)
        sender.send_hint(timeline, 99)
        heard = []
        while heard[-1:] != [99]:
            message = await asyncio.wait_for(receiver.receive(channel), PATIENCE)
            heard.append(message["sequence"])
        await receiver.flush()
        return heard

    assert asyncio.run(story()) == [11, 15, 99]


def test_of_a_runner_whose_next_step_takes_long_the_newest_hint_follows(server):
    timeline = uuid.uuid4()  # of which nobody has said anything yet

    async def story():
        receiver = shared_layer()
        channel = await receiver.new_channel()
        await receiver.group_add(group_of(timeline), channel)
        await until(lambda: server.subscribers(group_of(timeline)) == 1)
        with in_a_moment():
            for sequence in (11, 12, 13):
                sender.send_hint(timeline, sequence, more=True)
        heard = [(await asyncio.wait_for(receiver.receive(channel), PATIENCE))["sequence"] for _ in range(2)]
        await receiver.flush()
        return heard

    assert asyncio.run(story()) == [11, 13]
