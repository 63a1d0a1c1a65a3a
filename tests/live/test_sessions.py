"""Whoever watches is known by their session, which stays as it is."""

import asyncio

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_timelines.live import watcher
from django_timelines.live.threads import in_thread

from .sockets import Visitor
from .test_stream import STREAM, Stream


@pytest.fixture
def root(transactional_db, settings) -> Client:
    """A superuser's browser, which logged in before the site had another secret key."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new one"
    return client


def is_logged_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def test_a_socket_logs_nobody_out_whose_session_is_older_than_the_secret_key(root, signup, monkeypatch):
    monkeypatch.setattr(watcher, "ASKED_LONG_AGO", 0.0)
    head = signup.timeline.head

    async def story():
        socket = await Visitor(root.session.session_key).open(signup.pk, after=head)
        await in_thread(signup.activate)
        frame = await socket.frame()
        await socket.disconnect()
        return frame["sequence"]

    assert asyncio.run(story()) > head
    assert is_logged_in(root)


def test_nor_does_a_stream(root, signup):
    async def story():
        stream = Stream(Visitor(root.session.session_key), signup.pk, STREAM)
        status = await stream.begin()
        await stream.event()
        await stream.leave()
        return status

    assert asyncio.run(story()) == 200
    assert is_logged_in(root)


def test_a_session_that_is_older_than_the_password_lets_nobody_watch(root, signup):
    User.objects.update(password="another")

    assert asyncio.run(Visitor(root.session.session_key).refusal(signup.pk)) == 1008
    assert not is_logged_in(root)
