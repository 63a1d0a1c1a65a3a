"""What is typed: nothing empty is taken for everything, and what no database could hold is refused before it is asked for."""

from __future__ import annotations

import json
from argparse import ArgumentError, ArgumentTypeError
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_timelines.engine.pause import pause_all
from django_timelines.management.parsing import Parser
from django_timelines.management.verbs import VERBS
from django_timelines.models import Event, Pause, Timeline
from django_timelines.testing import drain, travel
from tests.shop.factories import OrderFactory
from tests.shop.here import HERE
from tests.shop.workflows import Letter, Order, Vault

from .conftest import a_blocked_order, type_ask, type_say

pytestmark = pytest.mark.django_db(databases="__all__")
type_typed = Callable[..., tuple[int, str, str]]
NO_UTF_8 = "\udcff"  # as Python is given the byte 0xff
SAID_OTHERWISE = {"reason", "set"}  # an empty reason is none; a field's type has the word on its value


def arguments_of_verbs() -> Iterator[Any]:
    for verb in VERBS:
        parser = Parser()
        verb.arguments(parser)
        for action in parser._actions:
            if action.nargs != 0 and action.choices is None and action.dest not in SAID_OTHERWISE:
                yield pytest.param(parser, action, id=f"{verb.name} {action.dest}")


@pytest.mark.parametrize(("parser", "action"), [*arguments_of_verbs()])
def test_no_argument_of_a_verb_takes_what_is_empty_or_what_nobody_could_store(parser: Parser, action: Any) -> None:
    for wrong in ("", NO_UTF_8, "a\x00b"):
        if (action.dest, wrong) == ("name", ""):
            continue  # a schedule may have no name
        with pytest.raises((ArgumentError, ArgumentTypeError)):
            parser._get_value(action, wrong)


def test_options_that_code_gives_by_keyword_are_read_as_if_they_were_typed() -> None:
    Letter.start(to="Ada")
    drain()
    travel(timedelta(days=91))
    said = StringIO()

    with pytest.raises(CommandError, match="argument --older-than: '90' is no age"):
        call_command("timelines", "prune", older_than="90")
    call_command("timelines", "prune", older_than="90d", stdout=said)

    assert said.getvalue() == "1 timeline deleted.\n"
    assert Timeline.objects.using(HERE).count() == 0


def test_prune_of_an_empty_workflow_prunes_nothing(say: type_say) -> None:
    Letter.start(to="Ada")
    Vault.start(owner="Eve", code="sesame")
    drain()
    travel(timedelta(days=91))

    with pytest.raises(CommandError, match="argument --workflow: it is empty: is a variable not set"):
        say("prune", "--older-than", "90d", "--workflow", "")

    assert Timeline.objects.using(HERE).count() == 2


@pytest.mark.parametrize(
    "words", [["", "--reason", "x"], ["--workflow", "", "--reason", "x"], ["", "--key", "--reason", "x"]]
)
def test_a_pause_of_what_is_empty_pauses_nothing(say: type_say, words: list[str]) -> None:
    with pytest.raises(CommandError, match="it is empty: is a variable not set"):
        say("pause", *words)

    assert not Pause.objects.using(HERE).exists()


@pytest.mark.parametrize("words", [[""], ["--workflow", ""]])
def test_a_resume_of_what_is_empty_resumes_nothing(say: type_say, words: list[str]) -> None:
    say("pause", "--reason", "the bad day")

    with pytest.raises(CommandError, match="it is empty: is a variable not set"):
        say("resume", *words)

    assert Pause.objects.using(HERE).exists()


def test_retry_blocked_of_an_empty_workflow_retries_nothing(say: type_say) -> None:
    order = a_blocked_order()

    with pytest.raises(CommandError, match="argument --workflow: it is empty"):
        say("retry-blocked", "announce", "--workflow", "")

    assert Order.get(order.pk).announce.status == "blocked"


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_empty_workflow_is_not_everything_from_code_either(verb: str) -> None:
    pause_all("it is late")

    with pytest.raises(CommandError, match="argument --workflow: it is empty"):
        call_command("timelines", verb, reason="x", workflow="")

    assert Pause.objects.count() == 1


def test_revoke_of_an_empty_step_leaves_the_links_to_the_page(say: type_say) -> None:
    order = OrderFactory(upto="pay")

    with pytest.raises(CommandError, match="argument STEP: it is empty"):
        say("revoke", str(order.pk), "", "--reason", "the wrong address")

    assert not Event.objects.filter(timeline=order.pk, type="LinksRevoked").exists()


@pytest.mark.parametrize(
    ("verb", "run", "what"),
    [
        ("revoke", "[]", "step"),
        ("revoke", "pay[]", "item"),
        ("skip", "pay[", "item"),
        ("assign --nobody", "[x]", "step"),
    ],
)
def test_a_step_or_an_item_that_a_script_has_not_named_is_none(verb: str, run: str, what: str, say: type_say) -> None:
    order = OrderFactory(upto="pay")

    with pytest.raises(CommandError, match=f"names no {what}: is a variable not set"):
        say(*verb.split(), str(order.pk), run, "--reason", "the wrong address")

    assert Order.get(order.pk).timeline.head == order.timeline.head


@pytest.mark.parametrize("verb", ["--pause", "--resume"])
def test_schedules_of_an_empty_workflow_are_not_taken_for_a_look(say: type_say, verb: str) -> None:
    with pytest.raises(CommandError, match=f"argument {verb}: it is empty"):
        say("schedules", verb, "")


@pytest.mark.parametrize(
    "words",
    [["prune", "--older-than", "90d"], ["retry-blocked", "announce"], ["list"]],
    ids=lambda words: words[0],
)
def test_an_empty_workflow_is_none_from_code_too(words: list[str]) -> None:
    a_blocked_order()

    with pytest.raises(CommandError, match="argument --workflow: it is empty"):
        call_command("timelines", *words, workflow="")


@pytest.mark.parametrize(
    "words",
    [
        ["show", NO_UTF_8, "--key"],
        ["list", "--workflow", NO_UTF_8],
        ["list", "--waiting-for", NO_UTF_8],
        ["list", "--blocked-at", NO_UTF_8],
        ["prune", "--older-than", "1d", "--workflow", NO_UTF_8],
        ["retry-blocked", NO_UTF_8],
        ["retry-blocked", "announce", "--workflow", NO_UTF_8],
        ["resume", "--workflow", NO_UTF_8],
        ["forget", NO_UTF_8],
        ["schedules", "--pause", NO_UTF_8],
        ["schedules", "--pause", "shop.Order", "--name", NO_UTF_8],
    ],
    ids=lambda words: " ".join(words[:-1]),
)
@pytest.mark.django_db(transaction=True, databases="__all__")  # the command closes its connections
def test_bytes_that_are_no_utf_8_are_wrong_usage_and_said_as_json(type_in: type_typed, words: list[str]) -> None:
    code, said, complained = type_in(*words, "--json")

    assert (code, said) == (2, "")
    assert r"'\udcff' is no text" in json.loads(complained)["error"]


@pytest.mark.parametrize("wrong", ["9223372036854775808", "9" * 5000, "0", "-5", "1.5", "x"])
@pytest.mark.parametrize("family", [[], ["--family"]], ids=["", "family"])
def test_a_number_of_events_that_is_none_is_wrong_usage(say: type_say, family: list[str], wrong: str) -> None:
    order = OrderFactory(upto="pay")

    with pytest.raises(CommandError, match=r"argument --events: .* is no number from 1 to 1,000,000"):
        say("show", str(order.pk), *family, f"--events={wrong}")


def test_the_most_events_are_shown(ask: type_ask) -> None:
    order = OrderFactory(upto="pay")

    assert len(ask("show", str(order.pk), "--events", "1000000")["events"]) == 11
    assert len(ask("show", str(order.pk), "--family", "--events", "1000000")["events"]) == 11
