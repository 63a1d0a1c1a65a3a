"""``timelines retry | skip | cancel``, and how the command refuses."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError

from django_timelines.actors import SYSTEM, Actor, ActorType, acting
from django_timelines.engine import clock
from django_timelines.engine.claim import claim
from django_timelines.engine.operate import retry_blocked
from django_timelines.engine.runner import Runner
from django_timelines.management.commands.timelines import Command
from django_timelines.management.verbs import VERBS
from django_timelines.models import Event, Run
from django_timelines.testing import drain, fail_step, travel
from django_timelines.workflows import PermanentFailure
from tests.hardening.test_damaged import damage
from tests.shop.factories import OrderFactory
from tests.shop.workflows import Bill, Issue, Order

from .conftest import a_blocked_order, type_ask, type_say

everywhere = pytest.mark.django_db(databases="__all__")
as_typed = pytest.mark.django_db(transaction=True, databases="__all__")  # the command closes its connections
type_typed = Callable[..., tuple[int, str, str]]


def newest(order: Order, type: str) -> Event:
    return Event.objects.filter(timeline=order.pk, type=type).latest("sequence")


@everywhere
def test_retry_makes_a_blocked_step_due(ask: type_ask) -> None:
    order = a_blocked_order()

    answer = ask("retry", str(order.pk), "announce", "--reason", "new paper")

    assert (answer["step"], answer["outcome"], answer["status"]) == ("announce", "due", "running")
    assert newest(order, "StepDue").data == {"reason": "new paper"}
    drain()
    assert Order.get(order.pk).pay.status == "waiting"


@everywhere
def test_skip_sets_fields_given_as_json_or_as_text(ask: type_ask) -> None:
    order = OrderFactory(upto="pay")

    ask("skip", str(order.pk), "pay", "--reason", "in cash", "--set", "amount=7", "--set", "customer=Grace Hopper",
        "--set", 'notes=["till 4"]')  # fmt: skip

    order = Order.get(order.pk)
    assert (order.pay.status, order.amount, order.customer, order.notes) == ("skipped", 7, "Grace Hopper", ["till 4"])
    assert newest(order, "StepSkipped").data["reason"] == "in cash"


@everywhere
def test_cancel_ends_the_timeline(say: type_say) -> None:
    order = OrderFactory(upto="pay")

    said = say("cancel", str(order.pk), "--reason", "changed my mind")

    assert said.startswith(f"shop.Order {order.pk} is cancelled.\nCancelled on ")
    assert newest(order, "CancelRequested").data["reason"] == "changed my mind"


@everywhere
def test_the_actor_is_the_command(say: type_say) -> None:
    order = OrderFactory(upto="pay")

    say("cancel", str(order.pk), "--reason", "changed my mind")

    event = newest(order, "CancelRequested")
    assert (event.actor_type, event.actor_label) == ("command", "timelines")


@everywhere
def test_who_calls_it_from_code_is_the_actor(say: type_say) -> None:
    order = OrderFactory(upto="pay")

    with acting(Actor(ActorType.USER, "7", "ada")):
        say("cancel", str(order.pk), "--reason", "changed my mind")

    assert newest(order, "CancelRequested").actor_label == "ada"


@everywhere
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["retry", "ID", "pay"], "Only a step that is blocked or being retried can be tried again. “pay” is waiting."),
        (
            ["skip", "ID", "send", "--reason", "x"],
            "Only an open step that nobody is executing can be skipped. “send” is upcoming.",
        ),
        (["skip", "ID", "pay", "--reason", " "], "reason: Say why the step is skipped."),
        (["skip", "ID", "pay", "--reason", "x", "--set", "amuont=7"], "amuont: shop.Order has no such field."),
        (["retry", "ID", "payy"], "shop.Order has no step 'payy'. Known: place, pack, announce, pay, send."),
        (["explain", "ffff"], "There is no timeline whose id begins with 'ffff'."),
        (["explain", "nobody"], "There is no timeline whose id begins with 'nobody'."),
    ],
    ids=lambda words: words if isinstance(words, str) else " ".join(words),
)  # fmt: skip
def test_a_refusal_is_the_engines_sentence_and_writes_nothing(say: type_say, words: list[str], sentence: str) -> None:
    order = OrderFactory(upto="pay")

    with pytest.raises(CommandError) as refused:
        say(*(str(order.pk) if word == "ID" else word for word in words))

    assert (str(refused.value), refused.value.returncode) == (sentence, 1)
    assert Order.get(order.pk).timeline.head == 11


@as_typed
def test_a_refusal_ends_with_1_and_its_reason_for_programs(type_in: type_typed) -> None:
    order = OrderFactory(upto="pay")

    assert type_in("retry", str(order.pk), "pay") == (
        1,
        "",
        "Only a step that is blocked or being retried can be tried again. “pay” is waiting.\n",
    )
    code, said, complained = type_in("retry", str(order.pk), "pay", "--json")
    assert (code, said) == (1, "")
    assert json.loads(complained) == {
        "error": "Only a step that is blocked or being retried can be tried again. “pay” is waiting.",
        "reason": "not_applicable",
    }


@as_typed
def test_wrong_usage_ends_with_2_and_says_so_as_json(type_in: type_typed) -> None:
    code, said, complained = type_in("skip", "0193", "pay", "--json")

    assert (code, said) == (2, "")
    assert json.loads(complained) == {
        "error": "the following arguments are required: --reason",
        "reason": "wrong_usage",
    }
    code, _said, complained = type_in("list", "--status", "waitng")
    assert code == 2
    assert "there is no 'waitng'. Did you mean 'waiting'?" in complained


@as_typed
@pytest.mark.parametrize(
    ("verb", "hint"),
    [
        ("shwo", "there is no 'shwo'. Did you mean 'show'?"),
        ("juggle", f"there is no 'juggle'. There are {', '.join(verb.name for verb in VERBS)}."),
    ],
)
def test_an_unknown_verb_suggests_one(type_in: type_typed, verb: str, hint: str) -> None:
    code, said, complained = type_in(verb)

    assert (code, said) == (2, "")
    assert complained.endswith(f"argument VERB: {hint}\n")


@as_typed
def test_an_answer_is_one_document_and_ends_with_0(type_in: type_typed) -> None:
    order = OrderFactory(upto="pay")

    code, said, complained = type_in("cancel", str(order.pk), "--reason", "over", "--json")

    assert (code, complained) == (0, "")
    assert json.loads(said)["status"] == "cancelled"


@everywhere
@pytest.mark.parametrize("wrong", ["amount", "=7", "a b=7"])
def test_a_set_without_a_field_is_wrong_usage(say: type_say, wrong: str) -> None:
    with pytest.raises(CommandError, match="is no FIELD=VALUE"):
        say("skip", "0193", "pay", "--reason", "x", "--set", wrong)


@everywhere
def test_another_database_can_be_named(say: type_say) -> None:
    with pytest.raises(CommandError, match=r"argument --database: there is no 'elsewhere'"):
        say("list", "--database", "elsewhere")


@everywhere
def test_help_names_each_verb(type_in: Callable[..., Any]) -> None:
    said = " ".join(Command().create_parser("manage.py", "timelines").format_help().split())

    assert [verb.name for verb in VERBS if f" {verb.name} {verb.help}" not in said] == []


@everywhere
def test_all_that_a_step_blocked_is_tried_again_at_once(say: type_say, ask: type_ask) -> None:
    blocked, other = [a_blocked_order() for _ in range(3)], OrderFactory(upto="pay")
    ids = {str(order.pk) for order in blocked}
    assert {one["id"] for one in ask("list", "--blocked-at", "announce")["timelines"]} == ids

    assert say("retry-blocked", "announce", "--dry-run").strip() == "announce is blocked on 3 timelines."
    answer = ask("retry-blocked", "announce", "--workflow", "shop.Order", "--reason", "new paper")

    assert (answer["retried"], answer["timelines"], answer["refused"], answer["complete"]) == (3, 3, [], True)
    assert {newest(order, "StepDue").data["reason"] for order in blocked} == {"new paper"}
    drain()
    assert {Order.get(id).pay.status for id in ids} == {"waiting"}
    assert other.pay.status == "waiting"
    assert say("retry-blocked", "announce").strip() == "announce is tried again: 0 runs on 0 timelines."


@everywhere
def test_all_items_that_are_blocked_are_tried_again_and_no_other_step(ask: type_ask) -> None:
    issue = Issue.start(pages=["a", "b", "c"])
    broken = PermanentFailure("The press is broken.")
    with fail_step("lay_out[a]", broken), fail_step("lay_out[c]", broken), fail_step(Bill.charge, broken):
        drain()

    answer = ask("retry-blocked", "lay_out")

    assert (answer["retried"], answer["timelines"]) == (2, 1)
    issue = Issue.get(issue.pk)
    assert [issue.lay_out[page].status for page in "abc"] == ["due", "completed", "due"]
    assert Bill.timelines.blocked_at("charge").count() == 1


@everywhere
def test_on_a_paused_timeline_it_is_tried_again_once_that_goes_on(ask: type_ask) -> None:
    order = a_blocked_order()
    order.timeline.pause(reason="the bad day")

    assert ask("retry-blocked", "announce")["retried"] == 1

    drain()
    assert Order.get(order.pk).announce.status == "due"
    Order.get(order.pk).timeline.resume()
    drain()
    assert Order.get(order.pk).announce.status == "completed"


@everywhere
def test_what_may_be_done_already_is_left_to_a_person(ask: type_ask) -> None:
    order = OrderFactory(upto="pay")
    order.pay(amount=1)
    claim(order.pk, ("send", ""), Run.objects.get(step="send").fence, Runner(SYSTEM, "elsewhere", order.timeline.using))
    with travel(timedelta(seconds=61)):
        clock.tick(order.timeline.using)
    assert Order.get(order.pk).send.status == "blocked"

    with pytest.raises(CommandError, match="may have been done: look at it, and retry or skip it alone") as refused:
        ask("retry-blocked", "send")

    assert refused.value.returncode == 1
    assert Order.get(order.pk).send.status == "blocked"
    with pytest.raises(CommandError, match="'send' may have been done already"):
        ask("retry", str(order.pk), "send")
    assert Order.get(order.pk).send.status == "blocked"
    assert ask("retry", str(order.pk), "send", "--force")["outcome"] == "due"


@everywhere
def test_one_that_is_refused_keeps_nobody_from_the_others(say: type_say, ask: type_ask) -> None:
    damaged, order = a_blocked_order(), a_blocked_order()
    damage(damaged, {"runs": 7})

    with pytest.raises(CommandError, match=f"Refused on {damaged.pk}: .*refold") as refused:
        say("retry-blocked", "announce")

    assert refused.value.returncode == 1
    assert Order.get(order.pk).announce.status == "due"
    say("refold", str(damaged.pk))
    assert ask("retry-blocked", "announce")["retried"] == 1


@everywhere
def test_ctrl_c_ends_it_behind_a_timeline(ask: type_ask, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [a_blocked_order() for _ in range(2)]

    def retry(*args: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return retry_blocked(*args, **options)

    monkeypatch.setattr("django_timelines.management.verbs.retrying.retry_blocked", retry)
    answer = ask("retry-blocked", "announce")

    assert (answer["retried"], answer["timelines"], answer["complete"]) == (1, 1, False)
    assert [Order.get(order.pk).announce.status for order in orders] == ["due", "blocked"]


@everywhere
def test_a_step_that_there_is_not_is_refused(say: type_say) -> None:
    with pytest.raises(CommandError, match="No workflow has a step 'anounce'"):
        say("retry-blocked", "anounce")
