"""``timelines amend | rewind``, ``cancel --compensate`` and ``retry --force``: what changes what was."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.core.management import CommandError

from django_timelines.actors import SYSTEM
from django_timelines.engine.claim import claim
from django_timelines.engine.runner import Runner
from django_timelines.models import Event, Run
from django_timelines.testing import drain
from tests.admin.conftest import somebody_is_first
from tests.contract.test_7_verbs import SECOND
from tests.shop.factories import OrderFactory
from tests.shop.here import HERE
from tests.shop.workflows import Order, Trip, given_back

from .conftest import type_ask, type_at_terminal, type_say

pytestmark = pytest.mark.django_db(databases="__all__")
type_typed = Callable[..., tuple[int, str, str]]


def a_booked_trip() -> Trip:
    trip = Trip.start("Ada")
    drain()
    return Trip.get(trip.pk)


def rounds_of(trip: Trip) -> list[Event]:
    return list(Event.objects.filter(timeline=trip.pk, type="RoundBegun"))


def test_amend_corrects_fields_given_as_json_or_as_text(ask: type_ask) -> None:
    order = OrderFactory(upto="pay")

    answer = ask("amend", str(order.pk), "--reason", "misheard", "--set", "amount=7", "--set", "customer=Eve")

    assert (answer["fields"], answer["status"]) == ({"amount": 7, "customer": "Eve"}, "waiting")
    order = Order.get(order.pk)
    assert (order.amount, order.customer) == (7, "Eve")
    event = Event.objects.filter(timeline=order.pk).latest("sequence")
    assert (event.type, event.data) == (
        "Amended",
        {"reason": "misheard", "changes": {"amount": 7, "customer": "Eve"}},
    )


def test_what_fits_a_field_only_as_text_is_taken_as_text(ask: type_ask) -> None:
    order = OrderFactory(upto="pay")

    answer = ask("amend", str(order.pk), "--reason", "a number", "--set", "customer=4711")

    assert answer["fields"] == {"customer": "4711"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--reason", "x", "--set", "amount=" + "[" * 100_000], "amount: Input should be a valid integer"),
        (["--reason", "x"], "arguments are required: --set"),
        (["--set", "amount=7"], "arguments are required: --reason"),
        (["--reason", " ", "--set", "amount=7"], "Say why the fields are corrected"),
        (["--reason", "x", "--set", "amount=much"], "amount: Input should be a valid integer"),
        (["--reason", "x", "--set", "amuont=7"], "amuont: shop.Order has no such field"),
    ],
    ids=lambda words: words if isinstance(words, str) else " ".join(words)[:60],
)
def test_amend_without_fields_or_reason_or_with_wrong_ones_writes_nothing(
    say: type_say, words: list[str], says: str
) -> None:
    order = OrderFactory(upto="pay")

    with pytest.raises(CommandError, match=says):
        say("amend", str(order.pk), *words)

    assert Order.get(order.pk).timeline.head == 11


def test_rewind_says_what_it_will_do_and_does_it_when_told_to_go_on(at_terminal: type_at_terminal) -> None:
    trip = a_booked_trip()

    seen = at_terminal("rewind", str(trip.pk), "--to", "book_hotel", "--reason", "full", "--undo", types="y\n")

    assert seen.splitlines()[:5] == [
        f"shop.Trip {trip.pk} begins a new round from book_hotel:",
        "  undone first  book_hotel",
        "  done again    book_hotel",
        "  unset again   hotel",
        f"Go on? [y/N] shop.Trip {trip.pk} is running.",
    ]
    assert [event.data["reason"] for event in rounds_of(trip)] == ["full"]
    drain()
    assert [what for what, _key in given_back] == ["hotel 1, 1 nights"]
    assert Trip.get(trip.pk).hotel == "hotel 2, 1 nights"


@pytest.mark.parametrize("typed", ["n\n", "\n", "", "what?\n"])
def test_rewind_does_nothing_for_anything_but_yes(at_terminal: type_at_terminal, typed: str) -> None:
    trip = a_booked_trip()

    seen = at_terminal("rewind", str(trip.pk), "--to", "book_hotel", "--reason", "full", types=typed)

    assert seen.endswith("Go on? [y/N] Nothing was done.\n")
    assert rounds_of(trip) == []


def test_rewind_does_what_it_showed_or_nothing(at_terminal: type_at_terminal) -> None:
    trip = a_booked_trip()

    seen = at_terminal(
        *("rewind", str(trip.pk), "--to", "book_hotel", "--reason", "full", "--undo"),
        types="y\n",
        meanwhile=lambda: Trip.get(trip.pk).choose("vegan"),
    )

    assert seen.splitlines()[-1] == (
        "Go on? [y/N] Nothing was done: the timeline has moved on since it was looked at. Look again, and then go on."
    )
    assert rounds_of(trip) == []
    assert Trip.get(trip.pk).choose.status == "completed"


def test_rewind_answers_with_what_it_did_also_if_somebody_is_first(ask: type_ask) -> None:
    trip = a_booked_trip()
    words = ("rewind", str(trip.pk), "--to", "book_hotel", "--reason", "full", "--yes")

    with (
        somebody_is_first(lambda: Trip.get(trip.pk).timeline.amend(reason="longer", nights=3)),
        pytest.raises(CommandError, match="has moved on since it was looked at"),
    ):
        ask(*words)
    assert rounds_of(trip) == []

    assert ask(*words)["rewind"]["unset"] == ["hotel"]
    assert len(rounds_of(trip)) == 1


def test_rewind_where_nobody_can_be_asked_wants_a_yes(ask: type_ask, say: type_say) -> None:
    trip = a_booked_trip()
    words = ("rewind", str(trip.pk), "--to", "plan_it", "--reason", "another flight")

    with pytest.raises(CommandError, match="Nobody is there to be asked: add --yes"):
        say(*words)
    assert rounds_of(trip) == []

    answer = ask(*words, "--yes")
    assert answer["rewind"] == {
        "to": "plan_it",
        "again": ["plan_it", "book_flight", "book_hotel", "choose"],
        "undo": [],
        "fields": {},
        "unset": ["guest", "flight", "hotel"],
        "withdrawn": ["choose"],
    }
    assert len(rounds_of(trip)) == 1


def test_a_dry_run_of_rewind_needs_no_reason_and_writes_nothing(ask: type_ask, say: type_say) -> None:
    trip = a_booked_trip()
    Trip.get(trip.pk).timeline.amend(reason="longer", nights=3)
    words = ("rewind", str(trip.pk), "--to", "book_flight", "--undo", "--dry-run")

    said, answer = say(*words), ask(*words)

    assert said.splitlines()[1:] == [
        "  undone first  book_hotel, book_flight",
        "  done again    book_flight, book_hotel",
        "  unset again   flight, hotel",
        "Nothing was done.",
    ]
    assert (answer["timeline"], answer["rewind"]["undo"]) == (str(trip.pk), ["book_hotel@1", "book_flight@1"])
    assert rounds_of(trip) == []
    with pytest.raises(CommandError, match="arguments are required: --reason"):
        say(*words[:-1])


def test_rewind_says_what_fields_go_back_to(say: type_say) -> None:
    trip = a_booked_trip()
    trip.choose("vegan")
    drain()

    said = say("rewind", str(trip.pk), "--to", "choose", "--dry-run")

    assert "  goes back to  menu = \n" in said or "  goes back to  menu =\n" in said
    assert "  ends with it  come_home\n" in said


def test_rewind_to_what_was_never_begun_is_refused(say: type_say) -> None:
    trip = a_booked_trip()

    with pytest.raises(CommandError, match="“come home” was never begun"):
        say("rewind", str(trip.pk), "--to", "come_home", "--dry-run")


def test_cancel_undoes_what_completed_if_it_is_told_to(ask: type_ask) -> None:
    trip = a_booked_trip()

    answer = ask("cancel", str(trip.pk), "--reason", "ill", "--compensate")
    drain()

    assert answer["status"] == "cancelling"
    assert [what for what, _key in given_back] == ["hotel 1, 1 nights", "flight 1"]
    assert Trip.get(trip.pk).timeline.status == "cancelled"


def test_retry_goes_over_a_running_attempt_only_by_force(ask: type_ask, say: type_say) -> None:
    order = Order.start(customer="Ada")
    run = Run.objects.get(timeline=order.pk)
    assert claim(order.pk, ("pack", ""), run.fence, Runner(SYSTEM, "rq:default", HERE))

    with pytest.raises(CommandError, match="retry it with force"):
        say("retry", str(order.pk), "pack")
    answer = ask("retry", str(order.pk), "pack", "--force", "--reason", "it hangs")

    assert (answer["outcome"], answer["status"]) == ("due", "running")
    assert Event.objects.filter(timeline=order.pk).latest("sequence").data == {"reason": "it hangs"}


@pytest.mark.django_db(transaction=True, databases="__all__")  # the command closes its connections
@SECOND
def test_a_second_one_while_the_first_is_under_way_is_refused(
    first: str, second: str, reason: str, said: str, type_in: type_typed
) -> None:
    trip = a_booked_trip()
    words = {
        "cancel": ("cancel", str(trip.pk), "--reason", "ill", "--compensate"),
        "rewind": ("rewind", str(trip.pk), "--to", "book_flight", "--reason", "full", "--undo", "--yes"),
    }
    assert type_in(*words[first])[0] == 0
    head = Trip.get(trip.pk).timeline.head

    assert type_in(*words[second]) == (1, "", f"{said}\n")
    code, _said, complained = type_in(*words[second], "--json")

    assert (code, json.loads(complained)) == (1, {"error": said, "reason": reason})
    assert Trip.get(trip.pk).timeline.head == head
