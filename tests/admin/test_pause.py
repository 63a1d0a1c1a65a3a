"""Pause and resume from the admin: of one timeline, of several, of a workflow and of everything."""

from dataclasses import replace

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_timelines import registry
from django_timelines.engine.pause import pause_all
from django_timelines.models import Pause
from django_timelines.testing import drain
from tests.shop.workflows import Letter, Trip

from .conftest import LIST, a_parcel, at_home, confirm, page_of, post, text_of, types, verb_of
from .workflows import Parcel

pytestmark = pytest.mark.django_db(transaction=True)
PAUSE_ALL, RESUME_ALL = f"{LIST}pause_all/", f"{LIST}resume_all/"


def test_a_timeline_is_paused_and_resumed(staff) -> None:
    trip, client = Trip.start("Ada"), staff("view", "pause")
    text = text_of(client, page_of(trip))
    assert f'action="{verb_of("pause", trip)}"' in text
    assert "/resume/" not in text

    said = text_of(client, verb_of("pause", trip))
    assert "These stay due: Book flight." in said
    assert post(client, verb_of("pause", trip), reason="the airline is down") == "The timeline is paused."
    assert drain() == 0

    text = text_of(client, page_of(trip))
    assert "timelines-paused" in text
    assert "<div>reason: the airline is down</div>" in text
    assert "/pause/" not in text
    assert "These go on: Book flight." in text_of(client, verb_of("resume", trip))
    assert post(client, verb_of("resume", trip), reason="") == "The timeline is resumed."
    drain()
    assert Trip.get(trip.pk).flight == "flight 1"


def test_a_second_pause_and_a_pause_of_what_has_ended_say_so(root: Client) -> None:
    letter, trip = Letter.start(to="Bob"), Trip.start("Ada")
    drain()
    trip.timeline.pause(reason="one")

    for url, status in (
        (verb_of("pause", trip), "paused"),
        (verb_of("pause", letter), "completed"),
        (verb_of("resume", letter), "completed"),
    ):
        assert confirm(root, url, reason="two") == f"Nothing was done: the timeline is {status}."
    assert types(trip, 1).count("Paused") == 1


def test_a_pause_does_not_mind_that_the_timeline_moved_on(root: Client) -> None:
    trip = Trip.start("Ada")
    fence = str(root.get(verb_of("pause", trip)).context["form"]["fence"].value())
    drain()

    assert confirm(root, verb_of("pause", trip), fence=fence, reason="now") == "The timeline is paused."


def test_the_list_finds_paused_timelines(root: Client) -> None:
    trip = Trip.start("Ada")
    a_parcel()
    trip.timeline.pause(reason="a moment")

    found = root.get(LIST, {"status": "paused"}).context["cl"].result_list

    assert [row.pk for row in found] == [trip.pk]


# Of everything, or of a workflow


def test_everything_is_paused_with_a_reason_shown_everywhere_and_resumed(staff) -> None:
    client, trip, parcel = staff("view", "pause"), Trip.start("Ada"), a_parcel()
    assert f'href="{PAUSE_ALL}"' in text_of(client, LIST)

    assert "This field is required." in client.post(PAUSE_ALL, {"workflow": "", "reason": " "}).content.decode()
    assert confirm(client, PAUSE_ALL, workflow="", reason="the bad day") == "Everything is paused."

    assert drain() == 0
    for url in (LIST, page_of(trip), page_of(parcel)):
        text = text_of(client, url)
        assert "Everything is paused since" in text
        assert "by ada." in text
        assert "the bad day" in text
        assert f'href="{RESUME_ALL}?workflow="' in text
    assert "the bad day" in text_of(client, RESUME_ALL)
    assert confirm(client, f"{RESUME_ALL}?workflow=", reason="it is over") == "Everything is resumed."
    assert not Pause.objects.exists()
    assert "is paused since" not in text_of(client, LIST)
    drain()
    assert Trip.get(trip.pk).flight == "flight 1"
    noted = LogEntry.objects.order_by("pk").values_list("object_repr", "change_message", "user__username")
    assert list(noted) == [("Everything", "the bad day", "ada"), ("Everything", "it is over", "ada")]


def test_one_workflow_is_paused_and_only_its_pages_say_so(root: Client) -> None:
    trip, parcel = Trip.start("Ada"), a_parcel()
    asked = root.get(PAUSE_ALL, {"workflow": "shop.Trip"})
    assert asked.context["form"]["workflow"].value() == "shop.Trip"

    assert confirm(root, PAUSE_ALL, workflow="shop.Trip", reason="no planes") == "Trip is paused."

    assert "Trip is paused since" in text_of(root, LIST)
    assert "Trip is paused since" in text_of(root, page_of(trip))
    assert "is paused since" not in text_of(root, page_of(parcel))
    assert confirm(root, f"{RESUME_ALL}?workflow=shop.Trip", reason="") == "Trip is resumed."


def test_a_renamed_workflow_that_is_paused_under_its_names_has_one_banner(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._aliases, "shop.Voyage", "shop.Trip")
    declaration = replace(registry.get("shop.Trip"), names=("shop.Trip", "shop.Voyage"))
    monkeypatch.setitem(registry._declarations, "shop.Trip", declaration)

    confirm(root, PAUSE_ALL, workflow="shop.Trip", reason="no planes")

    assert Pause.objects.count() == 2
    assert text_of(root, LIST).count("Trip is paused since") == 1
    assert confirm(root, f"{RESUME_ALL}?workflow=shop.Trip", reason="") == "Trip is resumed."
    assert not Pause.objects.exists()


def test_a_timeline_that_has_ended_has_no_banner(root: Client) -> None:
    letter = Letter.start(to="Bob")
    pause_all("the bad day")

    assert "is paused since" not in text_of(root, page_of(letter))


def test_without_the_permission_the_banner_is_there_and_no_way_to_end_it(staff) -> None:
    client, trip = staff("view", "retry"), Trip.start("Ada")
    pause_all("the bad day")

    for url in (LIST, page_of(trip)):
        text = text_of(client, url)
        assert "the bad day" in text
        assert "pause_all" not in text
        assert "resume_all" not in text
    for url in (PAUSE_ALL, RESUME_ALL, f"{RESUME_ALL}?workflow=shop.Trip"):
        assert client.get(url).status_code == 403
        assert client.post(url, {"reason": "because", "workflow": ""}).status_code == 403
    assert Pause.objects.count() == 1


def test_the_permission_to_pause_without_the_one_to_view_is_not_enough(staff) -> None:
    client = staff("pause")

    assert [client.get(url).status_code for url in (LIST, PAUSE_ALL, RESUME_ALL)] == [403] * 3


def test_a_second_pause_of_everything_changes_nothing_and_says_so(root: Client) -> None:
    pause_all("the first")

    assert confirm(root, PAUSE_ALL, workflow="", reason="the second") == (
        "Nothing was done: Everything is paused already."
    )
    assert Pause.objects.get().reason == "the first"
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("workflow", ["no.Such", "\x00", "é" * 500, "<script>alert(1)</script>", "shop.trip"])
def test_an_unknown_workflow_is_refused(root: Client, workflow: str) -> None:
    pause_all("the bad day")

    for url in (PAUSE_ALL, RESUME_ALL):
        response = root.get(url, {"workflow": workflow}, follow=True)
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()
    assert root.post(PAUSE_ALL, {"workflow": workflow, "reason": "why not"}).status_code == 200
    assert "Nothing was done" in str(
        root.get(RESUME_ALL, {"workflow": workflow}, follow=True).context["messages"]._loaded_data
    )
    assert Pause.objects.count() == 1


def test_the_reason_of_a_pause_is_shown_as_text(root: Client) -> None:
    pause_all("<script>alert(1)</script>")

    for url in (LIST, RESUME_ALL, page_of(Trip.start("Ada"))):
        assert "<script>alert" not in text_of(root, url)


# Of several


def ask(client: Client, action: str, *timelines: object, **more: str) -> object:
    return client.post(LIST, {"action": action, "_selected_action": [str(one.pk) for one in timelines], **more})


def test_several_are_paused_resumed_and_cancelled_with_one_reason(root: Client) -> None:
    trips, done = [Trip.start("Ada"), Trip.start("Bob")], Letter.start(to="Bob")
    drain()

    text = ask(root, "pause_selected", *trips, done).content.decode()
    assert "Pause 2 timelines?" in text
    assert "These are left as they are:" in text
    assert [Trip.get(trip.pk).timeline.status for trip in trips] == ["waiting", "waiting"]
    again = ask(root, "pause_selected", *trips, confirmed="yes", reason=" ").content.decode()
    assert "This field is required." in again

    for action, reason, status in (
        ("pause_selected", "no planes", "paused"),
        ("resume_selected", "", "waiting"),
        ("cancel_selected", "ill", "cancelled"),
    ):
        assert ask(root, action, *trips, confirmed="yes", reason=reason).status_code == 302
        drain()
        assert [Trip.get(trip.pk).timeline.status for trip in trips] == [status] * 2
    paused = trips[0].timeline.events.get(type="Paused")
    assert (paused.data["reason"], paused.actor_label) == ("no planes", "grace")


@pytest.mark.parametrize(("verb", "action"), [("pause", "pause_selected"), ("cancel", "cancel_selected")])
def test_each_needs_its_permission(staff, verb: str, action: str) -> None:
    trip = Trip.start("Ada")

    others = {"retry", "cancel", "pause"} - {verb}
    for name, verbs in (("ada", ["view"]), ("bob", ["view", *others])):
        client = staff(*verbs, name=name)
        assert f'value="{action}"' not in text_of(client, LIST)
        ask(client, action, trip, confirmed="yes", reason="because")
    assert Trip.get(trip.pk).timeline.head == trip.timeline.head

    client = staff("view", verb, name="eve")
    assert f'value="{action}"' in text_of(client, LIST)
    ask(client, action, trip, confirmed="yes", reason="because")
    assert Trip.get(trip.pk).timeline.head > trip.timeline.head


def test_what_is_blocked_is_retried_on_several_at_once(root: Client) -> None:
    parcels, trip = [a_parcel("The scales are broken."), a_parcel("So are these.")], at_home()

    text = ask(root, "retry_blocked_selected", *parcels, trip).content.decode()
    assert "Retry what is blocked on 2 timelines?" in text
    assert "These are left as they are:" in text
    ask(root, "retry_blocked_selected", *parcels, trip, confirmed="yes", reason="new scales")

    events = [parcel.timeline.events.filter(type="StepDue").latest("sequence") for parcel in parcels]
    assert [(event.step, event.data["reason"], event.actor_label) for event in events] == [
        ("weigh", "new scales", "grace")
    ] * 2
    assert Trip.get(trip.pk).timeline.status == "waiting"


def test_a_garbled_mark_of_what_was_seen_harms_nothing(root: Client) -> None:
    parcel = a_parcel("The scales are broken.")

    response = ask(root, "retry_blocked_selected", parcel, confirmed="yes", reason="new scales", fence="x")

    assert response.status_code == 302
    assert Parcel.get(parcel.pk).weigh.status == "due"


def test_what_was_not_ticked_is_not_touched(root: Client) -> None:
    trip, other = Trip.start("Ada"), Trip.start("Bob")

    ask(root, "pause_selected", trip, confirmed="yes", reason="one", select_across="1")

    assert (Trip.get(trip.pk).timeline.status, Trip.get(other.pk).timeline.status) == ("paused", "running")


def test_hostile_ticks_do_nothing(root: Client) -> None:
    trip = at_home()
    ticks = ["x", "\x00", "1", "9" * 500]

    response = root.post(LIST, {"action": "cancel_selected", "_selected_action": ticks}, follow=True)

    assert response.status_code == 200
    assert Trip.get(trip.pk).timeline.status == "waiting"


def test_a_parcel_that_was_cancelled_meanwhile_is_left_alone(root: Client) -> None:
    trip, parcel = at_home(), a_parcel()
    parcel.timeline.cancel(reason="gone")

    response = root.post(
        LIST,
        {
            "action": "cancel_selected",
            "_selected_action": [str(trip.pk), str(parcel.pk)],
            "confirmed": "yes",
            "reason": "ill",
        },
        follow=True,
    )

    said = sorted(str(message).partition(": ")[2] for message in response.context["messages"])
    assert said == ["Nothing was done: the timeline is cancelled.", "The timeline is cancelled."]
    assert Parcel.get(parcel.pk).timeline.status == "cancelled"
