"""Rules 3 and 6 with many items: what is said of all of them costs what it must, and what is said of one costs what it did."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from django_timelines import items
from django_timelines.exceptions import PermanentFailure
from django_timelines.models import Item, Timeline
from django_timelines.testing import assert_holds, drain, recorded_errors
from django_timelines.testing.due import carry_out, next_due
from tests.counting import rows_read
from tests.shop.workflows import Bar, Supper, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")


def made(count: int) -> Bar:
    """Return a bar that has made so many drinks, and cannot serve them."""
    plan["serve"] = lambda bar: (_ for _ in ()).throw(PermanentFailure("closed"))
    bar = Bar.start(drinks=[f"drink {number:05}" for number in range(count)])
    with recorded_errors():
        drain()
    return Bar.get(bar.pk)


def undo(bar: Any) -> Counter[str]:
    """Undo what is to be undone next; return how many rows that read."""
    run = next_due(bar.timeline.using, bar.pk)
    assert run is not None
    with rows_read(bar.timeline.using) as read:
        carry_out(run, bar.timeline.using, alone=True)
    return read


def test_undoing_one_of_many_items_reads_no_more_rows_than_one_of_a_few() -> None:
    read = {}
    for count in (20, 120):
        bar = made(count)
        bar.timeline.cancel(reason="closed", compensate=True)
        undo(bar)
        undo(bar)
        read[count] = undo(bar)

    assert read[120] == read[20]
    assert read[120]["item"] + read[120]["event"] < 30


def test_so_does_a_rewind_that_undoes_them_and_each_leaves_the_timelines_row() -> None:
    read = {}
    for count in (20, 120):
        bar = made(count)
        bar.timeline.rewind(to="make", reason="once more", undo=True)
        undo(bar)
        undo(bar)
        read[count] = undo(bar)
        assert len(Timeline.objects.get(pk=bar.pk).state["past"]) == count - 3

    assert read[120] == read[20]


def test_undoing_many_children_reads_a_few_rows_for_each() -> None:
    supper = Supper.start(guest="all", dishes=[f"dish {number:05}" for number in range(30)])
    drain()
    supper.timeline.cancel(reason="closed", compensate=True)

    with rows_read(supper.timeline.using) as read:
        drain()

    assert Supper.get(supper.pk).timeline.status == "cancelled"
    assert read["item"] + read["event"] < 30 * 25
    assert_holds()


def test_what_undoes_items_is_counted_and_stays_no_part_of_the_timelines_row() -> None:
    bar = made(12)
    bar.timeline.cancel(reason="closed", compensate=True)
    undo(bar)
    undo(bar)

    runs = Timeline.objects.get(pk=bar.pk).state["runs"].here()
    assert {*runs} == {"line_up", "make", "serve", "pour_away"}
    assert runs["pour_away"]["each"] == {"count": 3, "completed": 2, "due": 1}
    assert Item.objects.filter(timeline=bar.pk, step="pour_away").count() == 3
    assert Bar.get(bar.pk).pour_away.status == "running"

    drain()

    assert (Bar.get(bar.pk).pour_away.status, Bar.get(bar.pk).timeline.status) == ("completed", "cancelled")
    assert_holds(Bar.get(bar.pk))


def test_what_undoes_an_item_sees_the_fields_as_they_were_when_it_completed(deploy: Any) -> None:
    shipping = deploy("""
        class Parcel(Workflow):
            items: list[str]
            last: str = ""
            note: str = "none"
            weight: int

            @step
            def begin(self, items: list[str]):
                self.items = items

            @step(after=begin, each="items")
            def work(self, item: str):
                self.last = item

            @work.undo
            def unwork(self, item: str):
                ran[f"{item} undone: {self.last}, {self.note}, {self.weight}"] += 1
                self.note = "undone"

            @step(after=work, manual=True)
            def close(self): ...
    """)
    parcel = shipping.start(items=["a", "b", "c"])
    parcel.timeline.amend(reason="weighed", weight=3)
    for note in ("first", "second", "third"):
        carry_out(next_due(parcel.timeline.using, parcel.pk), parcel.timeline.using, alone=True)
        shipping.get(parcel.pk).timeline.amend(reason="noted", note=note)

    shipping.get(parcel.pk).timeline.cancel(reason="closed", compensate=True)
    drain()

    assert sorted(ran) == ["a undone: a, none, 3", "b undone: b, first, 3", "c undone: c, second, 3"]
    assert_holds(shipping.get(parcel.pk))


def test_erasing_many_items_takes_no_more_statements_than_erasing_a_few() -> None:
    taken = {}
    for count in (20, 120):
        bar = Bar.start(drinks=[f"drink {number:05}" for number in range(count)])
        bar.timeline.cancel(reason="closed")
        with rows_read(bar.timeline.using) as read:
            Bar.get(bar.pk).timeline.erase(reason="asked to")
        taken[count] = read["statements"]
        assert set(Item.objects.filter(timeline=bar.pk).values_list("state__item", flat=True)) == {None}
        assert_holds(Bar.get(bar.pk))

    assert taken[120] == taken[20]


def test_what_a_person_does_to_many_open_items_takes_no_more_statements_than_to_a_few() -> None:
    taken = {}
    for count in (20, 100):
        cancelled, rewound = (Bar.start(drinks=[f"drink {number:05}" for number in range(count)]) for _bar in range(2))
        with rows_read(cancelled.timeline.using) as read:
            cancelled.timeline.pause(reason="lunch")
            cancelled.timeline.resume()
            cancelled.timeline.cancel(reason="closed")
            rewound.timeline.rewind(to="line_up", reason="mistyped")
        taken[count] = read["statements"]
        assert (Bar.get(cancelled.pk).timeline.status, Bar.get(rewound.pk).make.status) == ("cancelled", "upcoming")
        assert not Item.objects.filter(timeline=rewound.pk).exists()
        assert_holds()

    assert taken[100] == taken[20]


def test_correcting_a_field_reads_no_items() -> None:
    bar = Bar.start(drinks=["latte", "mocha"])

    with rows_read(bar.timeline.using) as read:
        bar.timeline.amend(reason="mistyped", drink="tea")

    assert read["item"] == 0
    assert_holds(Bar.get(bar.pk))


def test_a_body_knows_how_each_item_stands_however_many_its_runner_has_executed(
    deploy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "MANY", 3)
    shipping = deploy("""
        class Parcel(Workflow):
            items: list[str]

            @step
            def begin(self, items: list[str]):
                self.items = items

            @step(after=begin, each="items", at_once=1)
            def work(self, item: str):
                ran[f"first is {self.work['0'].status}"] += 1
    """)

    shipping.start(items=[str(number) for number in range(8)])
    drain()

    assert ran == {"first is running": 1, "first is completed": 7}
