"""``timelines show --family``: what led to what, over all timelines of a family."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError

from django_timelines.models import Event
from django_timelines.testing import drain
from tests.shop.workflows import Supper

from .conftest import type_ask, type_say

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.fixture
def supper() -> Any:
    begun = Supper.start(guest="Ada", dishes=["soup"])
    drain()
    return Supper.get(begun.pk)


def test_timelines_are_shown_within_the_step_that_began_them(say: type_say, supper: Any) -> None:
    _bill, dish = supper.timeline.children
    lines = say("show", str(supper.pk), "--family", "--events", "200").splitlines()

    assert lines[0] == f"shop.Supper {supper.pk} waiting"
    assert lines[1] == "  the timeline itself"
    assert "TimelineStarted" in lines[2]
    cooking = lines.index("  cooking")
    begun = next(
        number for number, line in enumerate(lines) if line.startswith(f"    shop.Dish {dish.pk} completed, begun by ")
    )
    assert begun > cooking
    assert any(line.endswith(f"of {str(dish.pk)[:18]}") for line in lines[cooking:begun])


def test_programs_are_given_each_event_with_its_cause(ask: type_ask, supper: Any) -> None:
    answer = ask("show", str(supper.pk), "--family", "--events", "200")
    family = Event.objects.filter(timeline__correlation=supper.timeline.correlation)

    assert [timeline["workflow"] for timeline in answer["timelines"]] == ["shop.Supper", "shop.Bill", "shop.Dish"]
    assert len(answer["events"]) == family.count()
    assert answer["next"] is None
    places = {(event["timeline"], event["sequence"]) for event in answer["events"]}
    causes = [event["cause"] for event in answer["events"] if event["cause"]]
    assert {(cause["timeline"], cause["sequence"]) for cause in causes} <= places
    assert answer["timelines"][1]["begun_by"]["timeline"] == str(supper.pk)


def test_a_long_answer_goes_on_where_it_ended(ask: type_ask, say: type_say, supper: Any) -> None:
    first = ask("show", str(supper.pk), "--family", "--events", "5")
    second = ask("show", str(supper.pk), "--family", "--events", "500", "--after", first["next"])

    assert [event["sequence"] for event in first["events"]] == [1, 2, 3, 4, 5]
    assert second["events"][0]["sequence"] == 6
    assert say("show", str(supper.pk), "--family", "--events", "5").endswith(f"(more: --after {first['next']})\n")


def test_a_place_that_is_none_is_refused(say: type_say, supper: Any) -> None:
    with pytest.raises(CommandError, match="--after tomorrow: no such place"):
        say("show", str(supper.pk), "--family", "--after", "tomorrow")
    with pytest.raises(CommandError, match="with --family only"):
        say("show", str(supper.pk), "--after", "tomorrow")
    with pytest.raises(CommandError, match="--at: not with --family"):
        say("show", str(supper.pk), "--family", "--at", "1")
