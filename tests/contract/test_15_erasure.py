"""Clause 15, and an end to everything: erasing keeps the names, pruning takes it all."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_timelines.actors import SYSTEM
from django_timelines.engine import prune as pruning
from django_timelines.engine.prune import prune
from django_timelines.exceptions import FieldUnset, PermanentFailure, Refused, Rejected
from django_timelines.models import Event, Item, Run, SealedInput, Timeline
from django_timelines.state import timeline_status
from django_timelines.testing import assert_holds, drain, recorded_errors, travel
from django_timelines.testing.due import carry_out
from django_timelines.workflows import Workflow, step, subworkflow
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Bill, Issue, Letter, Order, Paid, Supper, Trip, Vault, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")


def told_everything(django_user_model: type[User]) -> Order:
    """Return an order that has ended, on which Ada's name is in every place there is."""
    ada = django_user_model.objects.create_user("Ada Lovelace")
    plan["pay"] = lambda order: order.record(Paid(amount=5))

    def fail(order: Any) -> None:
        if ran["announce"] == 1:
            raise OSError("Ada Lovelace has moved")

    plan["announce"] = fail
    order = Order.using(key="Ada Lovelace 17", actor=ada).start(customer="Ada Lovelace")
    with recorded_errors():
        drain()
        order = Order.get(order.pk)
        order.announce.retry(reason="asked Ada Lovelace", actor=ada)
        drain()
    order.timeline.amend(reason="Ada Lovelace called", notes=["Ada Lovelace"], actor=ada)
    Order.get(order.pk).pay.using(key="Ada Lovelace pays", actor=ada)(amount=5)
    drain()
    return Order.get(order.pk)


def everything_of(order: Order) -> str:
    timeline = list(Timeline.objects.using(HERE).filter(pk=order.pk).values())
    return json.dumps([timeline, list(Event.objects.filter(timeline=order.pk).values())], default=str)


def test_erasing_leaves_nothing_of_what_was_said(django_user_model: type[User]) -> None:
    order = told_everything(django_user_model)
    assert everything_of(order).count("Ada Lovelace") > 10

    order.timeline.erase(reason="asked for it")

    assert "Ada" not in everything_of(order)
    assert "moved" not in everything_of(order)


def test_erasing_keeps_what_happened_and_the_names_of_fields(django_user_model: type[User]) -> None:
    order = told_everything(django_user_model)
    before = list(Event.objects.filter(timeline=order.pk).values_list("type", "step", "attempt", "at"))

    order.timeline.erase(reason="asked for it")

    events = Event.objects.filter(timeline=order.pk).order_by("sequence")
    assert list(events.values_list("type", "step", "attempt", "at"))[:-1] == before
    erased = events.last()
    assert erased is not None
    assert (erased.type, erased.data) == ("Erased", {"reason": "asked for it"})
    assert events.get(type="TimelineStarted").data["fields"] == {"amount": None, "notes": None}
    assert events.get(type="Paid").data == {"amount": None}
    assert events.get(type="AttemptFailed").data["error"] == {"type": "OSError", "message": "", "traceback": ""}
    timeline = Order.get(order.pk).timeline
    assert (timeline.status, timeline.key, timeline.started_by) == ("completed", "", "")
    assert timeline_status(timeline.state) == "completed"
    assert Order.get(order.pk).pay.status == "completed"


def test_a_field_of_an_erased_timeline_says_so(django_user_model: type[User]) -> None:
    order = told_everything(django_user_model)
    order.timeline.erase(reason="asked for it")

    with pytest.raises(PermanentFailure, match="was erased"):
        Order.get(order.pk).customer  # noqa: B018 (the reading)


def test_only_what_has_ended_is_erased_and_only_with_a_reason(django_user_model: type[User]) -> None:
    trip = Trip.start("Ada")
    with pytest.raises(Refused) as refused:
        trip.timeline.erase(reason="asked for it")
    assert refused.value.reason == "not_ended"

    trip.timeline.cancel(reason="ill")
    with pytest.raises(Rejected):
        trip.timeline.erase(reason="")
    trip.timeline.erase(reason="asked for it")
    trip.timeline.erase(reason="asked again")
    assert Event.objects.filter(timeline=trip.pk, type="Erased").count() == 1


def test_what_is_said_as_links_are_revoked_after_the_erasure_is_erased_once_more(django_user_model: type[User]) -> None:
    order = told_everything(django_user_model)
    order.timeline.erase(reason="asked for it")
    ada = django_user_model.objects.get()
    Order.get(order.pk).timeline.revoke_links(reason="Ada Lovelace has forwarded it", actor=ada)
    assert "Ada Lovelace" in everything_of(order)

    Order.get(order.pk).timeline.erase(reason="asked again")
    Order.get(order.pk).timeline.erase(reason="and again")

    assert "Ada" not in everything_of(order)
    erased = Event.objects.filter(timeline=order.pk, type="Erased").order_by("sequence")
    assert [event.data["reason"] for event in erased] == ["asked for it", "asked again"]
    assert_holds(Order.get(order.pk))


def test_who_erases_their_own_timeline_is_named_nowhere(django_user_model: type[User]) -> None:
    order = told_everything(django_user_model)
    ada = django_user_model.objects.get()

    order.timeline.erase(reason="asked for it", actor=ada)
    order.timeline.erase(reason="asked again", actor=ada)

    assert "Ada" not in everything_of(order)
    erased = Event.objects.get(timeline=order.pk, type="Erased")
    assert (erased.actor_type, erased.actor_id, erased.actor_label) == ("user", "", "")


def test_who_erases_what_was_assigned_to_them_is_named_nowhere(django_user_model: type[User]) -> None:
    ada = django_user_model.objects.create_user("Ada Lovelace")
    order = Order.start(customer="Grace")
    drain()
    order = Order.get(order.pk)
    order.pay.assign(ada)
    order.timeline.cancel(reason="no more")
    assert "Ada" in everything_of(order)

    order.timeline.erase(reason="asked for it", actor=ada)

    assert "Ada" not in everything_of(order)
    assert Event.objects.get(timeline=order.pk, type="Erased").actor_id == ""


def test_who_erases_for_somebody_else_stays_named_until_somebody_else_erases_it_again(
    django_user_model: type[User],
) -> None:
    order = told_everything(django_user_model)
    bea = django_user_model.objects.create_user("Bea")
    order.timeline.erase(reason="asked for it", actor=bea)
    order.timeline.erase(reason="twice", actor=bea)
    erased = Event.objects.filter(timeline=order.pk, type="Erased").order_by("sequence")
    assert [(one.data["reason"], one.actor_id, one.actor_label) for one in erased] == [
        ("asked for it", str(bea.pk), "Bea")
    ]

    order.timeline.erase(reason="asked again", actor=SYSTEM)
    order.timeline.erase(reason="and again")

    assert [(one.actor_type, one.actor_id, one.actor_label) for one in erased.all()] == [
        ("user", "", ""),
        ("system", "", "system"),
    ]
    assert [one.data["reason"] for one in erased.all()] == ["asked for it", "asked again"]
    assert_holds(Order.get(order.pk))


def test_an_erased_key_is_free_again() -> None:
    letter = Letter.using(key="webhook 4711").start(to="Ada")
    drain()
    letter.timeline.erase(reason="asked for it")

    assert Letter.using(key="webhook 4711").start(to="Ada").pk != letter.pk


def test_an_erased_timeline_of_many_events_is_scrubbed_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_timelines.engine import erase

    monkeypatch.setattr(erase, "BATCH", 3)
    letter = Letter.start(to="Grace Hopper")
    drain()
    Letter.get(letter.pk).timeline.erase(reason="asked for it")

    assert "Grace" not in json.dumps(list(Event.objects.filter(timeline=letter.pk).values()), default=str)


# Pruning


def test_erasing_takes_the_write_lock_before_it_reads() -> None:
    connection = connections[HERE]
    if connection.vendor != "sqlite" or "transaction_mode" in connection.settings_dict["OPTIONS"]:
        pytest.skip("only there a transaction that has read cannot always write")
    order = Order.start(customer="Ada")
    order.timeline.cancel(reason="over")

    with CaptureQueriesContext(connection) as asked:
        order.timeline.erase(reason="asked for it")

    first = next(one["sql"] for one in asked if "django_timelines" in one["sql"])
    assert first.startswith("UPDATE")


def test_a_timeline_on_which_an_earlier_round_went_on_is_erased_too() -> None:
    issue = Issue.start(pages=["one"])
    carry_out(Run.objects.get(timeline=issue.pk, step="read"), HERE, alone=True)
    carry_out(
        Run.objects.get(timeline=issue.pk, step="bill"), HERE, alone=True
    )  # a child, which goes on beside the new round
    Issue.get(issue.pk).find_a_mistake()
    drain()
    Issue.get(issue.pk).timeline.cancel(reason="no paper")
    drain()

    Issue.get(issue.pk).timeline.erase(reason="asked for it")

    begun = Event.objects.get(timeline=issue.pk, type="RoundBegun")
    assert begun.data["going_on"] == {"bill": "bill@1"}
    assert_holds(Issue.get(issue.pk))


def test_erasing_a_family_leaves_none_of_its_names_and_every_page_of_it(
    client: Client, django_user_model: type[User]
) -> None:
    root = django_user_model.objects.create_superuser("root")
    client.force_login(root)
    supper = Supper.using(actor=root).start(guest="Zaphod", dishes=["Zaphod's soup", "Zaphod's fish"])
    drain()
    Supper.get(supper.pk).bill.child.tip(amount=1)
    drain()
    Supper.get(supper.pk).timeline.cancel(reason="Zaphod left", compensate=True)
    drain()
    family = [*Timeline.objects.filter(correlation=supper.pk)]
    ids = [timeline.pk for timeline in family]

    for timeline in family:
        timeline.erase(reason="asked for it")

    rows = [list(model.objects.filter(timeline__in=ids).values()) for model in (Event, Item, Run)]
    rows += [list(Timeline.objects.filter(pk__in=ids).values_list("state", "fields", "key"))]
    assert "Zaphod" not in str(rows)
    assert Supper.get(supper.pk).bill.child.pk in ids
    for timeline in Timeline.objects.filter(correlation=supper.pk):
        assert_holds(timeline.subject)
        assert client.get(timeline.get_absolute_url()).status_code == 200
        call_command("timelines", "show", str(timeline.pk))


def test_what_those_above_may_still_take_or_undo_is_erased_once_they_have_ended() -> None:
    class Party(Workflow):
        @step
        def invite(self) -> None: ...

        supper = subworkflow(Supper, after=invite, given=lambda party: {"guest": "all", "dishes": ["cake"]})

        @step(after=supper, manual=True)
        def leave(self) -> None: ...

    party = Party.start()
    drain()
    supper = Party.get(party.pk).supper.child
    Supper.get(supper.pk).bill.child.tip(amount=1)
    drain()
    bill = Supper.get(supper.pk).bill.child

    with pytest.raises(Refused, match=r"part of shop\.Supper .* which has not ended") as refused:
        bill.timeline.erase(reason="asked for it")
    assert refused.value.reason == "not_ended"

    Supper.get(supper.pk).thank()
    drain()
    with pytest.raises(Refused, match=f"part of {Party.get(party.pk).timeline}, which has not ended"):
        Bill.get(bill.pk).timeline.erase(reason="asked for it")

    Party.get(party.pk).timeline.cancel(reason="it was bad", compensate=True)
    drain()
    Bill.get(bill.pk).timeline.erase(reason="asked for it")
    assert (ran["refund"], Party.get(party.pk).timeline.status) == (1, "cancelled")


def test_pruning_takes_what_ended_long_ago_with_all_that_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    waiting = Trip.start("Ada")
    vault = Vault.start(owner="Eve", code="sesame")
    old = [Letter.start(to=name) for name in ("a", "b", "c")]
    drain()
    with travel(timedelta(days=89)):
        recent = Letter.start(to="d")
        drain()
    travel(timedelta(days=91))

    assert list(prune(timedelta(days=90), dry_run=True)) == [2, 2]
    assert Timeline.objects.count() == 6
    assert list(prune(timedelta(days=90))) == [2, 2]

    left = set(Timeline.objects.values_list("pk", flat=True))
    assert left == {waiting.pk, recent.pk}
    gone = [vault.pk, *(letter.pk for letter in old)]
    for model in (Event, Run, SealedInput):
        assert not model.objects.filter(timeline__in=gone).exists()
    assert Entry.objects.filter(text="post").count() == 4  # what bodies wrote is the project's own
    assert list(prune(timedelta(days=90))) == []


def test_pruning_one_workflow_leaves_the_others() -> None:
    Letter.start(to="a")
    vault = Vault.start(owner="Eve", code="sesame")
    drain()
    travel(timedelta(days=91))

    assert list(prune(timedelta(days=90), "shop.Letter")) == [1]
    assert [timeline.pk for timeline in Timeline.objects.all()] == [vault.pk]


def test_an_erased_timeline_as_of_an_event_says_that_its_fields_were_erased() -> None:
    order = Order.start(customer="Ada")
    drain()
    order.timeline.cancel(reason="no more")
    Order.get(order.pk).timeline.erase(reason="asked for")

    with pytest.raises(FieldUnset, match="was erased"):
        _ = Order.get(order.pk, at=4).customer


@pytest.mark.usefixtures("transactional_db")
def test_a_result_that_comes_after_the_erasure_brings_nothing_back(
    deploy: Any, elsewhere: Any, django_user_model: type[User]
) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            names: list[str] = ["Ada Lovelace"]
            note: str = ""

            @step
            def send(self, amount: int): ...

            @step(after=send, each="names", manual=True, delivery=AT_LEAST_ONCE)
            def greet(self, name: str):
                ran["greet"] += 1
                self.note = f"{name} was greeted"
                plan["greet"](self)
    """)
    begun = parcel.start(amount=1)

    def hang(workflow: Any) -> None:
        if ran["greet"] == 1:
            elsewhere(lambda: [parcel.get(begun.pk).greet["Ada Lovelace"].retry(force=True), drain()])
            elsewhere(lambda: parcel.get(begun.pk).timeline.erase(reason="asked for it"))

    plan["greet"] = hang
    begun.greet["Ada Lovelace"].using(actor=django_user_model.objects.create_user("Ada Lovelace"))()

    events = Event.objects.filter(timeline=begun.pk).order_by("sequence")
    assert "Ada" not in json.dumps(list(events.values()), default=str)
    late = events.last()
    assert late is not None
    assert (late.type, late.item, late.data) == (
        "AttemptInterrupted",
        "1",
        {"superseded": True, "outcome": "completed"},
    )
    assert (late.actor_type, late.actor_label) == ("user", "")
