"""A site that is older than its tables: what its timelines were stays, in the form that the tables have now."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, router

from django_timelines.models import Item, Notice, Timeline
from django_timelines.state import run_key
from django_timelines.testing import assert_holds, drain, recorded_errors
from tests.rules.test_3_each import spill
from tests.shop.workflows import Bar, Jury, Supper, Tray, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
folded_anew = import_module("django_timelines.migrations.0015_folded_anew")


def upgrade() -> None:
    connection = connections[router.db_for_write(Timeline)]
    with connection.schema_editor() as editor:
        folded_anew.fold_anew(apps, editor)


def as_it_was_before(timeline: Timeline) -> None:
    """Store a timeline as version 0007 did: fields and items in its state, and nothing beside it."""
    items = {run_key(step, item): run for step, item, run in timeline.items.values_list("step", "item", "state")}
    timeline.refresh_from_db()
    state: dict[str, Any] = {**timeline.state, "fields": timeline.fields}
    state["runs"] = {**state["runs"].here(), **{key: run for key, run in items.items() if run["status"] != "upcoming"}}
    Timeline.objects.filter(pk=timeline.pk).update(state=state, fields={})
    Item.objects.filter(timeline=timeline.pk).delete()


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> list[Timeline]:
    """Timelines with fields, with items that are done, blocked, waiting and still to come, and one that has ended."""
    monkeypatch.setattr(folded_anew, "BATCH", 2)
    plan["make"], plan["deliver"] = spill("mocha"), spill("a", "b")
    Bar.start(drinks=["latte", "mocha", "latte"])
    Tray.start(cups=list("abcde"))
    Jury.start(members=[{"name": "Ada", "seat": 1}, {"name": "Bob", "seat": 2}])
    with recorded_errors():
        drain()
    plan.clear()
    Bar.start(drinks=["tea"])
    drain()
    timelines = list(Timeline.objects.order_by("id"))
    assert [one.status for one in timelines] == ["blocked", "blocked", "waiting", "completed"]
    for one in timelines:
        as_it_was_before(one)
    return timelines


def test_timelines_that_are_older_than_the_columns_of_fields_and_items_keep_both(older: list[Timeline]) -> None:
    upgrade()

    for one in older:
        assert_holds(one)
    bar, tray, jury, _tea = older
    assert Timeline.objects.get(pk=bar.pk).fields["drinks"] == ["latte", "mocha", "latte"]
    Bar.get(bar.pk).make["mocha"].retry()
    for cup in "ab":
        Tray.get(tray.pk).deliver[cup].retry()
    for member in ("Ada", "Bob"):
        Jury.get(jury.pk).vote[member](points=1)
    drain()
    assert [Timeline.objects.get(pk=one.pk).status for one in older] == ["completed"] * 4
    assert ran["announce"] == 1


def test_an_upgrade_that_was_interrupted_goes_on_and_one_that_is_done_changes_nothing(older: list[Timeline]) -> None:
    connection = connections[router.db_for_write(Timeline)]
    folded_anew._fold(apps, connection.alias, [older[0].pk])

    upgrade()
    upgrade()

    for one in older:
        assert_holds(one)


def test_a_notice_that_was_on_its_way_is_still_heard() -> None:
    supper = Supper.start(guest="Ada", dishes=["soup"])
    drain()
    child = Supper.get(supper.pk).bill.child.timeline
    notice = {"timeline": supper.pk, "source": child.pk, "sequence": child.head, "kind": Notice.ENDED}
    told = Notice.objects.create(**notice)

    upgrade()

    told.refresh_from_db()
    assert (told.step, told.item) == ("bill", "")
