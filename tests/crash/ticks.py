"""A workflow that begins at set times, and its scenarios: a clock dies around a tick, and after three ticks that were missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django_timelines import moments
from django_timelines.engine import clock
from django_timelines.models import Schedule, Timeline
from django_timelines.workflows import Workflow, schedule, step
from tests.shop.models import Entry

from . import worker
from .scenario import Scenario
from .workflows import body
from .world import USING

HOUR = timedelta(hours=1)
PLANNED = datetime(2030, 6, 1, 0, 30, tzinfo=UTC)  # when a clock sees the schedules for the first time


@schedule("0 * * * *", tz="UTC", name="each", missed="all", overlap="allow", given=lambda tick: {"hour": tick.hour})
@schedule("0 * * * *", tz="UTC", name="one by one", missed="all", overlap="queue", given={"hour": 0})
@schedule("0 * * * *", tz="UTC", name="newest", given={"hour": 0})
class Watch(Workflow):
    """A turn of duty."""

    hour: int

    @step
    def relieve(self, hour: int) -> None:
        self.hour = hour
        Entry.objects.create(text=f"relieve {self.pk.hex}")
        body("relieve")

    @step(after=relieve)
    def note(self) -> None:
        Entry.objects.create(text=f"note {self.pk.hex}")
        body("note")


_SCHEDULES = dict(Watch._declaration.schedules)
Watch._declaration.schedules.clear()  # elsewhere its ticks would come between


def deploy() -> None:
    Watch._declaration.schedules.update(_SCHEDULES)


def it_is(moment: datetime) -> None:
    moments.offset = moment - datetime.now(UTC)


def plan() -> None:
    it_is(PLANNED)
    clock.tick(USING)


def an_hour_passes() -> None:
    _go_on_at(PLANNED + HOUR)


def three_hours_pass_without_a_clock() -> None:
    _go_on_at(PLANNED + 3 * HOUR)


def _go_on_at(moment: datetime) -> None:
    it_is(moment)
    clock.tick(USING)
    worker.settle()
    clock.tick(USING)  # what waited for the one before
    worker.settle()
    clock.tick(USING)
    worker.settle()


SCENARIOS = {
    "tick": Scenario(an_hour_passes, (plan,), placed=("away", "here"), deploy=deploy),
    "first look at a schedule": Scenario(plan, after=(an_hour_passes,), placed=("away",), deploy=deploy),
    "ticks that were missed": Scenario(
        three_hours_pass_without_a_clock, (plan,), placed=("away", "here", "rq"), deploy=deploy
    ),
}


def holds(_scenario: Scenario) -> Iterator[str]:
    """Say which ticks a schedule passed without a timeline, or with two, and where rows are not what the events say."""
    begun: dict[str, list[datetime]] = {name: [] for name in _SCHEDULES}
    for one in Timeline.objects.all():
        said = one.state["schedule"]
        begun[said["name"]].append(moments.from_text(said["tick"]))
        completed = one.events.filter(type="StepCompleted").values_list("step", flat=True)
        rows = Entry.objects.filter(text__endswith=one.pk.hex).values_list("text", flat=True)
        if sorted(completed) != sorted(text.split()[0] for text in rows):
            yield f"Completed are {sorted(completed)}; that left the rows {sorted(rows)}."
    for row in Schedule.objects.all():
        passed = _hours_until(row.last_tick)
        wanted = passed[-1:] if row.name == "newest" else passed[: len(passed) - len(row.queue)]
        if sorted(begun[row.name]) != wanted:
            yield f"{row} has come to {row.last_tick}, and began a timeline at each of {sorted(begun[row.name])}."


def _hours_until(last: datetime | None) -> list[datetime]:
    first = PLANNED + HOUR / 2
    return [first + n * HOUR for n in range((last - first) // HOUR + 1)] if last else []
