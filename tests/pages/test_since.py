import json
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template
from django.utils import timezone

from django_timelines.engine.pause import pause_all
from django_timelines.frames import Seen, frames
from django_timelines.models import Event, Timeline
from django_timelines.policy import remember
from django_timelines.sight import MOST_EVENTS, look_at
from django_timelines.testing import drain
from example_project.signup.workflows import Signup
from tests.shop.workflows import Supper, Vault

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(client, signup):
    session = client.session
    remember(session, [signup.pk.hex])
    session.save()
    return client


def address(signup, after="0"):
    return f"/timelines/{signup.pk}/since/?after={after}"


def test_it_tells_what_the_page_has_not_seen(visitor, signup):
    head = signup.timeline.head

    frame = visitor.get(address(signup, head - 2)).json()

    assert (frame["sequence"], frame["status"], frame["truncated"]) == (head, "waiting", False)
    assert [(event["sequence"], event["type"], event["step"]) for event in frame["events"]] == [
        (head - 1, "StepCompleted", "send_activation_link"),
        (head, "StepDue", "activate"),
    ]
    assert "Waiting for “activate”" in frame["html"]


def test_there_is_nothing_to_say_when_nothing_is_new(visitor, signup):
    head = signup.timeline.head

    assert visitor.get(address(signup, head)).status_code == 204
    assert visitor.get(address(signup, head + 5)).status_code == 204


def test_what_is_running_is_drawn_again_as_why_it_does_not_move_may_have_changed(client):
    signup = Signup.start(email="grace@example.org", password="correct horse")
    session = client.session
    remember(session, [signup.pk.hex])
    session.save()
    head = signup.timeline.head
    before = client.get(address(signup, head)).json()

    pause_all("the office is on fire")

    after = client.get(address(signup, head)).json()
    assert (before["sequence"], after["sequence"], after["events"]) == (head, head, [])
    assert "It is paused and goes on later" not in before["html"]
    assert "It is paused and goes on later" in after["html"]


@pytest.mark.parametrize("after", ["", "-1", "1.5", "x", "٣", "9" * 11, "9" * 5000, "%00"])
def test_a_malformed_sequence_is_refused_with_a_sentence(visitor, signup, after):
    answer = visitor.get(address(signup, after))

    assert answer.status_code == 400
    assert answer.json() == {"error": "after= is the sequence of an event: a whole number from 0."}


def test_it_is_there_for_those_who_may_see_the_page(client, signup):
    assert client.get(address(signup)).status_code == 404


def test_a_frame_holds_neither_inputs_nor_fields_nor_the_names_of_machines(settings, visitor, signup):
    text = visitor.get(address(signup)).content.decode()

    assert "ada@example.org" not in text
    assert "correct horse" not in text
    assert "drain@" not in text


def test_a_secret_input_is_in_no_frame(db):
    vault = Vault.start("ada", code="open sesame")

    text = frames(look_at(vault.timeline, 0), [Seen(0, "", "en")])[Seen(0, "", "en")]

    assert "open sesame" not in text


def test_a_frame_has_the_newest_events_and_says_that_there_are_more(visitor, signup):
    timeline = Timeline.objects.get(pk=signup.pk)
    head = timeline.head
    copies = [
        {"timeline": timeline, "sequence": head + n, "type": "Noted", "data": {}} for n in range(1, MOST_EVENTS + 1)
    ]
    Event.objects.bulk_create(Event(**copy, at=timeline.changed_at, actor_type="user") for copy in copies)
    Timeline.objects.filter(pk=signup.pk).update(head=head + MOST_EVENTS)

    frame = visitor.get(address(signup)).json()

    assert len(frame["events"]) == 200
    assert frame["events"][-1]["sequence"] == frame["sequence"] == head + 200
    assert frame["truncated"] is True
    Event.objects.filter(type="Noted").delete()
    Timeline.objects.filter(pk=signup.pk).update(head=head)


def test_a_frame_says_what_kind_of_actor_it_was_and_names_nobody(visitor, signup, django_user_model):
    head = signup.timeline.head
    signup.activate.skip(reason="She called us.", actor=django_user_model.objects.create_user("grace@example.com"))

    for told in (address(signup, head), f"/timelines/api/{signup.pk}/events/?after={head}"):
        answer = visitor.get(told)

        assert answer.json()["events"][0]["actor"] == "user"
        assert "grace@example.com" not in answer.content.decode()


def test_a_frame_is_drawn_in_the_language_of_its_page(signup):
    clients = [Seen(0, "", "en"), Seen(0, "", "de"), Seen(3, "", "de")]

    encoded = frames(look_at(signup.timeline, 0), clients)

    assert set(encoded) == set(clients)
    assert "<time datetime=" in encoded[clients[1]].replace("\\", "")


def test_a_frame_is_drawn_in_the_time_zone_of_its_page(signup):
    clients = [Seen(0, "", "en"), Seen(0, "", "en", ZoneInfo("Asia/Tokyo"))]

    encoded = frames(look_at(signup.timeline, 0), clients)

    ours, theirs = (json.loads(encoded[client])["html"] for client in clients)
    with timezone.override("Asia/Tokyo"):
        page = Template("{% load timelines %}{% timeline shown %}").render(Context({"shown": signup}))
    assert theirs in page
    assert ours not in page


def test_a_page_that_polls_is_told_once_when_a_child_moves_that_a_step_waits_for(client):
    supper = Supper.start(guest="Ada", dishes=[])
    drain()
    session = client.session
    remember(session, [supper.pk.hex])
    session.save()
    frame = client.get(f"/timelines/{supper.pk}/since/").json()
    seen = {"after": frame["sequence"], "version": frame["version"]}
    assert client.get(f"/timelines/{supper.pk}/since/", seen).status_code == 204

    Supper.get(supper.pk).bill.child.timeline.pause(reason="the till is closed")

    again = client.get(f"/timelines/{supper.pk}/since/", seen).json()
    assert (again["sequence"], again["events"]) == (frame["sequence"], [])
    assert again["version"] != frame["version"]
    assert "It is paused and goes on later" in again["html"]
    assert client.get(f"/timelines/{supper.pk}/since/", seen | {"version": again["version"]}).status_code == 204


def test_a_timeline_without_children_has_no_version(visitor, signup):
    assert visitor.get(address(signup)).json()["version"] == ""
