"""The coffee shop: the order page, the counter, and what happens between."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_timelines import registry
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.models import Event, Timeline
from django_timelines.testing import assert_holds, drain, recorded_errors
from example_project import settings as project
from example_project.coffee import till, workflows
from example_project.coffee.models import Charge, Unplugged
from example_project.coffee.workflows import Order

TOKEN = "0b7c1f6e-4a57-4d5c-9d4b-3f1a2e8c9d10"
FORM = {"customer": "Ada", "drink_1": "2", "drink_2": "1", "token": TOKEN}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no drink take its time."""
    monkeypatch.setattr(till, "SECONDS", 0)


@pytest.fixture
def barista(visitor: Client) -> Client:
    """A browser in which a barista has logged in."""
    client = Client()
    client.force_login(User.objects.create_user("bea", is_staff=True))
    return client


@pytest.fixture
def deploy() -> Iterator[Callable[[str], Any]]:
    """Put this source in the place of the shop's workflows, as a deploy does; return what is its Order then."""
    before = dict(registry._declarations)

    def put(source: str) -> Any:
        for name in ("Payment", "Build", "Order"):
            registry._declarations.pop(f"coffee.{name}", None)
        namespace = {"__name__": workflows.__name__, "__package__": workflows.__package__}
        exec(source, namespace)  # noqa: S102 (ours)
        return namespace["Order"]

    yield put
    registry._declarations.clear()
    registry._declarations.update(before)


def ordered(customer: str = "Ada", *drinks: str) -> Any:
    """Order, and do all that runs by itself."""
    order = Order.start(customer=customer, drinks=list(drinks) or ["latte"])
    drain()
    return Order.get(order.pk)


def test_a_form_with_errors_shows_them_and_begins_nothing(visitor: Client) -> None:
    answer = visitor.post("/coffee/", FORM | {"customer": "", "drink_1": "99"})
    empty = visitor.post("/coffee/", {"customer": "Ada", "token": TOKEN})

    assert answer.context["form"].errors == {
        "customer": ["This field is required."],
        "drink_1": ["Ensure this value is less than or equal to 6."],
    }
    assert empty.context["form"].non_field_errors() == ["Choose at least one drink."]
    assert "<title>Error: Order coffee" in empty.content.decode()
    assert not Timeline.objects.exists()


def test_an_order_is_paid_and_made_at_the_same_time_and_then_handed_over(visitor: Client, barista: Client) -> None:
    page = visitor.post("/coffee/", FORM)["Location"]
    order = Order.get(key=TOKEN)
    assert (order.payment.status, order.build.status, order.hand_over.status) == ("due", "due", "upcoming")

    drain()

    assert Charge.objects.get().amount == Decimal("11.80")
    assert "Your drinks are ready, Ada." in visitor.get(page).content.decode()
    counter = barista.get("/coffee/counter/").content.decode()
    assert "latte, latte, mocha" in counter
    assert "Hand over" in counter

    answer = barista.post(f"/coffee/counter/{order.pk}/", follow=True).content.decode()

    assert "Handed over to Ada." in answer
    assert "Nothing to hand over." in answer
    assert "Enjoy, Ada!" in visitor.get(page).content.decode()
    called = Event.objects.get(timeline=order.pk, step="hand_over", type="StepCalled")
    assert (called.actor_type, called.actor_label) == ("user", "bea")
    assert_holds()


def test_a_declined_card_ends_the_order_and_what_is_being_made(visitor: Client) -> None:
    page = visitor.post("/coffee/", FORM | {"drink_3": "1"})["Location"]
    drain()

    order = Order.get(key=TOKEN)
    assert (order.payment.status, order.apologise.status) == ("failed", "completed")
    assert order.timeline.status == "cancelled"
    assert not Charge.objects.exists()
    assert "The money did not come" in visitor.get(page).content.decode()
    assert order.payment.child.timeline.status == "failed"
    assert_holds()


def test_drinks_that_nobody_has_begun_are_not_made_once_the_card_was_declined(visitor: Client) -> None:
    pause_all("A new cup is fetched.", "coffee.Build")
    order = Order.start(customer="Ada", drinks=["kopi luwak", "latte"])
    drain()
    build = Order.get(order.pk).build.child

    assert build.timeline.status == "cancelled"
    assert [build.make[drink].status for drink in ("kopi luwak", "latte")] == ["cancelled", "cancelled"]
    assert Order.get(order.pk).timeline.status == "cancelled"


def test_money_is_given_back_when_a_paid_order_is_cancelled(visitor: Client) -> None:
    order = ordered()

    order.timeline.cancel(reason="The customer left.", compensate=True)
    drain()

    assert Charge.objects.get().refund
    assert Order.get(order.pk).timeline.status == "cancelled"


def test_a_till_that_is_away_is_asked_again_and_charges_once(visitor: Client) -> None:
    Unplugged.objects.create(machine="till")
    order = Order.start(customer="Ada", drinks=["latte"])
    with recorded_errors():
        drain()
    payment = Order.get(order.pk).payment.child
    assert payment.charge.status == "retrying"

    Unplugged.objects.all().delete()
    payment.charge.retry()
    drain()

    assert Order.get(order.pk).payment.status == "completed"
    assert till.charge(Decimal("3.80"), idempotency_key=Charge.objects.get().key) == str(Charge.objects.get().pk)
    assert Charge.objects.count() == 1


def test_a_form_that_is_sent_twice_is_one_order(visitor: Client) -> None:
    first, second = visitor.post("/coffee/", FORM), visitor.post("/coffee/", FORM)
    changed = visitor.post("/coffee/", FORM | {"customer": "Bob"})

    assert first["Location"] == second["Location"]
    assert Timeline.objects.filter(workflow="coffee.Order").count() == 1
    assert changed.context["form"].non_field_errors() == [
        "This form was sent already. Send it again for another order."
    ]


def test_the_counter_is_for_staff_alone(visitor: Client) -> None:
    order = ordered()

    answers = [visitor.get("/coffee/counter/"), visitor.post(f"/coffee/counter/{order.pk}/")]
    answers.append(visitor.post("/coffee/plugs/till/", {"is": "out"}))

    assert [answer["Location"].partition("?")[0] for answer in answers] == ["/admin/login/"] * 3
    assert Order.get(order.pk).hand_over.status == "waiting"
    assert not Unplugged.objects.exists()


def test_a_customer_hands_nothing_over_to_themselves(visitor: Client, barista: Client, settings: Any) -> None:
    settings.TIMELINES = settings.TIMELINES | {"CAN_CALL": project.TIMELINES["CAN_CALL"]}
    page = visitor.post("/coffee/", FORM)["Location"]
    drain()

    answers = [browser.post(page, {"timelines-step": "hand_over"}) for browser in (visitor, barista)]

    assert [answer.status_code for answer in answers] == [403, 404]
    assert Order.get(key=TOKEN).hand_over.status == "waiting"
    barista.post(f"/coffee/counter/{Order.get(key=TOKEN).pk}/")
    assert Order.get(key=TOKEN).hand_over.status == "completed"


def test_of_two_clicks_both_are_told_that_it_is_done(barista: Client) -> None:
    order = ordered()

    answers = [barista.post(f"/coffee/counter/{order.pk}/", follow=True).content.decode() for _ in range(2)]

    assert all("Handed over to Ada." in answer for answer in answers)
    assert Event.objects.filter(timeline=order.pk, step="hand_over", type="StepCompleted").count() == 1


def test_an_order_that_is_not_ready_says_why_and_an_unknown_one_is_not_there(barista: Client) -> None:
    order = Order.start(customer="<b>Ada</b>", drinks=["latte"])

    early = barista.post(f"/coffee/counter/{order.pk}/", follow=True).content.decode()
    unknown = barista.post(f"/coffee/counter/{TOKEN}/")

    assert re.search(r'class="notice error" role="status">[^<]*hand over', early)
    assert unknown.status_code == 404


def test_the_counter_lists_a_few_and_says_how_many_more_there_are(
    barista: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("example_project.coffee.views.SHOWN", 1)
    ordered("Ada")
    ordered("<i>Bob</i>")

    page = barista.get("/coffee/counter/").content.decode()
    monkeypatch.setattr("example_project.coffee.views.SHOWN", 2)
    both = barista.get("/coffee/counter/").content.decode()

    assert "And 1 more." in page
    assert "Bob&lt;" not in page
    assert "&lt;i&gt;Bob" in both


def test_a_plug_is_pulled_and_put_in_again(barista: Client) -> None:
    pulled = barista.post("/coffee/plugs/coffee/", {"is": "out"}, follow=True).content.decode()
    again = barista.post("/coffee/plugs/coffee/", {"is": "out"})
    assert ("unplugged" in pulled, again.status_code) == (True, 302)

    assert "unplugged" not in barista.post("/coffee/plugs/coffee/", {"is": "in"}, follow=True).content.decode()
    assert barista.post("/coffee/plugs/toaster/", {"is": "out"}).status_code == 404


def test_the_hand_over_becomes_an_automation_while_orders_are_under_way(
    barista: Client, deploy: Callable[[str], Any]
) -> None:
    ready, behind = ordered("Ready"), Order.start(customer="Behind", drinks=["mocha"])
    source = Path(workflows.__file__).read_text()
    assert source.count(", manual=True)") == 1

    automated = deploy(source.replace(", manual=True)", ")"))
    drain()

    assert automated.get(behind.pk).timeline.status == "completed"
    by = Event.objects.get(timeline=behind.pk, step="hand_over", type="StepCompleted")
    assert by.actor_type == "worker"
    assert not Event.objects.filter(timeline=behind.pk, step="hand_over", type="StepCalled").exists()
    # A step is decided when it is reached: who waited for a barista then is still called by one.
    assert automated.get(ready.pk).hand_over.status == "waiting"
    barista.post(f"/coffee/counter/{ready.pk}/")
    assert automated.get(ready.pk).timeline.status == "completed"

    assert_holds()


def test_and_is_a_persons_step_again_while_orders_are_under_way(barista: Client, deploy: Callable[[str], Any]) -> None:
    source = Path(workflows.__file__).read_text()
    automated = deploy(source.replace(", manual=True)", ")"))
    there = automated.start(customer="There", drinks=["latte"])
    pause_all("No cups.", "coffee.Build")
    drain()
    there.timeline.pause(reason="Nobody is at the counter.")
    resume_all("coffee.Build")
    drain()
    assert automated.get(there.pk).hand_over.status == "due"
    behind = automated.start(customer="Behind", drinks=["latte"])

    manual = deploy(source)
    there.timeline.resume()
    drain()

    assert manual.get(behind.pk).hand_over.status == "waiting"
    assert manual.get(there.pk).timeline.status == "completed"  # it was decided already
    barista.post(f"/coffee/counter/{behind.pk}/")
    assert manual.get(behind.pk).timeline.status == "completed"
    by = Event.objects.get(timeline=behind.pk, step="hand_over", type="StepCalled")
    assert (by.actor_type, by.actor_label) == ("user", "bea")
    assert_holds()
