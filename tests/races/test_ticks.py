"""Ten clocks look at the same moment: a tick begins one timeline."""

from datetime import UTC, datetime
from typing import Any

import pytest

from django_timelines import moments
from django_timelines.engine import clock
from django_timelines.models import Schedule, Timeline
from django_timelines.testing import assert_holds, travel
from tests.races.at_once import at_once
from tests.shop.here import HERE

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

TEN = 10
CLASS = """
    @schedule("0 12 * * *", tz="UTC", missed={missed!r}, overlap="allow")
    class Parcel(Workflow):
        @step
        def post(self): ...
"""


def look() -> int:
    return clock.tick(HERE)


def at(day: int) -> None:
    moments.offset *= 0
    travel(datetime(2030, 6, day, 12, tzinfo=UTC) - moments.now())


def ticks() -> list[str]:
    states = Timeline.objects.order_by("id").values_list("state", flat=True)
    return [state["schedule"]["tick"][:10] for state in states]


def test_ten_clocks_begin_one_timeline_at_a_tick(deploy: Any) -> None:
    deploy(CLASS.format(missed="once"))
    at(1)
    assert [answer for answer in at_once(*[look] * TEN) if isinstance(answer, BaseException)] == []
    assert Schedule.objects.count() == 1

    for day in (2, 3):
        at(day)
        at_once(*[look] * TEN)
    look()  # on SQLite all may have found the others in their way

    assert ticks() == ["2030-06-02", "2030-06-03"]
    assert_holds()


def test_ten_clocks_catch_up_each_tick_once(deploy: Any) -> None:
    deploy(CLASS.format(missed="all"))
    at(1)
    look()
    at(8)
    at_once(*[look] * TEN)
    look()

    assert sorted(ticks()) == [f"2030-06-0{day}" for day in range(2, 9)]
    assert_holds()


def test_a_clock_that_has_read_an_old_row_begins_no_second_timeline(deploy: Any) -> None:
    deploy("""
        @schedule("0 12 * * *", tz="UTC", given=lambda tick: {"nth": ran.update(nth=ran["nth"] + 1) or ran["nth"]})
        class Parcel(Workflow):
            @step
            def post(self, nth: int): ...
    """)
    at(1)
    look()
    before = Schedule.objects.values().get()
    at(2)
    look()
    Schedule.objects.update(**{name: before[name] for name in ("next_tick", "last_tick", "version", "timeline")})
    look()  # as if the row had been brought back: the key of the tick is in the timelines

    assert ticks() == ["2030-06-02"]
    assert Schedule.objects.get().timeline == Timeline.objects.get().pk
