"""The how-to about releases: each of its classes is deployed over timelines that the first one began."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from django_timelines.engine.finding import Kind
from django_timelines.engine.in_flight import findings
from django_timelines.models import Timeline
from django_timelines.testing import drain
from tests.docs.snippets import ROOT, blocks
from tests.shop.here import HERE

pytestmark = pytest.mark.django_db(databases="__all__")
PAGE = ROOT / "docs" / "howto" / "deploy.md"
BEFORE, ADDED, RENAMED, RETYPED, EMPTIED, REMOVED = (text for language, text in blocks(PAGE) if language == "python")


def begun(deploy: Callable[..., Any], source: str = BEFORE) -> tuple[Any, Any]:
    """Return a parcel that has just been taken, and one that waits for somebody to sign."""
    waiting = deploy(source).start("Main Street 1, London")
    drain()
    return deploy(source).start("Main Street 2, London"), waiting


def released(workflow: Any, *parcels: Any) -> list[Any]:
    """Find nothing that would block, go on, sign, and return the parcels, completed."""
    assert [one.sentence for one in findings(HERE) if one.blocks] == []
    drain()
    for parcel in parcels:
        workflow.get(parcel.pk).sign("Ada")
    drain()
    assert set(Timeline.objects.values_list("status", flat=True)) == {"completed"}
    return [workflow.get(parcel.pk) for parcel in parcels]


def test_an_added_step_is_taken_by_those_that_have_not_passed_it(deploy: Callable[..., Any]) -> None:
    parcels = begun(deploy)

    taken, waiting = released(deploy(ADDED), *parcels)

    assert (taken.insure.status, waiting.insure.status) == ("completed", "not taken")


def test_renamed_things_keep_what_they_were(deploy: Callable[..., Any]) -> None:
    parcels = begun(deploy)

    taken, waiting = released(deploy(RENAMED, "Packet"), *parcels)

    assert (taken.street, taken.measure.status) == ("Main Street 2, London", "completed")
    assert (waiting.street, waiting.measure.status, waiting.grams) == ("Main Street 1, London", "completed", 500)


def test_a_retyped_field_is_brought_up(deploy: Callable[..., Any]) -> None:
    parcels = begun(deploy)

    taken, _waiting = released(deploy(RETYPED), *parcels)

    assert taken.address == ["Main Street 2", "London"]


def test_an_emptied_step_is_gone_through_and_then_removed(deploy: Callable[..., Any]) -> None:
    parcels = begun(deploy)
    deploy(REMOVED)
    assert [(one.name, one.count) for one in findings(HERE) if one.blocks] == [("weigh", 1)]

    deploy(EMPTIED)
    drain()
    taken, waiting = released(deploy(REMOVED), *parcels)

    assert (taken.timeline.state["fields"]["grams"], waiting.timeline.state["fields"]["grams"]) == (0, 500)


def test_where_a_person_is_waited_for_an_emptied_step_is_skipped(deploy: Callable[..., Any], say: Any) -> None:
    asking = BEFORE.replace("def weigh(self)", "def weigh(self, scales: str)")
    parcel = deploy(asking).start("Main Street 1, London")

    emptied = deploy(EMPTIED)
    assert [(one.kind, one.name) for one in findings(HERE) if one.blocks] == [("runs_by_itself", "weigh")]
    assert str(parcel.pk) in say("list", "--waiting-for", "weigh")
    say("skip", str(parcel.pk), "weigh", "--reason", "no longer done")
    assert emptied.get(parcel.pk).sign.status == "waiting"

    released(deploy(REMOVED), parcel)


def test_a_timeline_in_a_step_at_the_side_does_not_come_to_what_came_after_it(deploy: Callable[..., Any]) -> None:
    parcel = deploy(BEFORE).start("Main Street 1, London")

    new = deploy(BEFORE.replace("after=weigh", "after=take"))
    drain()

    assert (new.get(parcel.pk).timeline.status, new.get(parcel.pk).sign.status) == ("completed", "not taken")


def test_a_new_field_has_its_default_on_timelines_that_were_there(deploy: Callable[..., Any]) -> None:
    parcel = deploy(BEFORE).start("Main Street 1, London")

    assert deploy(BEFORE.replace("grams: int", "copies: int = 2\n    grams: int")).get(parcel.pk).copies == 2


def test_the_page_names_each_kind_of_finding() -> None:
    table = PAGE.read_text().partition("| kind |")[2].partition("\n\n")[0]

    assert set(re.findall(r"`(\w+)`", table)) == set(Kind)
