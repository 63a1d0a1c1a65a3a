"""Calls from a request: its user is the actor, its transaction is respected, its session sees what it began."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connections
from django.test import Client

from django_timelines.engine import answer
from django_timelines.engine.clock import tick
from django_timelines.models import Timeline
from django_timelines.testing import drain, travel
from django_timelines.testing.patching import wrapped
from django_timelines.workflows import Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Order, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def atomic_requests() -> Iterator[None]:
    before = connections.settings[HERE]["ATOMIC_REQUESTS"]
    connections.settings[HERE]["ATOMIC_REQUESTS"] = True
    yield
    connections.settings[HERE]["ATOMIC_REQUESTS"] = before


def test_the_requests_user_is_the_actor(client: Client) -> None:
    ada = get_user_model().objects.create_user(username="ada")
    client.force_login(ada)

    order = Order.get(client.get("/order/?customer=Ada").content.decode())

    called = order.timeline.events.get(type="StepCalled")
    assert (called.actor_type, called.actor_id, called.actor_label) == ("user", str(ada.pk), "ada")
    assert order.timeline.started_by == str(ada.pk)


def test_the_session_that_began_a_timeline_sees_it_and_no_other_does(client: Client) -> None:
    pk = client.get("/order/?customer=Ada").content.decode()

    assert client.get(f"/timelines/{pk}/").status_code == 200
    assert Client().get(f"/timelines/{pk}/").status_code == 404


def test_an_atomic_request_runs_outside_effects_after_its_commit(
    client: Client, atomic_requests: None, place: Any
) -> None:
    place(pack="inline", announce="inline")

    order = Order.get(client.get("/order/?customer=Ada").content.decode())

    assert (order.announce.status, ran["announce"]) == ("completed", 1)


def test_an_atomic_request_that_fails_leaves_nothing(client: Client, atomic_requests: None, place: Any) -> None:
    place(pack="inline", announce="inline")
    client.raise_request_exception = False

    assert client.get("/order/?customer=Ada&fail").status_code == 500

    assert (Timeline.objects.count(), Entry.objects.count(), ran["announce"]) == (0, 0, 0)


class Inquiry(Workflow):
    """Begun by a step of another workflow: staff looks at it."""

    @step
    def open(self) -> None: ...

    @step(after=open, manual=True)
    def approve(self) -> None: ...


class Complaint(Workflow):
    """A visitor complains; an inquiry begins, which nobody waits for."""

    inquiry: str = ""

    @step
    def complain(self, about: str) -> None: ...

    @step(after=complain)
    def inquire(self) -> None:
        self.inquiry = str(Inquiry.start().pk)


@pytest.mark.parametrize("where", ["inline", "embedded"])
def test_what_a_body_begins_is_not_the_visitors_wherever_it_runs(
    client: Client, place: Any, settings: Any, where: str
) -> None:
    settings.DEBUG = True
    client.force_login(get_user_model().objects.create_user(username="ada"))
    place(Complaint._declaration.label, inquire=where)
    page = client.post(f"/timelines/start/{Complaint._declaration.label}/", {"about": "the soup"})["Location"]
    drain()

    inquiry = Inquiry.get(Complaint.get(page.split("/")[2]).inquiry)

    assert client.get(page).status_code == 200
    assert client.get(inquiry.get_absolute_url()).status_code == 404
    assert client.post(inquiry.get_absolute_url(), {"timelines-step": "approve"}).status_code == 404
    assert (inquiry.timeline.started_by, Inquiry.get(inquiry.pk).approve.status) == ("", "waiting")


def test_a_database_that_goes_away_after_the_commit_is_no_error_of_the_request(
    client: Client, atomic_requests: None, place: Any
) -> None:
    place(pack="inline", announce="inline")

    def gone(*claimed: Any) -> Any:
        raise OperationalError("the connection is closed")

    with wrapped(answer, "claim", lambda claim: gone):
        answered = client.get("/order/?customer=Ada")

    order = Order.get(answered.content.decode())
    assert (answered.status_code, order.announce.status, ran["announce"]) == (200, "due", 0)
    travel(timedelta(seconds=6))
    assert (tick(HERE), drain()) == (1, 1)
