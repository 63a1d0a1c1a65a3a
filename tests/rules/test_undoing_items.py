"""Rules 3 and 7: whatever came to its end in which order, a cancelled timeline is undone in the reverse of it, each run with the
fields of its time.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from django_timelines.engine.history import state_at
from django_timelines.exceptions import Refused
from django_timelines.models import Event, Run
from django_timelines.state import StepStatus
from django_timelines.testing import assert_holds, drain
from django_timelines.testing.due import carry_out
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(databases="__all__")

TWO_LISTS = """
    class Parcel(Workflow):
        items: list[str]
        last: str = ""
        total: int = 0

        @step
        def begin(self, items: list[str]):
            self.items = items

        @begin.undo
        def unbegin(self):
            ran[f"begin[] {self.last} {self.total}"] += 1

        @step(after=begin, each="items")
        def work(self, item: str):
            self.last = item

        @work.undo
        def unwork(self, item: str):
            ran[f"work[{item}] {self.last} {self.total}"] += 1
            self.last = "undone"

        @step(after=begin, each="items", delivery=AT_LEAST_ONCE)
        def pack(self, item: str):
            self.total += 1

        @pack.undo
        def unpack(self, item: str):
            ran[f"pack[{item}] {self.last} {self.total}"] += 1

        @step(after=begin)
        def weigh(self):
            self.total += 100

        @weigh.undo
        def unweigh(self):
            ran[f"weigh[] {self.last} {self.total}"] += 1

        @step(after=[work, pack, weigh], manual=True)
        def close(self): ...
"""


def go_on(parcel: Any, draw: random.Random, times: int) -> None:
    """Carry out some of what is due, in any order, and correct a field now and then."""
    using = parcel.timeline.using
    for _time in range(times):
        due = list(Run.objects.using(using).filter(timeline=parcel.pk, status=StepStatus.DUE).order_by("id"))
        if due:
            carry_out(draw.choice(due), using, alone=True)
        if draw.random() < 0.2:
            type(parcel).get(parcel.pk).timeline.amend(reason="counted", total=draw.randrange(1000))


@pytest.mark.parametrize("seed", range(4))
def test_items_of_several_lists_and_rounds_are_undone_in_the_reverse_order_with_the_fields_of_their_time(
    seed: int, deploy: Any
) -> None:
    shipping, draw = deploy(TWO_LISTS), random.Random(seed)  # noqa: S311 (to be drawn again)
    parcel = shipping.start(items=list("abcdefg"))
    go_on(parcel, draw, 9)
    if seed % 2:
        shipping.get(parcel.pk).timeline.rewind(to="work", reason="once more")
        go_on(parcel, draw, 6)

    shipping.get(parcel.pk).timeline.cancel(reason="closed", compensate=True)
    completed = Event.objects.filter(timeline=parcel.pk, type="StepCompleted").order_by("-sequence")
    expected = []
    for event in completed:
        then = state_at(parcel.pk, parcel.timeline.using, event.sequence)["fields"]
        expected.append(f"{event.step}[{event.item}] {then['last']} {then['total']}")
    drain()

    assert list(ran) == list(dict.fromkeys(expected))
    assert sum(ran.values()) == len(expected) > 9
    assert shipping.get(parcel.pk).timeline.status == "cancelled"
    assert_holds(shipping.get(parcel.pk))


@pytest.mark.parametrize("verb", [lambda undo: undo.retry(force=True), lambda undo: undo.skip(reason="by hand")])
def test_the_undo_of_an_item_is_retried_and_skipped_by_its_name(verb: Any, deploy: Any) -> None:
    parcel = deploy(TWO_LISTS.replace('self.last = "undone"', 'raise PermanentFailure("lost")')).start(items=["a", "b"])
    drain()
    type(parcel).get(parcel.pk).timeline.cancel(reason="lost", compensate=True)
    drain()
    cancelled = type(parcel).get(parcel.pk)

    with pytest.raises(Refused) as refused:
        verb(cancelled.unwork)

    assert (refused.value.reason, cancelled.unwork.status) == ("item_needed", "blocked")
    assert verb(cancelled.unwork["b"]) in ("due", "completed")
    assert_holds(cancelled)
