"""The JSON API: the same calls, the same policy, the same refusals."""

import json
import uuid
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_timelines.models import Timeline
from django_timelines.testing import drain
from example_project.signup.workflows import Signup
from tests.shop.workflows import Jury, Order, Vault, ran

from .workflows import Expense, Moving

pytestmark = pytest.mark.django_db
API = "/timelines/api/"


def post(client: Client, address: str, **body: object):
    return client.post(address, body, content_type="application/json")


def of(workflow, *rest: str) -> str:
    return "/".join([f"{API}{workflow.pk}", *rest, ""])


@pytest.fixture
def customer(ada, browser_of) -> Client:
    """Ada's browser."""
    return browser_of(ada)


@pytest.fixture
def order(ada) -> Order:
    """Ada's order, which waits for her to pay."""
    order = Order.using(actor=ada).start("ada")
    drain()
    return Order.get(order.pk)


def test_a_timeline_is_begun_and_shown(customer, settings):
    settings.DEBUG = True

    answer = post(customer, API, workflow="shop.Order", input={"customer": "ada", "amount": 3})

    order = Order.timelines.get().subject
    assert (answer.status_code, answer["Location"]) == (201, of(order))
    assert (order.customer, order.amount) == ("ada", 3)
    assert customer.get(answer["Location"]).json()["id"] == str(order.pk)


def test_a_visitor_who_begins_a_timeline_is_answered_what_they_may_call(client, settings):
    settings.DEBUG = True
    begun = post(client, API, workflow="shop.Draft", input={"text": "x"})

    assert begun.json() == client.get(begun["Location"]).json()
    assert [step["step"] for step in begun.json()["steps"] if step["may_call"]] == ["review"]


def test_what_is_got_may_be_asked_for_its_head(customer, order):
    for address in (API, of(order), of(order, "events"), f"/timelines/{order.pk}/since/"):
        answers = customer.get(address), customer.head(address)

        assert [answer.status_code for answer in answers] == [200, 200], address
        assert answers[1].content == b""
    assert customer.head(of(order, "steps", "pay")).status_code == 405


def test_the_same_key_begins_one(customer, settings):
    settings.DEBUG = True
    body = {"workflow": "shop.Order", "input": {"customer": "ada"}, "key": str(uuid.uuid4())}

    first, second = post(customer, API, **body), post(customer, API, **body)
    other = post(customer, API, **body | {"input": {"customer": "eve"}})

    assert first.json()["id"] == second.json()["id"]
    assert (other.status_code, other.json()["error"]["reason"]) == (409, "key_reused")
    assert Order.timelines.count() == 1


def test_a_key_that_can_be_guessed_begins_nothing_and_shows_nobody_elses(client, settings):
    settings.DEBUG = True
    Order.using(key="order-17").start("ada")

    answer = post(client, API, workflow="shop.Order", input={"customer": "ada"}, key="order-17")

    assert (answer.status_code, answer.json()["error"]["reason"]) == (400, "invalid_key")


def test_who_may_begin_is_the_policy_of_the_page(client, grace, browser_of):
    body = {"workflow": "workflows.Guarded", "input": {"name": "x"}}

    refused, begun = post(client, API, **body), post(browser_of(grace), API, **body)

    assert (refused.status_code, refused.json()["error"]["reason"]) == (404, "unknown_workflow")
    assert post(client, API, workflow="shop.Order", input={"customer": "ada"}).status_code == 404
    assert begun.status_code == 201


def test_it_says_where_each_step_stands_and_what_it_takes(customer, order):
    shown = customer.get(of(order)).json()

    assert (shown["workflow"], shown["status"], shown["sequence"]) == ("shop.Order", "waiting", order.timeline.head)
    assert shown["url"] == order.get_absolute_url()
    assert shown["explanation"] == "Waiting for “pay”."
    pay = next(step for step in shown["steps"] if step["step"] == "pay")
    assert (pay["run"], pay["item"], pay["status"], pay["may_call"]) == ("pay", "", "waiting", True)
    assert pay["parameters"] == [{"name": "amount", "required": True}]
    assert [step["status"] for step in shown["steps"]] == ["completed", "completed", "completed", "waiting", "upcoming"]


def test_a_step_is_called(customer, order):
    answer = post(customer, of(order, "steps", "pay"), input={"amount": 5})

    assert answer.status_code == 200
    assert answer.json()["outcome"] == "completed"
    assert answer.json()["sequence"] == Timeline.objects.get(pk=order.pk).head
    assert Order.get(order.pk).notes == ["paid 5"]
    called = order.timeline.events.get(type="StepCalled", step="pay")
    assert (called.actor_type, called.actor_label) == ("user", "ada")


def test_a_step_that_a_worker_takes_is_due(customer, order, place):
    place(pay="rq:default")

    answer = post(customer, of(order, "steps", "pay"), input={"amount": 5})

    assert (answer.status_code, answer.json()["outcome"]) == (202, "due")


def test_the_same_key_has_one_effect_and_one_answer(customer, order):
    answers = [post(customer, of(order, "steps", "pay"), input={"amount": 5}, key="evt_17") for _ in range(2)]

    assert [answer.json()["outcome"] for answer in answers] == ["completed", "completed"]
    assert ran["pay"] == 1


@pytest.mark.parametrize(
    ("step", "body", "status", "reason"),
    [
        ("pay", {"input": {"amount": "many"}}, 400, "invalid"),
        ("pay", {"input": {}}, 400, "invalid"),
        ("pay", {"input": {"amount": -1}}, 400, "invalid"),
        ("pay", {"input": {"sum": 5}}, 400, "wrong_input"),
        ("pay", {"input": {"self": 5}}, 400, "wrong_input"),
        ("pay", {"input": {"amount": 5}, "seen": 1}, 409, "stale"),
        ("pay", {"input": {"amount": 5}, "key": "x" * 201}, 400, "invalid_key"),
        ("pay", {"input": [5]}, 400, "malformed"),
        ("pay", {"input": {"amount": 5}, "seen": "7"}, 400, "malformed"),
        ("pay", {"input": {"amount": 5}, "seen": True}, 400, "malformed"),
        ("pay", {"input": {"amount": 5}, "key": 17}, 400, "malformed"),
        ("pay", {"amount": 5}, 400, "malformed"),
        ("send", {}, 403, "not_allowed"),
        ("place", {"input": {"customer": "eve"}}, 410, "settled"),
        ("nothing", {}, 404, "unknown_step"),
        ("pay[x]", {"input": {"amount": 5}}, 404, "unknown_item"),
    ],
)
def test_a_refusal_has_a_status_a_reason_and_a_sentence_and_writes_nothing(customer, order, step, body, status, reason):
    head = Timeline.objects.get(pk=order.pk).head

    answer = post(customer, of(order, "steps", step), **body)

    assert (answer.status_code, answer.json()["error"]["reason"]) == (status, reason)
    assert answer.json()["error"]["message"] != ""
    assert Timeline.objects.get(pk=order.pk).head == head


def test_an_input_that_does_not_fit_is_said_by_parameter(customer, order):
    error = post(customer, of(order, "steps", "pay"), input={"amount": "many"}).json()["error"]

    assert list(error["fields"]) == ["amount"]


def test_a_start_that_is_not_unique_names_the_other_to_whom_may_see_it(customer, client, settings):
    settings.DEBUG = True
    body = {"workflow": Moving._declaration.label, "input": {"address": "Main Street 1"}}

    first = post(customer, API, **body).json()
    mine, anothers = post(customer, API, **body), post(client, API, **body)

    assert (mine.status_code, anothers.status_code) == (409, 409)
    said = {"reason": "not_unique", "message": "There is a “Moving” of the same address under way already."}
    assert mine.json()["error"] == said | {"timeline": first["id"]}
    assert anothers.json()["error"] == said


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', "[" * 100_000, '{"input": NaN', b"\xff"])
def test_what_is_no_json_object_is_said(customer, order, body):
    answer = customer.post(of(order, "steps", "pay"), body, content_type="application/json")

    assert (answer.status_code, answer.json()["error"]["reason"]) == (400, "malformed")


def test_what_is_too_large_is_said(customer, order, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20

    answer = post(customer, of(order, "steps", "pay"), input={"amount": 5}, key="more than twenty letters")

    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "This is too large.")
    assert Order.get(order.pk).pay.status == "waiting"


def test_a_form_of_another_site_cannot_pass_for_json(customer, order):
    answer = customer.post(of(order, "steps", "pay"), json.dumps({"input": {"amount": 5}}), content_type="text/plain")

    assert (answer.status_code, answer.json()["error"]["reason"]) == (400, "malformed")


def test_what_changes_something_needs_the_csrf_token_whatever_the_sites_middleware(ada, order, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name]
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)

    assert post(strict, of(order, "steps", "pay"), input={"amount": 5}).status_code == 403
    assert strict.get(of(order)).status_code == 200
    assert Order.get(order.pk).pay.status == "waiting"


def test_a_timeline_is_there_for_those_who_may_see_it(client, order, grace, browser_of):
    for stranger in (client, browser_of(grace)):
        for answer in (
            stranger.get(of(order)),
            stranger.get(of(order, "events")),
            post(stranger, of(order, "steps", "pay"), input={"amount": 5}),
        ):
            assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "unknown_timeline")
    assert stranger.get(API).json() == {"timelines": [], "before": None}


def test_a_step_is_there_for_those_who_may_call_it(ada, grace, browser_of):
    expense = Expense.using(actor=grace).start(owner="nobody", amount=5)

    assert post(browser_of(ada), of(expense, "steps", "look_at"), input={"note": "x"}).status_code == 404
    assert (
        post(browser_of(grace), of(expense, "steps", "look_at"), input={"note": "x"}).json()["outcome"] == "completed"
    )
    refused = post(browser_of(grace), of(expense, "steps", "approve"))
    assert (refused.status_code, refused.json()["error"]["reason"]) == (403, "not_allowed")


def test_a_step_whose_link_was_made_is_not_called_without_it(customer, ada):
    signup = Signup.using(actor=ada).start(email="ada@example.org", password="correct horse")
    drain()

    answer = post(customer, of(signup, "steps", "activate"))

    assert (answer.status_code, answer.json()["error"]["reason"]) == (403, "not_allowed")
    assert Signup.get(signup.pk).activate.status == "waiting"


def test_the_list_has_ones_own_the_newest_first_in_pages(customer, ada, monkeypatch):
    monkeypatch.setattr("django_timelines.views.api.PAGE", 2)
    orders = [Order.using(actor=ada).start(f"{n}") for n in range(3)]
    Order.start("somebody else's")
    vault = Vault.using(actor=ada).start("ada", code="open sesame")

    first = customer.get(API).json()
    second = customer.get(API, {"before": first["before"]}).json()

    assert [one["id"] for one in first["timelines"]] == [str(vault.pk), str(orders[2].pk)]
    assert [one["id"] for one in second["timelines"]] == [str(orders[1].pk), str(orders[0].pk)]
    assert second["before"] is None
    assert [one["id"] for one in customer.get(API, {"workflow": "shop.Vault"}).json()["timelines"]] == [str(vault.pk)]
    assert customer.get(API, {"workflow": "no.Such"}).json()["timelines"] == []
    assert customer.get(API, {"status": "cancelled"}).json()["timelines"] == []
    assert customer.get(API, {"before": "x"}).status_code == 400


def test_a_site_that_decides_otherwise_decides_for_the_list_as_well(customer, order, settings):
    settings.TIMELINES = {**settings.TIMELINES, "CAN_VIEW": "tests.calls.test_api.nobody"}

    assert customer.get(API).json()["timelines"] == []


def nobody(timeline, *, user, session):
    return False


def test_staff_with_the_permission_lists_all(order, browser_of):
    staff = browser_of(User.objects.create_superuser("staff"))

    assert [one["id"] for one in staff.get(API).json()["timelines"]] == [str(order.pk)]


def test_the_events_since_come_in_order_and_in_parts(customer, order, monkeypatch):
    monkeypatch.setattr("django_timelines.views.api.MOST_EVENTS", 4)

    first = customer.get(of(order, "events")).json()
    second = customer.get(of(order, "events"), {"after": first["events"][-1]["sequence"]}).json()

    assert [event["sequence"] for event in first["events"]] == [1, 2, 3, 4]
    assert [event["sequence"] for event in second["events"]] == [5, 6, 7, 8]
    assert (first["more"], first["sequence"]) == (True, order.timeline.head)
    last = customer.get(of(order, "events"), {"after": order.timeline.head}).json()
    assert (last["events"], last["more"]) == ([], False)
    assert customer.get(of(order, "events"), {"after": "-1"}).json()["error"]["reason"] == "malformed"


def test_no_answer_holds_inputs_fields_or_secrets(customer, ada, order):
    vault = Vault.using(actor=ada).start("the owner's name", code="open sesame")

    said = "".join(
        customer.get(address).content.decode() for address in (API, of(vault), of(vault, "events"), of(order))
    )

    assert "open sesame" not in said
    assert "the owner's name" not in said
    assert "customer" not in said.replace("The customer pays.", "")


@pytest.mark.parametrize("asked", ["workflow=%00", "status=%00", "before=%00", "status=runing"])
def test_what_no_database_holds_is_asked_for_in_vain(customer, asked):
    assert customer.get(f"{API}?{asked}").json()["error"]["reason"] == "malformed"


@pytest.mark.parametrize("name", ["", "a\x00", "a\nb", "a\r", "x" * 5000, "ada]", "ada#2", ".."])
def test_an_item_that_cannot_be_is_called_in_vain(customer, ada, name):
    jury = Jury.using(actor=ada).start(members=[{"name": "ada", "seat": 1}, {"name": "Cy", "seat": 2}])
    drain()

    by_api = post(customer, of(jury, "steps", quote(f"vote[{name}]", safe="")), input={"points": 3})
    by_page = customer.post(jury.get_absolute_url(), {"timelines-step": f"vote[{name}]", "points": "3"})

    assert {by_api.status_code, by_page.status_code} <= {403, 404, 409}
    assert Jury.get(jury.pk).vote["ada"].status == "waiting"


@pytest.mark.parametrize("name", ["Ada/Bob", "Ada@2", "]", "50%"])
def test_an_item_is_called_whatever_its_name_is(customer, ada, name):
    jury = Jury.using(actor=ada).start(members=[{"name": name, "seat": 1}, {"name": "Cy", "seat": 2}])
    drain()

    answer = post(customer, of(jury, "steps", quote(f"vote[{name}]", safe="")), input={"points": 3})

    assert (answer.status_code, answer.json()["outcome"]) == (200, "completed")
    assert Jury.get(jury.pk).vote[name].status == "completed"


def test_what_others_wrote_at_the_same_moment_is_a_conflict_and_may_be_sent_again(customer, order, others_write):
    head = order.timeline.head
    with others_write():
        answer = post(customer, of(order, "steps", "pay"), input={"amount": 3}, key="k")

    assert (answer.status_code, answer.json()["error"]["reason"]) == (409, "conflict")
    assert Timeline.objects.get(pk=order.pk).head == head
    assert post(customer, of(order, "steps", "pay"), input={"amount": 3}, key="k").json()["outcome"] == "completed"


def test_of_a_workflow_that_is_gone_a_caller_hears_of_no_other(customer, order):
    Timeline.objects.filter(pk=order.pk).update(workflow="shop.Gone")

    answer = post(customer, of(order, "steps", "pay"), input={"amount": 5})

    assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "unknown_workflow")
    assert "shop." not in answer.content.decode()
