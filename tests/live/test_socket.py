import asyncio
import uuid

import pytest
from django.contrib.auth.models import User
from django.template import Context, Template
from django.utils import timezone

from django_timelines.live import hub as hubs
from django_timelines.live import watcher
from django_timelines.live.hub import hub
from django_timelines.live.threads import in_thread
from django_timelines.models import Timeline
from django_timelines.signals import appended
from django_timelines.testing import drain
from tests.pages.stories import signed_up

from .sockets import PATIENCE
from .test_hub import settled


def test_a_socket_is_sent_what_its_page_has_not_seen_as_soon_as_it_opens(visitor, signup):
    head = signup.timeline.head

    async def story():
        socket = await visitor.open(signup.pk, after=head - 1)
        frame = await socket.frame()
        await socket.disconnect()
        return frame

    frame = asyncio.run(story())
    assert (frame["sequence"], frame["status"]) == (head, "waiting")
    assert [event["type"] for event in frame["events"]] == ["StepDue"]
    assert "Waiting for “activate”" in frame["html"]


def drawn(signup, zone):
    with timezone.override(zone):
        return Template("{% load timelines %}{% timeline shown %}").render(Context({"shown": signup}))


@pytest.mark.parametrize(
    ("zone", "meant"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        *(
            (none, None)
            for none in ("", "Asia", "Asia/Nowhere", "../etc/passwd", "tzdata.zi", "UTC+02:00", "é\0", "x" * 5000)
        ),
    ],
)
def test_a_frame_is_drawn_in_the_time_zone_of_its_page_or_else_of_the_site(visitor, signup, zone, meant):
    async def story():
        socket = await visitor.open(signup.pk, zone=zone, language="en-us")
        frame = await socket.frame()
        await socket.disconnect()
        return frame

    frame = asyncio.run(story())
    assert frame["html"] in drawn(signup, meant)


def test_a_commit_in_another_thread_reaches_the_socket(visitor, signup, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 3600)  # only the commit itself can tell
    head = signup.timeline.head

    async def story():
        socket = await visitor.open(signup.pk, after=head)
        await settled(hub())
        assert await socket.receive_nothing()
        await in_thread(signup.activate)
        frames = await socket.frame_at(head + 5)
        await socket.disconnect()
        return frames

    frames = asyncio.run(story())
    types = [event["type"] for frame in frames for event in frame["events"]]
    assert types[:3] == ["StepCalled", "AttemptStarted", "StepCompleted"]


def test_a_page_that_was_away_catches_up_without_a_gap(visitor, signup):
    head = signup.timeline.head

    async def story():
        first = await visitor.open(signup.pk, after=head)
        await first.disconnect()
        await in_thread(signup.activate)
        await in_thread(drain)
        second = await visitor.open(signup.pk, after=head)
        frame = await second.frame()
        await second.disconnect()
        return frame

    frame = asyncio.run(story())
    assert frame["status"] == "completed"
    assert [event["sequence"] for event in frame["events"]] == list(range(head + 1, frame["sequence"] + 1))


@pytest.mark.parametrize("after", ["", "-1", "x", "9" * 5000])
def test_unknown_foreign_and_malformed_are_refused_alike(visitor, stranger, signup, after):
    async def story():
        return [
            await visitor.refusal(uuid.uuid4()),
            await visitor.refusal("no-timeline"),
            await visitor.refusal("%00"),
            await visitor.refusal(f"{signup.pk}/more"),
            await stranger.refusal(signup.pk),
            await visitor.refusal(signup.pk, after=after),
        ]

    assert asyncio.run(story()) == [1008] * 6


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[::1"])
def test_a_page_of_another_site_is_refused(visitor, signup, origin):
    async def story():
        accepted, _code = await visitor.socket(signup.pk, origin=origin).connect(timeout=PATIENCE)
        return accepted

    assert asyncio.run(story()) is False


@pytest.mark.parametrize("message", ['{"after": 0}', "x" * 100_000, b"\xff\x00"])
def test_whatever_a_page_says_ends_its_socket_quietly(visitor, signup, caplog, message):
    head = signup.timeline.head

    async def story():
        socket = await visitor.open(signup.pk, after=head)
        await socket.send_to(**({"text_data": message} if isinstance(message, str) else {"bytes_data": message}))
        code = await socket.closing_code()
        await socket.wait(timeout=PATIENCE)
        return code, dict(hub().watched)

    assert asyncio.run(story()) == (1008, {})
    assert not [record for record in caplog.records if record.name == "django_timelines"]


def test_staff_with_the_permission_may_watch_anybodys_timeline(client, signup, stranger):
    client.force_login(User.objects.create_superuser("root"))
    stranger.session = client.session.session_key

    async def story():
        socket = await stranger.open(signup.pk, after=0)
        frame = await socket.frame()
        await socket.disconnect()
        return frame["status"]

    assert asyncio.run(story()) == "waiting"


def test_a_socket_is_told_of_its_own_timeline_only(visitor, signup):
    head = signup.timeline.head

    async def story():
        socket = await visitor.open(signup.pk, after=head)
        await in_thread(signed_up, "grace@example.org")
        nothing = await socket.receive_nothing()
        await socket.disconnect()
        return nothing

    assert asyncio.run(story()) is True


def test_a_lost_hint_delays_a_page_and_loses_nothing(visitor, signup, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 0.05)
    head = signup.timeline.head

    async def story():
        socket = await visitor.open(signup.pk, after=head)
        assert await socket.receive_nothing()
        assert appended.disconnect(dispatch_uid="django_timelines.live.hub")
        try:
            await in_thread(signup.activate)
            frames = await socket.frame_at(head + 5)
        finally:
            appended.connect(hubs.wake_all, dispatch_uid="django_timelines.live.hub")
        await socket.disconnect()
        return frames

    assert asyncio.run(story())[-1]["sequence"] == head + 5


def test_the_page_of_a_timeline_that_was_deleted_is_told_to_go_away(visitor, signup):
    head = signup.timeline.head

    async def story():
        socket = await visitor.open(signup.pk, after=head)
        await in_thread(Timeline.objects.filter(pk=signup.pk).delete)
        hub().heard(signup.pk, head + 1)
        code = await socket.closing_code()
        hub().heard(signup.pk, head + 2)
        return code, await socket.receive_nothing()

    assert asyncio.run(story()) == (1001, True)


def test_a_hub_forgets_the_sockets_that_left(visitor, signup):
    async def story():
        sockets = [await visitor.open(signup.pk, after=0) for _ in range(3)]
        watched = len(hub().watched[signup.pk].sockets)
        for socket in sockets:
            await socket.disconnect(timeout=PATIENCE)
        return watched, dict(hub().watched)

    assert asyncio.run(story()) == (3, {})


@pytest.fixture
def asked_each_time(monkeypatch):
    """Let every socket be asked for again before each frame."""
    monkeypatch.setattr(watcher, "ASKED_LONG_AGO", 0.0)


@pytest.fixture
def staff(client, signup, stranger):
    """The browser of somebody who may see all timelines."""
    client.force_login(User.objects.create_superuser("root"))
    stranger.session = client.session.session_key
    return stranger


def logs_out(client):
    client.logout()


def logs_out_everywhere(client):
    root = User.objects.get(username="root")
    root.set_password("another")
    root.save()


def is_staff_no_more(client):
    User.objects.filter(username="root").update(is_staff=False, is_superuser=False)


def is_deleted(client):
    User.objects.filter(username="root").delete()


@pytest.mark.parametrize("loses", [logs_out, logs_out_everywhere, is_staff_no_more, is_deleted])
@pytest.mark.usefixtures("asked_each_time")
def test_who_may_look_no_more_is_sent_nothing_more(staff, client, signup, loses):
    head = signup.timeline.head

    async def story():
        socket = await staff.open(signup.pk, after=head - 1)
        first = await socket.frame()
        await in_thread(loses, client)
        await in_thread(signup.activate)
        end = await socket.receive_output(timeout=PATIENCE)
        await in_thread(drain)
        nothing = await socket.receive_nothing()
        await socket.disconnect()
        return first["sequence"], end, nothing

    assert asyncio.run(story()) == (head, {"type": "websocket.close", "code": 4403}, True)


@pytest.mark.usefixtures("asked_each_time")
def test_a_session_that_forgot_the_timeline_is_sent_nothing_more(visitor, client, signup):
    async def story():
        socket = await visitor.open(signup.pk, after=signup_head)
        await in_thread(client.session.flush)
        await in_thread(signup.activate)
        return await socket.closing_code()

    signup_head = signup.timeline.head
    assert asyncio.run(story()) == 4403


@pytest.mark.usefixtures("asked_each_time")
def test_a_socket_whose_visitor_still_may_look_goes_on(staff, signup):
    head = signup.timeline.head

    async def story():
        socket = await staff.open(signup.pk, after=head)
        await in_thread(signup.activate)
        await in_thread(drain)
        newest = (await in_thread(lambda: Timeline.objects.get(pk=signup.pk))).head
        frames = await socket.frame_at(newest)
        await socket.disconnect()
        return frames[-1]["status"]

    assert asyncio.run(story()) == "completed"


asked = []


def everybody(timeline, *, user, session):
    asked.append(user)
    return True


def test_of_many_frames_in_a_moment_only_the_handshake_asks(visitor, signup, settings, monkeypatch):
    monkeypatch.setattr(watcher, "ASKED_LONG_AGO", 3600)  # the test is a moment on any machine
    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": f"{__name__}.everybody"}
    head = signup.timeline.head
    asked.clear()

    async def story():
        socket = await visitor.open(signup.pk, after=head - 1)
        await socket.frame()
        await in_thread(signup.activate)
        await socket.frame_at(head + 5)
        await socket.disconnect()

    asyncio.run(story())
    assert len(asked) == 1


def test_an_idle_socket_is_asked_for_now_and_then(staff, client, signup, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK", 0.05)
    monkeypatch.setattr(watcher, "IDLE", 0.0)
    head = signup.timeline.head

    async def story():
        socket = await staff.open(signup.pk, after=head)
        assert await socket.receive_nothing()
        await in_thread(logs_out, client)
        return await socket.closing_code()

    assert asyncio.run(story()) == 4403
