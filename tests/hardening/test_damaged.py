"""Somebody has changed a timeline's row by hand. Everybody who meets it says which one it is and how to mend it."""

import json
import logging
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client, TestCase
from django.urls import reverse

from django_timelines.engine import clock
from django_timelines.engine.explain import explain_publicly
from django_timelines.exceptions import StateDamaged
from django_timelines.models import Item, Timeline
from django_timelines.sight import look
from django_timelines.testing import assert_holds, drain, travel
from tests.calls.workflows import Expense
from tests.shop.here import HERE
from tests.shop.workflows import Bill, Order, Supper, Tray, Visit

DAMAGES = [
    {},
    [],
    None,
    "running",
    {"runs": []},
    {"runs": {"place": "completed"}},
    {"runs": {"place": {"status": "delighted", "fence": 3}}},
    {"runs": {"place": {"status": "completed"}}},
]
pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("grace"))
    return client


@pytest.fixture(params=DAMAGES, ids=json.dumps)
def damaged(request: pytest.FixtureRequest) -> Any:
    """An order that is due, and whose state is none; mended in the end, as each test's timelines are checked."""
    order = Order.start(customer="Ada")
    damage(order, request.param)
    yield order
    refold(order)


def damage(workflow: Any, state: Any, column: str = "state") -> None:
    with connections[HERE].cursor() as cursor:
        native = connections[HERE].features.has_native_uuid_field
        values = [json.dumps(state), workflow.pk if native else workflow.pk.hex]
        cursor.execute(f"UPDATE django_timelines_timeline SET {column} = %s WHERE id = %s", values)  # noqa: S608 (ours)


def refold(workflow: Any) -> str:
    said = StringIO()
    call_command("timelines", "refold", str(workflow.pk), stdout=said)
    return said.getvalue()


def sentence_of(order: Any) -> str:
    return (
        f"The stored state of timeline {order.pk} is damaged. Its events say what it was: "
        f"manage.py timelines refold {order.pk} folds them anew."
    )


@pytest.mark.parametrize("verb", ["show", "retry pack", "pause --reason late"])
def test_a_command_names_the_timeline_and_says_how_to_mend_it(damaged: Order, verb: str) -> None:
    name, *more = verb.replace(" ", " ID ", 1).split() if " " in verb else (verb, "ID")
    words = [str(damaged.pk) if word == "ID" else word for word in more]

    with pytest.raises(CommandError) as refused:
        call_command("timelines", name, *words)

    assert str(refused.value) == sentence_of(damaged)


def test_it_is_why_the_timeline_does_not_move(damaged: Order) -> None:
    explanation = Timeline.objects.get(pk=damaged.pk).explain()

    assert (explanation.reason, str(explanation)) == ("state_damaged", sentence_of(damaged))
    assert explanation.public == "It cannot go on at the moment; somebody has to look at it."
    said = StringIO()
    call_command("timelines", "explain", str(damaged.pk), stdout=said)
    assert sentence_of(damaged) in said.getvalue()


def test_it_can_be_looked_at(damaged: Order) -> None:
    seen = look(damaged.pk, HERE)

    assert seen is not None
    assert explain_publicly(seen).public == "It cannot go on at the moment; somebody has to look at it."


def test_code_that_goes_on_with_it_is_refused(damaged: Order) -> None:
    with pytest.raises(StateDamaged) as refused:
        Order.get(damaged.pk).pay(amount=5)

    assert (refused.value.timeline, refused.value.reason) == (damaged.pk, "state_damaged")


def test_its_admin_page_shows_what_the_events_say_and_how_to_mend_it(damaged: Order, root: Client) -> None:
    response = root.get(reverse("admin:django_timelines_timeline_change", args=[damaged.pk]))

    assert response.status_code == 200
    assert sentence_of(damaged) in response.content.decode()
    assert [field.value.short for field in response.context["page"].fields][:2] == ["Ada", "1"]


def test_a_child_ends_though_its_parent_cannot_hear_of_that(caplog: pytest.LogCaptureFixture) -> None:
    supper = Supper.start(guest="Ada", dishes=[])
    drain()
    bill = Bill.timelines.get()
    damage(supper, {"runs": 7})

    with TestCase.captureOnCommitCallbacks(using=HERE, execute=True):
        assert bill.subject.tip(amount=1) == "completed"

    assert Bill.timelines.get().status == "completed"
    assert "could not be answered after a commit; the clock rings again" in caplog.text
    refold(supper)
    drain()
    assert Supper.get(supper.pk).bill.status == "completed"


def test_a_verb_of_the_admin_says_so_and_does_nothing(damaged: Order, root: Client) -> None:
    response = root.get(reverse("admin:django_timelines_timeline_amend", args=[damaged.pk]), follow=True)

    assert [str(message) for message in response.context["messages"]] == [sentence_of(damaged)]


def test_check_names_it_and_looks_at_the_others(damaged: Order) -> None:
    Order.start(customer="Bob")
    said = StringIO()

    with pytest.raises(CommandError):
        call_command("timelines", "check", stdout=said)

    assert said.getvalue().splitlines() == [
        "The stored state of timelines of shop.Order is damaged.",
        f"  1 timeline: {damaged.pk}",
        "  Their events say what it was: manage.py timelines refold ID folds them anew.",
        "2 timelines in flight: 1 finding would block.",
    ]


def test_drain_and_clock_go_on_with_the_others_and_name_it(damaged: Order, caplog: pytest.LogCaptureFixture) -> None:
    other, late = Order.start(customer="Bob"), Visit.start(guest="Cleo")

    with caplog.at_level(logging.ERROR):
        assert drain() == 1

    assert {*caplog.messages} == {sentence_of(damaged)}
    assert Order.get(other.pk).pay.status == "waiting"
    with travel(timedelta(days=4)):
        clock.tick(HERE)
    assert Visit.get(late.pk).arrive.status == "overdue"


def test_what_is_overdue_or_was_left_on_it_keeps_nobody_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    first, second = Visit.start(guest="Ada"), Visit.start(guest="Bob")
    drain()
    damage(first, {})

    with travel(timedelta(days=4)):
        drain()
        assert Visit.get(second.pk).arrive.status == "overdue"
        refold(first)

    assert {*caplog.messages} == {sentence_of(first)}


@pytest.mark.parametrize("looked_at", [False, True], ids=["a rule is asked", "the user's rights say so"])
def test_it_keeps_nothing_else_from_the_list_of_what_waits_for_somebody(root: Client, looked_at: bool) -> None:
    first, second = (Expense.start(owner="grace", amount=amount) for amount in (5, 6))
    for expense in (first, second):
        if looked_at:
            expense.look_at.using(actor=User.objects.get(username="grace"))(note="fine")
    damage(first, {})

    page = root.get(reverse("timelines:mine"))

    assert [one.timeline.pk for one in page.context["waiting"]] == [second.pk]
    refold(first)
    assert len(root.get(reverse("timelines:mine")).context["waiting"]) == 2


def test_fields_that_are_none_are_damage_too() -> None:
    order = Order.start(customer="Ada")
    damage(order, [], "fields")

    assert order.timeline.explain().reason == "state_damaged"
    refold(order)

    assert Order.get(order.pk).customer == "Ada"


def test_it_is_folded_anew_with_its_fields_items_and_status_and_goes_on(damaged: Order) -> None:
    said = refold(damaged)

    assert said.startswith(f"shop.Order {damaged.pk} is folded anew from its events.\n")
    assert_holds(damaged)
    drain()
    assert Order.get(damaged.pk).pay.status == "waiting"


def test_its_items_are_folded_anew_too() -> None:
    tray = Tray.start(cups=["red", "blue"])
    damage(tray, {"runs": {}})
    Item.objects.filter(timeline=tray.pk, item="red").delete()

    refold(tray)

    assert_holds(tray)
    drain()
    assert Tray.get(tray.pk).timeline.status == "completed"


def test_a_damaged_one_of_the_family_keeps_nobody_from_erasing_another() -> None:
    supper = Supper.start(guest="Ada", dishes=["soup"])
    drain()
    supper.timeline.cancel(reason="no more")
    drain()
    first, second = Supper.get(supper.pk).timeline.children
    damage(first.subject, {})
    said = StringIO()

    call_command("timelines", "erase", str(second.pk), "--reason", "asked for it", "--yes", stdout=said)

    assert "Of its family 2 are not:" in said.getvalue()
    refold(first.subject)
