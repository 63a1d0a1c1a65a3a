"""What the page tells of rounds, corrections, pauses, undone steps and attempts that were superseded."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from django_timelines.actors import SYSTEM
from django_timelines.admin.notes import notes_of
from django_timelines.engine import clock
from django_timelines.engine.advance import advance
from django_timelines.engine.advanced import By
from django_timelines.engine.runner import commit, load
from django_timelines.events import EventType, NewEvent
from django_timelines.models import Event
from django_timelines.outline import outline
from django_timelines.testing import crash_at, drain, travel
from tests.shop.here import HERE
from tests.shop.workflows import Trip, plan, ran

from .conftest import at_home, confirm, page_of, text_of, verb_of

pytestmark = pytest.mark.django_db(transaction=True)


def event_of(client: Client, trip: Trip, type: str, nth: int = 0) -> str:
    """Return the words of an event's row."""
    event = list(Event.objects.filter(timeline=trip.pk, type=type).order_by("sequence"))[nth]
    row = text_of(client, page_of(trip)).partition(f'<tr id="event-{event.sequence}"')[2].partition("</tr>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", row.partition(">")[2]).split())


def step_of(client: Client, trip: Trip, title: str) -> str:
    row = text_of(client, page_of(trip)).partition(f'<th scope="row">{title}')[2].partition("</tr>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", row.partition(">")[2]).split())


def test_a_round_says_where_it_began_what_is_undone_and_what_was_withdrawn(root: Client) -> None:
    trip = at_home()
    trip.timeline.rewind(to="book_flight", reason="another week", undo=True)
    drain()

    told = event_of(root, trip, "RoundBegun")

    assert "flight : flight 1 → became not set" in told
    assert "from: Book flight, round 2" in told
    assert "undone first: Book hotel, round 1, Book flight, round 1" in told
    assert "withdrawn: Come home" in told
    assert "reason: another week" in told
    assert "kept" not in told
    assert "undoes: Book hotel" in event_of(root, trip, "StepUndone")


def test_a_step_in_its_second_round_says_so(root: Client) -> None:
    trip = at_home()
    trip.timeline.rewind(to="book_hotel", reason="another one", undo=True)
    drain()

    assert "round 2" in step_of(root, trip, "Book hotel")
    assert "round" not in step_of(root, trip, "Book flight")
    assert "undoes “Book hotel, round 1”" in step_of(root, trip, "Give back hotel")
    words = {line.name: line.word for line in outline(Trip.get(trip.pk).timeline).lines}
    assert words["book_hotel"] == "completed, round 2"
    assert words["book_flight"] == "completed"


def test_what_was_undone_says_so_and_what_undid_it_is_shown(root: Client) -> None:
    trip = at_home()
    assert "Give back" not in text_of(root, page_of(trip))

    trip.timeline.cancel(reason="ill", compensate=True)
    drain()

    assert step_of(root, trip, "Book hotel").startswith("Undone")
    assert step_of(root, trip, "Give back hotel").startswith("Completed")
    assert step_of(root, trip, "Travel").startswith("Completed")
    assert "ended with it: Come home what completed is undone" in event_of(root, trip, "CancelRequested")
    lines = {line.name: line for line in outline(Trip.get(trip.pk).timeline).lines}
    assert (lines["book_hotel"].word, lines["book_hotel"].css) == ("undone", "cancelled")
    assert (lines["travel"].word, lines["travel"].css) == ("completed", "completed")


def test_a_correction_says_what_it_changed(root: Client) -> None:
    trip = at_home()
    trip.timeline.amend(reason="mistyped", nights=3)

    assert "nights : 1 → became 3 reason: mistyped" in event_of(root, trip, "Amended")


def test_names_that_the_code_changed_are_told_as_such() -> None:
    event = Event(
        type="Amended",
        data={
            "changes": {},
            "renamed": {"steps": {"fly": "book_flight"}, "fields": {"days": "nights"}},
            "reason": "renamed in the code",
        },
    )

    assert list(notes_of(event)) == [("renamed in the code", "fly → book flight, days → nights")]


def test_a_result_that_came_too_late_is_told_in_words(root: Client) -> None:
    trip = Trip.start("Ada")

    def supersede(workflow: Trip) -> None:
        if ran["book_flight"] == 1:
            Trip.get(trip.pk).book_flight.retry(force=True, reason="it hangs")

    plan["book_flight"] = supersede
    drain()

    told = event_of(root, trip, "AttemptInterrupted")
    assert "it completed too late: the step had been taken from it, and nothing of it was applied" in told
    assert "kept back: flight : flight 1" in told
    assert "superseded" not in told
    assert "attempt 1" in told
    assert re.search(r"tried again by embedded@\S+: it hangs", text_of(root, page_of(trip)))


def test_an_attempt_whose_process_went_away_is_told_with_its_step_and_in_its_event(root: Client) -> None:
    trip = Trip.start("Ada")
    with crash_at("after body", "book_flight"):
        drain()
    with travel(timedelta(seconds=61)):
        clock.tick(HERE)

    told = event_of(root, trip, "AttemptInterrupted")
    assert "The process that executed it went away." in told
    assert "reason" not in told
    why = text_of(root, page_of(trip)).partition('<tr class="timelines-why">')[2].partition("</tr>")[0]
    assert "The process that executed it went away." in why


def test_a_late_result_is_not_the_end_of_the_attempt_that_took_its_place(root: Client) -> None:
    trip = Trip.start("Ada")
    seen: list[str] = []

    def superseded(workflow: Trip) -> None:
        data = {"superseded": True, "outcome": "failed"}
        late = NewEvent(EventType.ATTEMPT_INTERRUPTED, "book_flight", data=data, attempt=1)
        commit(advance(None, load(trip.pk, trip.timeline.using), [late], By(SYSTEM)))
        seen.append(step_of(root, trip, "Book flight"))

    plan["book_flight"] = superseded
    drain()

    assert re.match(r"Running 1 of 2 \S \S embedded ", seen[0])  # no time, no duration
    assert "it failed too late" in event_of(root, trip, "AttemptInterrupted")


# Retry by force


def test_a_step_that_is_being_executed_is_retried_by_force_after_a_warning(root: Client) -> None:
    trip = Trip.start("Ada")
    url = verb_of("retry", trip, "book_flight")
    said: list[str] = []

    def ask(workflow: Trip) -> None:
        if ran["book_flight"] > 1:
            return
        said.append(text_of(root, url))
        fence = str(root.get(url).context["form"]["fence"].value())
        said.append(root.post(url, {"reason": "it hangs", "fence": fence}).content.decode())
        said.append(confirm(root, url, fence=fence, reason="it hangs", force="on"))

    plan["book_flight"] = ask
    drain()

    asked, again, done = said
    assert "Attempt 1 is being executed. Wait for its end, if you can." in asked
    assert "It is held by" in asked
    assert "What it does outside may happen twice." in asked
    assert "attempt 2" in asked
    assert "This field is required." in again
    assert done == "“Book flight” is tried again. It is due now."
    assert (Trip.get(trip.pk).flight, ran["book_flight"]) == ("flight 2", 2)


def test_a_page_from_before_the_attempt_began_forces_nothing(root: Client) -> None:
    trip = Trip.start("Ada")
    url = verb_of("retry", trip, "book_flight")
    said: list[str] = []

    plan["book_flight"] = lambda workflow: said.append(confirm(root, url, fence="3", reason="it hangs", force="on"))
    drain()

    assert said == ["Nothing was done: “Book flight” has moved on since you saw it. It is running now."]
    assert ran["book_flight"] == 1
