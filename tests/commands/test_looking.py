"""``timelines list | show | explain``: what people read, and what programs are given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.utils import timezone

from django_timelines.management.verbs import show
from django_timelines.models import Event, Timeline
from django_timelines.testing import drain
from django_timelines.workflows import Workflow, step
from tests.shop.factories import OrderFactory, VisitFactory
from tests.shop.here import HERE
from tests.shop.workflows import Bar, Order, Supper, Vault, Visit

from .conftest import a_blocked_order, type_ask, type_say

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_list_begins_with_the_newest(ask: type_ask) -> None:
    first, second = OrderFactory(upto="pay"), OrderFactory(upto="pay", key="order-2")

    listed = ask("list")

    assert [row["id"] for row in listed["timelines"]] == [str(second.pk), str(first.pk)]
    assert listed["before"] is None
    assert listed["timelines"][0] | {"started_at": "", "changed_at": ""} == {
        "id": str(second.pk),
        "workflow": "shop.Order",
        "status": "waiting",
        "key": "order-2",
        "head": 11,
        "started_at": "",
        "changed_at": "",
        "open": [{"step": "pay", "status": "waiting"}],
        "open_count": 1,
    }


def test_a_list_goes_on_where_it_was_cut(ask: type_ask, say: type_say) -> None:
    orders = [str(OrderFactory(upto="pay").pk) for _ in range(5)][::-1]

    first = ask("list", "--limit", "2")
    second = ask("list", "--limit", "2", "--before", first["before"])
    third = ask("list", "--limit", "2", "--before", second["before"])

    assert [row["id"] for page in (first, second, third) for row in page["timelines"]] == orders
    assert third["before"] is None
    assert [row["id"] for row in ask("list", "--before", "f" * 32)["timelines"]] == orders
    assert say("list", "--limit", "2").splitlines()[-1] == f"There are older ones: --before {orders[1]}"


def test_a_list_is_filtered_by_status_workflow_and_what_it_waits_for(ask: type_ask) -> None:
    order, blocked, visit = OrderFactory(upto="pay"), a_blocked_order(), VisitFactory()

    def ids(*words: str) -> list[str]:
        return [row["id"] for row in ask("list", *words)["timelines"]]

    assert ids("--status", "blocked") == [str(blocked.pk)]
    assert ids("--status", "blocked", "--status", "waiting") == [str(visit.pk), str(blocked.pk), str(order.pk)]
    assert ids("--workflow", "shop.Visit") == [str(visit.pk)]
    assert ids("--waiting-for", "pay") == [str(order.pk)]
    with pytest.raises(CommandError, match=r"^No workflow has a step 'pya'. Known: .*\bpay\b"):
        ask("list", "--waiting-for", "pya")
    with pytest.raises(CommandError, match=r"^shop.Visit has no step 'pay'. Known: invite, arrive, forget, welcome\.$"):
        ask("list", "--workflow", "shop.Visit", "--waiting-for", "pay")
    assert ids("--workflow", "shop.Visit", "--status", "blocked") == []


def test_people_read_aligned_columns(say: type_say) -> None:
    order, visit = OrderFactory(upto="pay", key="order-17"), VisitFactory()

    lines = say("list").splitlines()

    assert [line.split() for line in (lines[0], lines[2])] == [
        ["ID", "WORKFLOW", "STATUS", "STARTED", "KEY", "OPEN"],
        [str(order.pk), "shop.Order", "waiting", *lines[2].split()[3:5], "order-17", "pay", "waiting"],
    ]
    assert lines[1].startswith(str(visit.pk))
    assert {line.index("waiting") for line in lines[1:]} == {lines[0].index("STATUS")}


def test_an_empty_list_says_so(say: type_say) -> None:
    assert say("list") == "There are no such timelines.\n"


def test_a_list_of_a_workflow_that_was_never_there_names_those_that_are(say: type_say) -> None:
    with pytest.raises(CommandError, match=r"There is no workflow 'shop.Odrer' in the code. Known: .*shop.Order"):
        say("list", "--workflow", "shop.Odrer")


def test_a_list_asks_the_database_as_often_however_long_it_is(say: type_say, django_assert_num_queries: object) -> None:
    for _ in range(3):
        OrderFactory(upto="pay")

    with django_assert_num_queries(3, using=HERE):  # type: ignore[operator]
        say("list")


def test_show_tells_fields_steps_and_events(ask: type_ask) -> None:
    order = OrderFactory(upto="pay", key="order-17")

    shown = ask("show", str(order.pk))

    assert shown["timeline"]["status"] == "waiting"
    assert shown["fields"] == {"customer": "Ada", "amount": 1, "notes": []}
    assert [(step["step"], step["status"]) for step in shown["steps"]] == [
        ("place", "completed"),
        ("pack", "completed"),
        ("announce", "completed"),
        ("pay", "waiting"),
        ("send", "upcoming"),
    ]
    assert [(event["sequence"], event["type"]) for event in shown["events"][:4]] == [
        (1, "TimelineStarted"),
        (2, "StepCalled"),
        (3, "AttemptStarted"),
        (4, "StepCompleted"),
    ]
    assert shown["events"][3]["data"] == {"changes": {"customer": "Ada", "amount": 1}}


def test_show_goes_back_to_an_event(ask: type_ask, say: type_say) -> None:
    order = OrderFactory(upto="pay")

    shown = ask("show", str(order.pk), "--at", "3")

    assert (shown["timeline"]["status"], shown["timeline"]["head"]) == ("running", 3)
    assert shown["fields"] == {"amount": 0, "notes": []}
    assert [step["status"] for step in shown["steps"][:2]] == ["running", "upcoming"]
    assert len(shown["events"]) == 3
    assert Timeline.objects.get().head == 11
    with pytest.raises(CommandError, match=r"has the events 1 to 11, not 12\.$"):
        say("show", str(order.pk), "--at", "12")


def test_show_limits_events_and_long_values(ask: type_ask, say: type_say) -> None:
    order = OrderFactory(upto="pay", customer="A" * 3000)

    shown = ask("show", str(order.pk), "--events", "2")
    said = say("show", str(order.pk), "--events", "2")

    assert ([event["sequence"] for event in shown["events"]], shown["events_before"]) == ([10, 11], 9)
    assert shown["fields"]["customer"] == "A" * 3000
    assert f"{'A' * 80}… (3,000 characters)" in said
    assert "(9 before these: --events)" in said
    assert max(map(len, said.splitlines())) < 200


def test_a_secret_is_never_shown(say: type_say) -> None:
    vault = Vault.start(owner="Ada", code="open sesame")

    assert "sesame" not in say("show", str(vault.pk)) + say("show", str(vault.pk), "--json")


def test_explain_says_what_the_engine_says(ask: type_ask, say: type_say) -> None:
    order = a_blocked_order()

    explained = ask("explain", str(order.pk))

    assert (explained["status"], explained["reasons"][0]["reason"]) == ("blocked", "blocked")
    assert explained["reasons"][0]["step"] == "announce"
    assert "Retry or skip it." in say("explain", str(order.pk))


def test_what_was_stored_does_not_command_the_terminal(say: type_say) -> None:
    order = a_blocked_order()

    said = say("explain", str(order.pk)) + say("show", str(order.pk)) + say("list")

    assert "\x1b" not in said
    assert r"\x1b[31mon fire" in said


def test_colours_are_there_when_they_are_asked_for(say: type_say) -> None:
    a_blocked_order()

    assert "\x1b[31;1mblocked\x1b[0m" in say("list", "--force-color")
    assert "\x1b" not in say("list")


def test_a_timeline_is_found_by_the_beginning_of_its_id(ask: type_ask) -> None:
    order = OrderFactory(upto="pay")

    for beginning in (str(order.pk)[:18], order.pk.hex, str(order.pk).upper()):
        assert ask("explain", beginning)["timeline"] == str(order.pk)


def test_a_beginning_that_several_have_is_refused(say: type_say) -> None:
    first, second = OrderFactory(upto="pay"), OrderFactory(upto="pay")

    with pytest.raises(CommandError) as refused:
        say("show", first.pk.hex[:2])

    assert str(refused.value) == (
        f"There are several timelines whose id begins with '{first.pk.hex[:2]}': "
        f"shop.Order {second.pk}, shop.Order {first.pk}. Give more of it."
    )


def test_a_timeline_is_found_by_its_key(ask: type_ask, say: type_say) -> None:
    order = OrderFactory(upto="pay", key="order-17")

    assert ask("explain", "order-17", "--key")["timeline"] == str(order.pk)
    assert ask("explain", "--key", "order-17", "--workflow", "shop.Order")["timeline"] == str(order.pk)
    with pytest.raises(CommandError, match=r"There is no timeline with the key 'order-17' of shop\.Visit\."):
        say("explain", "order-17", "--key", "--workflow", "shop.Visit")


def test_a_timeline_is_found_by_its_key_under_whichever_name_its_workflow_had_then(deploy: Any, ask: type_ask) -> None:
    source = """
        class Parcel(Workflow):
            @step
            def take(self, address: str): ...

            @step(after=take, manual=True)
            def sign(self): ...
    """
    parcel = deploy(source).using(key="p-1").start("Main Street 1")
    deploy(source.replace("class Parcel(Workflow)", 'class Packet(Workflow, renamed_from="shop.Parcel")'), "Packet")

    for named in ([], ["--workflow", "shop.Packet"], ["--workflow", "shop.Parcel"]):
        assert ask("explain", "p-1", "--key", *named)["timeline"] == str(parcel.pk)


def test_a_key_of_two_workflows_asks_for_the_workflow(say: type_say) -> None:
    OrderFactory(upto="pay", key="17")
    Visit.using(key="17").start(guest="Grace")

    with pytest.raises(CommandError, match=r"several timelines with the key '17': .*Say --workflow"):
        say("explain", "17", "--key")


def test_a_timeline_is_found_by_its_id_among_those_of_the_workflow_that_is_named(ask: type_ask, say: type_say) -> None:
    order = Order.start(customer="Ada")

    assert ask("show", str(order.pk), "--workflow", "shop.Order")["timeline"]["id"] == str(order.pk)
    with pytest.raises(CommandError, match=rf"no timeline whose id begins with '{order.pk}' of shop.Visit"):
        say("cancel", str(order.pk), "--workflow", "shop.Visit", "--reason", "oops")
    for words in ([str(order.pk)], ["17", "--key"]):
        with pytest.raises(CommandError, match=r"There is no workflow 'shop.Ordr' in the code"):
            say("show", *words, "--workflow", "shop.Ordr")


def test_a_timeline_without_its_class_is_shown(say: type_say) -> None:
    order = OrderFactory(upto="pay")
    Timeline.objects.filter(pk=order.pk).update(workflow="shop.Gone")

    assert "no workflow shop.Gone any more" in say("explain", str(order.pk))
    assert "customer  Ada" in say("show", str(order.pk))
    assert "shop.Gone" in say("list", "--workflow", "shop.Gone")
    Timeline.objects.filter(pk=order.pk).update(workflow=Order._declaration.label)


def test_show_names_the_parent_and_the_children(ask: type_ask, say: type_say) -> None:
    supper = Supper.start(guest="Ada", dishes=["soup"])
    drain()
    bill, soup = supper.timeline.children

    shown = ask("show", str(supper.pk))

    assert shown["timeline"]["parent"] is None
    assert shown["children"] == [
        {"id": str(bill.pk), "workflow": "shop.Bill", "status": "waiting", "step": "bill", "item": ""},
        {"id": str(soup.pk), "workflow": "shop.Dish", "status": "completed", "step": "cooking", "item": "soup"},
    ]
    assert f"\nChildren\n  bill           shop.Bill  {bill.pk}  waiting\n" in say("show", str(supper.pk))
    assert ask("show", str(soup.pk))["timeline"]["parent"] == str(supper.pk)
    assert f"parent    {supper.pk}, cooking[soup]\n" in say("show", str(soup.pk))
    assert "Children" not in say("show", str(soup.pk))

    first = Event.objects.get(timeline=bill.pk, sequence=1)
    assert ask("show", str(supper.pk), "--at", str(first.cause - 1))["children"] == []
    assert ask("show", str(supper.pk), "--at", str(first.cause))["children"][0]["id"] == str(bill.pk)


def test_show_caps_children_and_items(ask: type_ask, say: type_say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "CHILDREN", 2)
    supper = Supper.start(guest="Ada", dishes=["soup", "cake", "tea"])
    drain()
    bar = Bar.start(drinks=[f"drink {number}" for number in range(1_000)])

    shown, said = ask("show", str(supper.pk)), say("show", str(bar.pk))

    assert ([child["item"] for child in shown["children"]], shown["children_before"]) == (["cake", "tea"], 2)
    assert "\nChildren\n  (2 before these)\n  cooking[cake]" in say("show", str(supper.pk))
    assert "0 of 1,000\n" in said
    assert "\n  (and 980 more)\n" in said
    assert ask("show", str(bar.pk))["steps"][1]["items"] == {"settled": 0, "count": 1000}


def test_show_says_for_whom_a_step_waits_and_until_when(say: type_say) -> None:
    class Lease(Workflow):
        tenant: User

        @step
        def offer(self, tenant: User) -> None:
            self.tenant = tenant

        @step(after=offer, manual=True, assigned="tenant", within=timedelta(days=3))
        def sign(self) -> None: ...

    lease = Lease.start(tenant=User.objects.create_user("ada"))
    drain()

    said = say("show", str(lease.pk)).splitlines()[-1]

    until = timezone.localtime(Lease.get(lease.pk).timeline.runs.get(step="sign").until)
    assert {"waits for a call", "for ada", f"until {until:%Y-%m-%d %H:%M:%S}"} == {
        part.rpartition("  ")[2] for part in said.split(" · ")
    }


def test_show_tells_a_step_that_waits_for_its_timeline_from_one_that_waits_for_a_call(say: type_say) -> None:
    supper = Supper.start(guest="Ada", dishes=[])
    drain()
    supper = Supper.get(supper.pk)

    assert f" waits for timeline {supper.bill.child.pk}\n" in say("show", str(supper.pk))
