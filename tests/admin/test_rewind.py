"""Rewind and cancel with compensation from the admin: what will happen is said first."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from django_timelines.exceptions import PermanentFailure
from django_timelines.models import Event
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import Workflow
from tests.shop.workflows import Bill, Order, Supper, Trip, given_back, plan, ran

from .conftest import at_home, confirm, page_of, post, somebody_is_first, text_of, types, verb_of

pytestmark = pytest.mark.django_db(transaction=True)


def rewind_of(trip: Workflow, to: str) -> str:
    return f"{verb_of('rewind', trip)}?to={to}"


def words(html: str) -> str:
    """Return the text of a page's main part, without its marks."""
    main = html.partition('<div class="timelines-admin">')[2]
    return " ".join(re.sub(r"<[^>]+>", " ", main).replace("&quot;", '"').split())


def test_each_step_that_was_begun_has_a_way_to_rewind_to_it(staff) -> None:
    trip = at_home()

    text = text_of(staff("view", "rewind"), page_of(trip))

    for step in ("plan_it", "book_flight", "book_hotel", "choose", "travel", "come_home"):
        assert f'href="{rewind_of(trip, step)}"' in text
    assert "give_back" not in text
    assert "/rewind/" not in text_of(staff("view", "retry", name="bob"), page_of(trip))


def test_without_a_step_it_asks_for_one(root: Client) -> None:
    trip = Trip.start("Ada")

    text = text_of(root, verb_of("rewind", trip))

    assert 'name="to" value="plan_it"' in text
    assert 'value="book_flight"' in text
    assert 'value="travel"' not in text
    assert root.post(verb_of("rewind", trip), {"reason": "because"}).status_code == 200
    assert types(trip, trip.timeline.head) == []


def test_the_page_says_what_is_done_again_undone_withdrawn_and_set_back(root: Client) -> None:
    trip = at_home()

    said = words(text_of(root, rewind_of(trip, "book_flight")))

    assert "Done again: Book flight, Book hotel, Travel, Come home." in said
    assert "Withdrawn, as it is open now: Come home." in said
    assert "These have no undo, so what they did stays: Travel." in said
    assert "flight : flight 1 → became not set" in said
    assert "hotel : hotel 1, 1 nights → became not set" in said
    assert "Undo first what these steps did, the last completed first Book hotel Book flight" in said
    assert "menu" not in said
    assert types(trip, trip.timeline.head) == []


def test_what_another_timeline_did_does_not_stay_if_that_is_undone(root: Client) -> None:
    supper = Supper.start("Ada", ["cake"])
    drain()
    Bill.get(supper.timeline.children.get(workflow="shop.Bill").pk).tip(amount=1)
    drain()

    said = words(text_of(root, rewind_of(supper, "bill")))

    assert "Undo first what these steps did, the last completed first Bill" in said
    assert "have no undo" not in said


@pytest.mark.parametrize("verb", ["rewind", "cancel"])
@pytest.mark.parametrize("undo", ["", "on"])
def test_what_a_timeline_that_a_step_began_has_done_so_far_is_undone_if_the_person_says_so(
    root: Client, verb: str, undo: str
) -> None:
    supper = Supper.start("Ada", [])
    drain()
    bill = supper.timeline.children.get().pk
    assert Bill.get(bill).tip.status == "waiting"
    url, choice = (
        (rewind_of(supper, "sit_down"), "undo") if verb == "rewind" else (verb_of("cancel", supper), "compensate")
    )

    said = words(text_of(root, url))
    post(root, url, reason="he is ill", **({choice: undo} if undo else {}))
    drain()

    if verb == "rewind":
        assert (
            "These have begun timelines, which are cancelled, and undo what they did if you have that undone: Bill."
            in said
        )
        assert "none of them has something to undo" not in said
    assert (Bill.get(bill).timeline.status, ran["refund"]) == ("cancelled", bool(undo))


def test_a_step_with_parameters_will_wait_for_its_call(root: Client) -> None:
    said = words(text_of(root, rewind_of(at_home(), "choose")))

    assert "“Choose” then waits for its call again." in said
    assert "What the steps wrote elsewhere stays: none of them has something to undo." in said
    assert "menu : vegan → became “”" in said
    assert "Undo first" not in said


def test_rewind_undoes_only_if_the_person_says_so(root: Client) -> None:
    trip = at_home()

    message = post(root, rewind_of(trip, "book_hotel"), reason="the wrong week")
    drain()

    assert message == "The timeline is rewound: a new round begins from “Book hotel”."
    begun = trip.timeline.events.get(type="RoundBegun")
    assert (begun.data["reason"], begun.data["undo"], begun.actor_label) == ("the wrong week", [], "grace")
    assert (given_back, Trip.get(trip.pk).hotel) == ([], "hotel 2, 1 nights")

    said = words(text_of(root, rewind_of(trip, "book_flight")))
    assert "Book hotel, round 2 Book flight" in said  # what an earlier round did is for a cancel to undo
    post(root, rewind_of(trip, "book_flight"), reason="another airline", undo="on")
    drain()

    assert [booking for booking, _key in given_back] == ["hotel 2, 1 nights", "flight 1"]


def test_a_rewind_of_a_timeline_that_moved_on_is_asked_again_with_what_was_typed(root: Client) -> None:
    trip = at_home()
    url = rewind_of(trip, "book_hotel")
    old = str(root.get(url).context["form"]["fence"].value())
    trip.timeline.amend(reason="mistyped", hotel="the other one")
    head = Trip.get(trip.pk).timeline.head

    response = root.post(url, {"fence": old, "reason": "the wrong week", "undo": "on"})

    said = words(response.content.decode())
    assert "hotel : the other one → became not set" not in said  # an amended field stays
    assert [str(message) for message in response.context["messages"]] == [
        "Nothing was done: the timeline has moved on since you saw it. This would happen now."
    ]
    form = response.context["form"]
    assert (form["reason"].value(), form["undo"].value()) == ("the wrong week", True)
    assert types(trip, head) == []

    confirm(root, url, fence=str(form["fence"].value()), reason="the wrong week")
    assert types(trip, head)[0] == "RoundBegun"


def test_what_changes_nothing_of_what_was_seen_is_no_reason_to_ask_again(root: Client) -> None:
    trip = at_home()
    url = rewind_of(trip, "book_hotel")
    old = str(root.get(url).context["form"]["fence"].value())
    trip.timeline.pause(reason="a moment")

    assert confirm(root, url, fence=old, reason="the wrong week") == (
        "The timeline is rewound: a new round begins from “Book hotel”."
    )


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("nowhere", "There is no step"),
        ("give_back_hotel", "undoes a step"),
        ("come_home", "never begun"),
        ("%00", ""),
        ("[", ""),
        ("é" * 900, ""),
        ("book_flight@1", ""),
        ("<script>alert(1)</script>", ""),
    ],
)
def test_a_step_that_cannot_be_rewound_to_is_refused_with_a_sentence(root: Client, to: str, said: str) -> None:
    trip = Trip.start("Ada")

    for response in (root.get(rewind_of(trip, to), follow=True), root.post(rewind_of(trip, to), follow=True)):
        assert response.redirect_chain == [(page_of(trip), 302)]
        [message] = response.context["messages"]
        assert said.replace("There is no step", "has no step") in str(message)
        assert "<script>alert" not in response.content.decode()
    assert types(trip, trip.timeline.head) == []


def test_a_reason_is_needed(root: Client) -> None:
    trip = at_home()
    url = rewind_of(trip, "book_hotel")
    fence = root.get(url).context["form"]["fence"].value()

    response = root.post(url, {"reason": " ", "fence": fence, "undo": "on"})

    assert "This field is required." in response.content.decode()
    assert response.context["form"]["undo"].value() is True
    assert types(trip, trip.timeline.head) == []


def test_a_blocked_undo_is_shown_with_what_it_undoes_and_can_be_retried_or_skipped(root: Client) -> None:
    def too_late(trip: Trip) -> None:
        raise PermanentFailure("too late")

    trip = at_home()
    plan["give_back_hotel"] = too_late
    with recorded_errors():
        trip.timeline.cancel(reason="ill", compensate=True)
        drain()

    text = text_of(root, page_of(trip))
    row = text.partition(">Give back hotel<")[2].partition("</tr>")[0]
    assert "undoes “Book hotel”" in row
    assert "/retry/give_back_hotel/" in row
    assert "Give back flight" not in text

    assert "These steps follow: Give back flight." in text_of(root, verb_of("skip", trip, "give_back_hotel"))
    post(root, verb_of("skip", trip, "give_back_hotel"), reason="paid by us")
    drain()

    text = text_of(root, page_of(trip))
    assert text.count("timelines-undone") == 2
    assert "Step undone" in text
    assert Trip.get(trip.pk).timeline.status == "cancelled"


# Cancel with compensation


def test_cancel_lists_what_can_be_undone_in_its_order_and_undoes_it_if_asked(root: Client) -> None:
    trip = at_home()
    post(root, rewind_of(trip, "book_hotel"), reason="another one")
    drain()
    url = verb_of("cancel", trip)

    said = words(text_of(root, url))
    assert "What is done stays done, unless you have it undone." in said
    assert (
        "Then undo what completed, the last completed first Book hotel, round 2 Book hotel, round 1 Book flight" in said
    )
    assert post(root, url, reason="ill", compensate="on") == (
        "The timeline is being cancelled; what completed is undone."
    )
    drain()

    assert [booking for booking, _key in given_back] == ["hotel 2, 1 nights", "hotel 1, 1 nights", "flight 1"]
    assert Event.objects.get(timeline=trip.pk, type="CancelRequested").data["compensate"] is True


def test_cancel_leaves_what_is_done_unless_asked(root: Client) -> None:
    trip = at_home()

    assert post(root, verb_of("cancel", trip), reason="ill") == "The timeline is cancelled."
    drain()

    assert given_back == []


def test_cancel_offers_no_undo_where_nothing_has_one(root: Client) -> None:
    order = Order.start(customer="Bob")

    assert "compensate" not in text_of(root, verb_of("cancel", order))


def test_a_cancel_asks_again_if_there_is_more_to_undo_than_was_seen(root: Client) -> None:
    trip = Trip.start("Ada")
    old = str(root.get(verb_of("cancel", trip)).context["form"]["fence"].value())
    drain()
    head = Trip.get(trip.pk).timeline.head

    message = confirm(root, verb_of("cancel", trip), fence=old, reason="ill", compensate="on")

    assert message == "Nothing was done: the timeline has moved on since you saw it. This would happen now."
    assert types(trip, head) == []


def test_a_rewind_that_would_do_more_in_the_last_moment_asks_again(root: Client) -> None:
    trip = Trip.start("Ada")
    url = f"{verb_of('rewind', trip)}?to=book_flight"
    fence = str(root.get(url).context["form"]["fence"].value())

    with somebody_is_first(drain):
        message = confirm(root, url, fence=fence, reason="once more")

    assert message == "Nothing was done: the timeline has moved on since you saw it. This would happen now."
    assert Trip.get(trip.pk).timeline.events.filter(type="RoundBegun").count() == 0


# A second one while the first is under way


def being_rewound() -> Trip:
    """Return a trip on which something is being undone before the new round begins."""
    trip = at_home()
    trip.timeline.rewind(to="book_hotel", reason="full", undo=True)
    return trip


def being_cancelled() -> Trip:
    """Return a trip on which something is being undone before it is cancelled."""
    trip = at_home()
    trip.timeline.cancel(reason="ill", compensate=True)
    return trip


REWOUND = "Nothing was done: the timeline is being rewound already; what is undone comes to its end first."
CANCELLED = "Nothing was done: the timeline is cancelling."


@pytest.mark.parametrize(
    ("under_way", "verb", "said"),
    [
        (being_rewound, "rewind", REWOUND),
        (being_cancelled, "cancel", CANCELLED),
        (being_cancelled, "rewind", CANCELLED),
    ],
)
def test_a_second_one_is_offered_no_more_and_refused_with_a_sentence(
    under_way: Callable[[], Trip], verb: str, said: str, root: Client
) -> None:
    trip = under_way()
    url, head = rewind_of(trip, "book_hotel") if verb == "rewind" else verb_of(verb, trip), trip.timeline.head

    assert verb_of(verb, trip) not in text_of(root, page_of(trip))
    for response in (root.get(url, follow=True), root.post(url, {"reason": "once more", "fence": "1"}, follow=True)):
        assert [str(message) for message in response.context["messages"]] == [said]
    assert types(trip, head) == []


@pytest.mark.parametrize(("verb", "said"), [("rewind", REWOUND), ("cancel", CANCELLED)])
def test_so_it_is_if_somebody_else_was_first_in_the_last_moment(verb: str, said: str, root: Client) -> None:
    trip = at_home()
    url = rewind_of(trip, "book_hotel") if verb == "rewind" else verb_of(verb, trip)
    fence = str(root.get(url).context["form"]["fence"].value())
    first = {
        "rewind": lambda: Trip.get(trip.pk).timeline.rewind(to="book_hotel", reason="first", undo=True),
        "cancel": lambda: Trip.get(trip.pk).timeline.cancel(reason="first", compensate=True),
    }

    with somebody_is_first(first[verb]):
        assert confirm(root, url, fence=fence, reason="second") == said

    asked = Event.objects.filter(timeline=trip.pk, type__in=("RoundBegun", "CancelRequested"))
    assert [event.data["reason"] for event in asked] == ["first"]
