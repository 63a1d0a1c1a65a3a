"""``timelines pause | resume``: one timeline, one workflow, or everything; and whoever looks is told."""

from __future__ import annotations

import pytest
from django.core.management import CommandError

from django_timelines.models import Event, Pause
from django_timelines.testing import drain
from tests.shop.factories import OrderFactory
from tests.shop.here import HERE
from tests.shop.workflows import Order, Trip, ran

from .conftest import type_ask, type_say

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_timeline_is_paused_and_resumed(ask: type_ask) -> None:
    order = Order.start(customer="Ada")

    assert ask("pause", str(order.pk), "--reason", "wait for Bob")["status"] == "paused"
    drain()
    assert ran["pack"] == 0
    assert ask("resume", str(order.pk))["status"] == "running"
    drain()

    assert ran["pack"] == 1
    paused = Event.objects.get(timeline=order.pk, type="Paused")
    assert (paused.data, paused.actor_label) == ({"reason": "wait for Bob"}, "timelines")


def test_explain_says_who_paused_a_timeline_and_why_and_a_second_time_changes_nothing(
    ask: type_ask, say: type_say
) -> None:
    order = Order.start("book")

    assert ask("pause", str(order.pk), "--reason", "wait for Bob")["changed"]
    said = say("explain", str(order.pk))
    assert "The timeline is paused since " in said
    assert "by timelines: wait for Bob. Resume it." in said

    assert say("pause", str(order.pk), "--reason", "wait for Eve").startswith("It was paused already.\n")
    assert not ask("pause", str(order.pk), "--reason", "wait for Eve")["changed"]
    assert ask("resume", str(order.pk), "--reason", "Bob is here")["changed"]
    assert say("resume", str(order.pk)).startswith("It was not paused.\n")
    events = Event.objects.filter(timeline=order.pk, type__in=("Paused", "Resumed")).order_by("sequence")
    assert [event.data["reason"] for event in events] == ["wait for Bob", "Bob is here"]


def test_a_step_of_a_paused_timeline_is_not_said_to_be_due_where_who_paused_it_stood(ask: type_ask) -> None:
    order = Order.start(customer="Ada")

    ask("pause", str(order.pk), "--reason", "wait for Bob")

    reasons = ask("explain", str(order.pk))["reasons"]
    assert [reason["sentence"] for reason in reasons if reason["step"] == "pack"] == ["“pack” is due."]


def test_the_log_says_who_paused_and_resumed_everything_and_why(
    say: type_say, caplog: pytest.LogCaptureFixture
) -> None:
    say("pause", "--reason", "the bad day")
    say("pause", "--reason", "another")
    say("resume", "--reason", "the bank is back")
    say("resume")

    assert caplog.messages == [
        "Everything is paused by timelines: the bad day",
        "Everything is resumed by timelines: the bank is back",
    ]


def test_everything_is_paused_and_resumed(ask: type_ask, say: type_say) -> None:
    order = Order.start(customer="Ada")

    answer = ask("pause", "--reason", "the bad day")
    drain()

    assert answer["changed"] is True
    assert [{**pause, "since": ""} for pause in answer["paused"]] == [
        {"workflow": None, "reason": "the bad day", "by": "timelines", "since": ""}
    ]
    assert ran["pack"] == 0
    assert say("resume") == "Everything goes on.\n"
    drain()
    assert Order.get(order.pk).pack.status == "completed"


def test_one_workflow_is_paused_and_resumed(ask: type_ask, say: type_say) -> None:
    Order.start(customer="Ada")
    trip = Trip.start("Grace")

    assert say("pause", "--workflow", "shop.Order", "--reason", "no parcels").startswith("shop.Order is paused now.\n")
    drain()
    assert (ran["pack"], Trip.get(trip.pk).book_hotel.status) == (0, "completed")

    assert ask("resume", "--workflow", "shop.Order") == {"changed": True, "paused": []}
    drain()
    assert ran["pack"] == 1


def test_who_pauses_twice_is_told_why_it_is_paused_and_who_resumes_what_is_still(say: type_say) -> None:
    say("pause", "--reason", "the bad day")
    say("pause", "--workflow", "shop.Order", "--reason", "no parcels")

    again = say("pause", "--reason", "another").splitlines()
    resumed, not_paused = say("resume").splitlines(), say("resume").splitlines()

    assert again[0] == "Everything was paused already."
    assert again[1].startswith("Everything is paused since ")
    assert again[1].endswith(" by timelines: the bad day")
    assert (resumed[0], not_paused[0]) == ("Everything goes on.", "Everything was not paused.")
    assert resumed[1].startswith("shop.Order is paused since ")
    assert Pause.objects.using(HERE).get().reason == "no parcels"


def test_a_list_says_that_everything_is_paused(ask: type_ask, say: type_say) -> None:
    OrderFactory(upto="pay")
    say("pause", "--reason", "the bad\nday")

    assert say("list").splitlines()[-1].endswith(" by timelines: the bad day")
    assert [pause["reason"] for pause in ask("list")["paused"]] == ["the bad\nday"]
    say("resume")
    assert ask("list")["paused"] == []


def test_explain_says_that_everything_is_paused_once(ask: type_ask, say: type_say) -> None:
    due, waiting = Order.start(customer="Ada"), Trip.start("Ada")
    drain()
    due = Order.start(customer="Grace")
    say("pause", "--reason", "the bad day")

    assert say("explain", str(due.pk)).count("the bad day") == 1
    assert say("explain", str(waiting.pk)).count("the bad day") == 1
    assert [pause["workflow"] for pause in ask("explain", str(waiting.pk))["paused"]] == [None]
    say("resume")
    say("pause", "--workflow", "shop.Order", "--reason", "no parcels")
    assert "no parcels" in say("explain", str(due.pk))
    assert "no parcels" not in say("explain", str(waiting.pk))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pause"], "arguments are required: --reason"),
        (["pause", "--reason", " "], "Say why everything is paused"),
        (["pause", "--workflow", "shop.Odrer", "--reason", "x"], "There is no workflow 'shop.Odrer' in the code"),
        (["resume", "--workflow", "shop.Odrer"], "There is no workflow 'shop.Odrer' in the code"),
        (["pause", "--key", "--reason", "x"], "argument --key: say which"),
        (["pause", "01", "--workflow", "shop.Order", "--reason", "x"], "argument --workflow: "),
        (["resume", "01"], "There is no timeline whose id begins with '01'"),
    ],
    ids=lambda words: words if isinstance(words, str) else " ".join(words),
)
def test_a_half_said_pause_pauses_nothing(say: type_say, words: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        say(*words)

    assert not Pause.objects.using(HERE).exists()
