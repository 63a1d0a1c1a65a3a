"""``timelines prune | erase``: what goes for good."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connections

from django_timelines import moments
from django_timelines.engine import prune as pruning
from django_timelines.models import Event, Timeline
from django_timelines.testing import drain, travel
from tests.referring.models import Claim
from tests.shop.here import HERE
from tests.shop.workflows import Letter, Supper, Trip, Vault

from .conftest import type_ask, type_at_terminal, type_say

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> list[Letter]:
    """Five letters that were posted long ago; a batch is two of them."""
    monkeypatch.setattr(pruning, "BATCH", 2)
    posted = [Letter.start(to="Ada") for _ in range(5)]
    drain()
    travel(timedelta(days=91))
    return posted


def left() -> int:
    return Timeline.objects.using(HERE).count()


def test_prune_says_in_a_line_how_many_went(letters: list[Letter], say: type_say) -> None:
    Trip.start("Grace")

    assert say("prune", "--older-than", "92d") == "0 timelines deleted.\n"
    assert say("prune", "--older-than", "90d") == "5 timelines deleted.\n"
    assert left() == 1


@pytest.mark.usefixtures("letters")
def test_prune_of_one_workflow_leaves_the_others(ask: type_ask) -> None:
    Vault.start(owner="Eve", code="sesame")
    drain()
    travel(timedelta(days=91))

    assert ask("prune", "--older-than", "2w", "--workflow", "shop.Vault") == {
        "timelines": 1,
        "dry_run": False,
        "complete": True,
        "kept": {},
    }
    assert left() == 5


@pytest.mark.usefixtures("letters")
def test_a_dry_run_of_prune_only_counts(say: type_say) -> None:
    assert say("prune", "--older-than", "90d", "--dry-run") == "5 timelines would be deleted.\n"
    assert left() == 5


@pytest.mark.usefixtures("letters")
def test_somebody_who_looks_sees_how_far_it_is(at_terminal: type_at_terminal) -> None:
    seen = at_terminal("prune", "--older-than", "90d")

    assert [part.strip() for part in seen.split("\r") if part.strip()] == [
        "2 so far …",
        "4 so far …",
        "5 so far …",
        "5 timelines deleted.",
    ]


@pytest.mark.usefixtures("letters")
def test_ctrl_c_ends_prune_after_a_batch(ask: type_ask) -> None:
    before, pressed = signal.getsignal(signal.SIGINT), []

    def press(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("DELETE") and not pressed:
            pressed.append(sql)
            os.kill(os.getpid(), signal.SIGINT)
        return execute(sql, *rest)

    with connections[HERE].execute_wrapper(press):
        answer = ask("prune", "--older-than", "90d")

    assert answer == {"timelines": 2, "dry_run": False, "complete": False, "kept": {}}
    assert left() == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_prune_names_the_model_for_whose_rows_it_keeps_timelines(
    letters: list[Letter], ask: type_ask, say: type_say
) -> None:
    Claim.objects.create(timeline=letters[1].timeline)

    said = "Kept, as rows of referring.Claim protect them or their families: 1.\n"
    assert say("prune", "--older-than", "90d", "--dry-run") == f"4 timelines would be deleted.\n{said}"
    assert say("prune", "--older-than", "90d") == f"4 timelines deleted.\n{said}"
    assert ask("prune", "--older-than", "90d")["kept"] == {"referring.Claim": 1}


@pytest.mark.parametrize("wrong", ["90", "d", "0d", "-1d", "1.5h", "90D", "9000w", "999999999w", "90 d"])
def test_an_age_that_is_none_is_wrong_usage(say: type_say, wrong: str) -> None:
    with pytest.raises(CommandError, match=f"argument --older-than: '{wrong}' is "):
        say("prune", f"--older-than={wrong}")


@pytest.mark.parametrize(("age", "gone"), [("61m", 0), ("59m", 1), ("1h", 1), ("2h", 0)])
def test_an_age_is_in_minutes_hours_days_or_weeks(ask: type_ask, age: str, gone: int) -> None:
    Letter.start(to="Ada")
    drain()
    travel(timedelta(minutes=60, seconds=30))

    assert ask("prune", "--older-than", age)["timelines"] == gone


def test_prune_of_an_unknown_workflow_names_those_that_there_are(say: type_say) -> None:
    with pytest.raises(CommandError, match=r"There is no workflow 'shop\.Lettre' in the code\. Known: "):
        say("prune", "--older-than", "90d", "--workflow", "shop.Lettre")


def test_erase_asks_and_erases(at_terminal: type_at_terminal) -> None:
    letter = Letter.start(to="Ada Lovelace")
    drain()

    seen = at_terminal("erase", str(letter.pk), "--reason", "asked for it", types="yes\n")

    assert f"Go on? [y/N] shop.Letter {letter.pk} is erased.\n" in seen
    events = Event.objects.filter(timeline=letter.pk).order_by("sequence")
    assert "Lovelace" not in str([event.data for event in events])
    assert [event.data for event in events][-1] == {"reason": "asked for it"}


def test_erase_without_a_yes_erases_nothing(at_terminal: type_at_terminal, say: type_say, ask: type_ask) -> None:
    letter = Letter.start(to="Ada Lovelace")
    drain()
    words = ("erase", str(letter.pk), "--reason", "asked for it")

    assert at_terminal(*words, types="n\n").endswith("Go on? [y/N] Nothing was done.\n")
    with pytest.raises(CommandError, match="Nobody is there to be asked: add --yes"):
        say(*words)
    with pytest.raises(CommandError, match="Nobody is there to be asked: add --yes"):
        at_terminal(*words, "--json", types="y\n") and ask(*words)
    assert not Event.objects.filter(type="Erased").exists()

    assert ask(*words, "--yes")["erased"] is True
    assert Event.objects.filter(type="Erased").count() == 1


def test_erase_of_what_has_not_ended_is_refused(say: type_say) -> None:
    trip = Trip.start("Ada")

    with pytest.raises(CommandError, match="Only a timeline that has ended can be erased: it is running"):
        say("erase", str(trip.pk), "--reason", "asked for it", "--yes")


def test_partition_says_what_it_made_or_that_this_is_no_postgresql(say: type_say) -> None:
    if connections[HERE].vendor != "postgresql":
        with pytest.raises(CommandError, match="Only PostgreSQL"):
            say("partition")
        return

    assert say("partition").startswith("Made django_timelines_event_before.\n")
    assert say("partition") == "All partitions are there.\n"


@pytest.mark.usefixtures("keys_by_our_clock")
def test_partition_names_the_month_that_it_did_not_make(say: type_say, ask: type_ask) -> None:
    if connections[HERE].vendor != "postgresql":
        pytest.skip("Only PostgreSQL partitions events")
    say("partition")
    travel(timedelta(days=155))
    month = f"django_timelines_event_{moments.now():%Y_%m}"
    Letter.start(to="Ada")
    drain()
    with connections[HERE].cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    left = f"Not made: {month}. The events of its month are in django_timelines_event_later.\n"
    assert say("partition").endswith(left)
    assert say("partition") == left
    assert ask("partition") == {"partitions": [], "not_made": [month]}


def test_erase_says_what_of_the_family_is_left(say: type_say, ask: type_ask) -> None:
    supper = Supper.start(guest="Ada", dishes=["soup"])
    drain()
    supper.timeline.cancel(reason="no more")
    drain()
    children = list(Supper.get(supper.pk).timeline.children)
    assert len(children) == 2

    erased = ask("erase", str(supper.pk), "--reason", "asked for it", "--yes")

    assert erased["family_not_erased"] == [str(child.pk) for child in children]
    said = say("erase", str(children[0].pk), "--reason", "asked for it", "--yes")
    assert f"Of its family 1 is not: {children[1]}." in said
