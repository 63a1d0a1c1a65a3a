"""Schedules: at each tick a timeline begins by itself, once, whoever looks and whatever the clocks of the world do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from django_timelines import moments
from django_timelines.actors import ActorType
from django_timelines.engine import call, clock
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.engine.ticks import pause, resume, status_of
from django_timelines.exceptions import DeclarationError
from django_timelines.models import Event, Run, Schedule, Timeline
from django_timelines.testing import assert_holds, drain, recorded_errors, travel
from django_timelines.workflows import Workflow, schedule, step
from tests.shop.here import HERE
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SYSTEM = clock.this_process(ActorType.CLOCK, "clock")


def at(moment: datetime) -> None:
    """Let it be this moment."""
    moments.offset = timedelta(0)
    travel(moment - moments.now())


def tick() -> None:
    """Let a clock look once."""
    clock.tick(HERE)


def tick_at(*several: datetime) -> None:
    """Let the clock look at each of these moments."""
    for moment in several:
        at(moment)
        tick()


def started() -> list[datetime]:
    """Return the ticks that began a timeline, in order."""
    states = Timeline.objects.order_by("id").values_list("state", flat=True)
    return [moments.from_text(state["schedule"]["tick"]) for state in states]


def row() -> Schedule:
    return Schedule.objects.get()


DAILY = """
    @schedule({cron!r}, tz={tz!r}, {options})
    class Parcel(Workflow):
        @step
        def post(self):
            ran["post"] += 1

        @step(after=post, manual=True)
        def sign(self):
            ran["sign"] += 1
"""


@pytest.fixture
def daily(deploy: Any) -> Callable[..., Any]:
    """Return a workflow that begins at noon of each day, and wait for its first look at noon of 1 June 2030."""

    def declare(options: str = "", cron: str = "0 12 * * *", tz: str = "UTC") -> Any:
        workflow = deploy(DAILY.format(cron=cron, tz=tz, options=options))
        at(noon(1))
        tick()
        return workflow

    return declare


def noon(day: int) -> datetime:
    return datetime(2030, 6, day, 12, tzinfo=UTC)


def test_a_tick_begins_a_timeline_that_the_clock_hands_over(daily: Any) -> None:
    parcel = daily()
    assert (row().next_tick, started()) == (noon(2), [])
    at(noon(2) - timedelta(seconds=5))
    tick()
    assert started() == []

    at(noon(2) + timedelta(seconds=1))
    tick()
    tick()

    assert started() == [noon(2)]
    assert (row().last_tick, row().next_tick, row().outcome) == (noon(2), noon(3), "started")
    assert ran["post"] == 0
    run = Run.objects.get()
    assert (run.status, run.placement) == ("due", "embedded")
    begun = Event.objects.get(sequence=1)
    assert (begun.actor_type, begun.placement, begun.data["schedule"]["tick"]) == (
        "clock",
        "",
        "2030-06-02T12:00:00+00:00",
    )
    assert parcel.get(key="schedule 2030-06-02T12:00:00+00:00").pk == begun.timeline_id
    drain()
    assert ran["post"] == 1
    assert_holds()


def test_the_input_of_the_entry_step_is_given_and_it_runs_in_the_background(deploy: Any) -> None:
    deploy("""
        @schedule("0 12 * * *", tz="Europe/Berlin", given=lambda tick: {"day": tick.isoformat()})
        class Parcel(Workflow):
            day: str

            @step(allowed="group:editors")
            def post(self, day: str):
                self.day = day
    """)
    tick_at(noon(1), noon(2))

    assert (Run.objects.get().placement, Run.objects.get().status) == ("embedded", "due")
    drain()
    assert Timeline.objects.get().state["fields"] == {"day": "2030-06-02T12:00:00+02:00"}
    assert_holds()


@pytest.mark.parametrize(
    ("missed", "expected", "outcome"),
    [
        ("skip", [], "skipped"),
        ("once", [noon(5)], "started"),
        ("all", [noon(2), noon(3), noon(4), noon(5)], "started"),
    ],
)
def test_what_was_missed_is_caught_up_or_skipped_as_declared(
    daily: Any, missed: str, expected: list[datetime], outcome: str
) -> None:
    daily(f"missed={missed!r}, overlap='allow'")
    at(noon(5) + 2 * HOUR)
    tick()
    tick()

    assert started() == expected
    assert (row().last_tick, row().next_tick, row().outcome) == (noon(5), noon(6), outcome)
    at(noon(6))
    tick()
    assert started() == [*expected, noon(6)]


def test_a_tick_in_time_is_not_missed(daily: Any) -> None:
    daily("missed='skip'")
    at(noon(2) + timedelta(seconds=59))
    tick()

    assert started() == [noon(2)]


@pytest.mark.parametrize(
    ("overlap", "now", "later"),
    [
        ("refuse", [noon(2)], [noon(2)]),
        ("queue", [noon(2)], [noon(2), noon(3), noon(4)]),
        ("allow", [noon(2), noon(3), noon(4)], [noon(2), noon(3), noon(4)]),
    ],
)
def test_a_tick_while_the_timeline_before_is_open(
    daily: Any, overlap: str, now: list[datetime], later: list[datetime]
) -> None:
    parcel = daily(f"overlap={overlap!r}")
    for day in (2, 3, 4):
        at(noon(day))
        tick()
        drain()
    assert started() == now
    assert row().queue == ([moments.to_text(noon(3)), moments.to_text(noon(4))] if overlap == "queue" else [])

    for _number in range(3):
        for timeline in Timeline.objects.filter(status="waiting"):
            parcel.get(timeline.pk).sign()
        tick()
        drain()
    assert started() == later
    assert row().queue == []
    assert_holds()


def test_a_queue_keeps_its_order_before_a_new_tick(daily: Any) -> None:
    parcel = daily("overlap='queue'")
    for day in (2, 3):
        at(noon(day))
        tick()
        drain()
    at(noon(4))
    parcel.get(Timeline.objects.get().pk).sign()
    tick()

    assert started() == [noon(2), noon(3)]
    assert row().queue == [moments.to_text(noon(4))]


@pytest.mark.parametrize(("missed", "next_one"), [("all", 102), ("once", 150)])
def test_a_tick_that_finds_the_queue_full_is_to_come_still(daily: Any, missed: str, next_one: int) -> None:
    parcel = daily(f"overlap='queue', missed={missed!r}", cron="* * * * *")
    minutes = [noon(1) + timedelta(minutes=number) for number in range(151)]
    for minute in minutes[1:102]:
        at(minute)
        tick()
    drain()
    at(minutes[150])
    tick()
    assert started() == [minutes[1]]
    assert [moments.from_text(text) for text in row().queue] == minutes[2:102]
    assert row().next_tick == minutes[102]

    parcel.get(Timeline.objects.get().pk).sign()
    tick()

    assert started() == minutes[1:3]
    assert [moments.from_text(text) for text in row().queue] == [*minutes[3:102], minutes[next_one]]
    assert_holds()


# Europe/Berlin: on 31 March 2030 02:00 becomes 03:00, on 27 October 2030 03:00 becomes 02:00
@pytest.mark.parametrize(
    ("cron", "begin", "expected"),
    [
        ("30 2 * * *", "2030-03-29T12:00Z", ["2030-03-30T01:30Z", "2030-03-31T01:00Z", "2030-04-01T00:30Z"]),
        ("30 2 * * *", "2030-10-25T12:00Z", ["2030-10-26T00:30Z", "2030-10-27T00:30Z", "2030-10-28T01:30Z"]),
        ("0 0-22/2 * * *", "2030-03-30T22:00Z", ["2030-03-30T23:00Z", "2030-03-31T01:00Z", "2030-03-31T02:00Z"]),
        ("0 */2 * * *", "2030-03-30T22:00Z", ["2030-03-30T23:00Z", "2030-03-31T02:00Z", "2030-03-31T04:00Z"]),
        ("0 */2 * * *", "2030-10-26T22:00Z", ["2030-10-27T00:00Z", "2030-10-27T01:00Z", "2030-10-27T03:00Z"]),
        ("0,30 2 * * *", "2030-03-30T22:00Z", ["2030-03-31T01:00Z", "2030-04-01T00:00Z", "2030-04-01T00:30Z"]),
        ("*/30 2 * * *", "2030-03-30T22:00Z", ["2030-04-01T00:00Z", "2030-04-01T00:30Z", "2030-04-02T00:00Z"]),
        ("0 7 * * *", "2030-03-29T12:00Z", ["2030-03-30T06:00Z", "2030-03-31T05:00Z", "2030-04-01T05:00Z"]),
        ("0 7 * * *", "2030-10-25T12:00Z", ["2030-10-26T05:00Z", "2030-10-27T06:00Z", "2030-10-28T06:00Z"]),
        ("0 * * * *", "2030-10-26T23:30Z", ["2030-10-27T00:00Z", "2030-10-27T01:00Z", "2030-10-27T02:00Z"]),
        ("0 * * * *", "2030-03-30T23:30Z", ["2030-03-31T00:00Z", "2030-03-31T01:00Z", "2030-03-31T02:00Z"]),
    ],
)
def test_daylight_saving_leaves_out_no_tick_and_brings_none_twice(
    daily: Any, cron: str, begin: str, expected: list[str]
) -> None:
    daily("overlap='allow'", cron=cron, tz="Europe/Berlin")
    Schedule.objects.all().delete()
    moment = datetime.fromisoformat(begin)
    end = datetime.fromisoformat(expected[-1]) + timedelta(minutes=10)
    while moment < end:  # a clock that looks each ten minutes, through the hour that comes twice too
        at(moment)
        tick()
        moment += timedelta(minutes=10)

    assert [f"{one:%Y-%m-%dT%H:%MZ}" for one in started()] == expected


@pytest.mark.parametrize("cron", ["30 2 * * *", "0,30 1,2 * * *"])
def test_a_clock_that_comes_back_in_the_second_of_two_hours_finds_the_tick_of_the_first(daily: Any, cron: str) -> None:
    daily("overlap='allow'", cron=cron, tz="Europe/Berlin")
    Schedule.objects.all().delete()
    at(datetime(2030, 10, 26, 12, tzinfo=UTC))
    tick()
    at(datetime(2030, 10, 27, 1, 15, tzinfo=UTC))  # 02:15 for the second time
    tick()

    assert started() == [datetime(2030, 10, 27, 0, 30, tzinfo=UTC)]
    assert row().next_tick > datetime(2030, 10, 27, 12, tzinfo=UTC)


def test_a_paused_schedule_skips_its_ticks(daily: Any) -> None:
    daily("missed='all'")
    assert pause(row(), SYSTEM)
    assert not pause(row(), SYSTEM)
    at(noon(3))
    tick()
    assert (started(), str(status_of(row()))) == ([], "paused")

    at(noon(3) + HOUR)
    assert resume(row())
    assert not resume(row())
    tick()
    assert (started(), row().next_tick, str(status_of(row()))) == ([], noon(4), "on")
    at(noon(4))
    tick()
    assert started() == [noon(4)]


def test_a_clock_that_read_the_row_before_a_pause_begins_nothing(daily: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    daily()
    at(noon(2))
    look = clock.keep_schedules.__globals__["_look"]

    def after_a_pause(*args: Any) -> Any:
        pause(row(), SYSTEM)
        return look(*args)

    monkeypatch.setitem(clock.keep_schedules.__globals__, "_look", after_a_pause)
    tick()

    assert started() == []


def test_a_clock_that_read_an_old_row_does_not_move_it_back(daily: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    daily("missed='all', overlap='allow'")
    at(noon(3))
    look, answers = clock.keep_schedules.__globals__["_look"], []

    def after_another_clock(*args: Any) -> Any:
        monkeypatch.setitem(clock.keep_schedules.__globals__, "_look", look)
        tick()
        answers.append(look(*args))
        return answers[0]

    monkeypatch.setitem(clock.keep_schedules.__globals__, "_look", after_another_clock)
    tick()

    assert answers == [False]
    assert (started(), row().next_tick, row().last_tick) == ([noon(2), noon(3)], noon(4), noon(3))


def test_a_clock_that_dies_between_the_row_and_the_timeline_leaves_neither(
    daily: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily("missed='skip'")
    at(noon(2))
    start = call.start

    def die(*args: Any) -> None:
        start(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(call, "start", die)
    with pytest.raises(KeyboardInterrupt):
        tick()
    monkeypatch.setattr(call, "start", start)
    assert (started(), row().next_tick, row().last_tick) == ([], noon(2), None)

    tick()
    assert (started(), row().next_tick) == ([noon(2)], noon(3))


def test_a_renamed_workflow_keeps_its_schedule(daily: Any, deploy: Any) -> None:
    daily()
    at(noon(2))
    tick()
    deploy(
        """
        @schedule("0 12 * * *", tz="UTC")
        class Package(Workflow, renamed_from="shop.Parcel"):
            @step
            def post(self): ...

            @step(after=post, manual=True)
            def sign(self): ...
        """,
        "Package",
    )
    at(noon(3))
    tick()

    assert (started(), row().outcome, row().next_tick) == ([noon(2)], "refused", noon(4))


@pytest.mark.parametrize("workflow", ["", "shop.Parcel"])
def test_while_its_workflow_is_paused_ticks_are_missed(daily: Any, workflow: str) -> None:
    daily()
    pause_all("A bad day", workflow)
    at(noon(3))
    tick()
    assert started() == []

    resume_all(workflow)
    tick()
    assert started() == [noon(3)]


def test_a_rejection_of_the_entry_step_is_a_failure(deploy: Any) -> None:
    deploy("""
        @schedule("0 12 * * *", tz="UTC", given={"size": 5})
        class Parcel(Workflow):
            @step
            def post(self, size: int):
                from django.core.exceptions import ValidationError
                raise ValidationError("Too big.")
    """)
    tick_at(noon(1), noon(2))
    with recorded_errors():
        drain()

    assert Timeline.objects.get().state["runs"]["post"]["status"] == "blocked"
    assert_holds()


@pytest.mark.parametrize(
    "given", ["lambda tick: 1 // (len(ran) - 1)", "lambda tick: {} if not ran['mended'] else {'size': 5}"]
)
def test_a_tick_that_cannot_begin_says_why_and_is_tried_again(deploy: Any, given: str) -> None:
    deploy(f"""
        @schedule("0 12 * * *", tz="UTC", given={given})
        class Parcel(Workflow):
            @step
            def post(self, size: int): ...
    """)
    ran.clear()
    ran["one"] = 1
    tick_at(noon(1), noon(2))
    said = row().error
    assert (started(), str(status_of(row()))) == ([], "failing")
    assert said.startswith(("ZeroDivisionError", "Rejected"))
    assert row().next_tick == noon(2)
    assert "Traceback" not in said


def test_an_error_that_cannot_be_told_is_noted_as_any_other(deploy: Any) -> None:
    def fail(tick: Any) -> None:
        raise ValidationError("%(a)s %(b)d", params={"a": 1})

    plan["given"] = fail
    deploy("""
        @schedule("0 12 * * *", tz="UTC", given=lambda tick: plan["given"](tick))
        class Parcel(Workflow):
            @step
            def post(self, size: int): ...
    """)
    tick_at(noon(1), noon(2))

    assert (str(status_of(row())), row().error) == ("failing", "ValidationError: (its message cannot be shown)")


def test_a_mended_tick_begins_what_it_could_not(deploy: Any) -> None:
    deploy("""
        @schedule("0 12 * * *", tz="UTC", missed="all", given=lambda tick: {"size": 5} if ran["mended"] else {})
        class Parcel(Workflow):
            @step
            def post(self, size: int): ...
    """)
    tick_at(noon(1), noon(2))
    ran["mended"] = 1
    tick()
    assert started() == []
    travel(timedelta(minutes=1, seconds=1))
    tick()

    assert (started(), row().error, row().outcome) == ([noon(2)], "", "started")


FAILS_UNTIL_MENDED = """
    @schedule({cron!r}, tz="UTC", missed="skip", overlap={overlap!r}, given=lambda tick: {{"size": 5}} if ran["mended"] else {{}})
    class Parcel(Workflow):
        @step
        def post(self, size: int): ...
"""


@pytest.mark.parametrize("tries", [1, 3])
def test_a_tick_that_could_not_begin_is_not_missed(deploy: Any, tries: int) -> None:
    deploy(FAILS_UNTIL_MENDED.format(cron="*/5 * * * *", overlap="refuse"))
    at(noon(1))
    tick()
    for minute in range(5, 5 + tries):
        at(noon(1) + timedelta(minutes=minute, seconds=minute))
        tick()
    ran["mended"] = 1
    at(noon(1) + timedelta(minutes=5 + tries, seconds=30))
    tick()

    assert (started(), row().error, row().outcome) == ([noon(1) + timedelta(minutes=5)], "", "started")


def test_a_newer_tick_takes_the_place_of_one_that_could_not_begin(deploy: Any) -> None:
    deploy(FAILS_UNTIL_MENDED.format(cron="*/5 * * * *", overlap="refuse"))
    at(noon(1))
    tick()
    for minute in range(5, 13):
        at(noon(1) + timedelta(minutes=minute, seconds=minute))
        tick()
    ran["mended"] = 1
    at(noon(1) + timedelta(minutes=13, seconds=30))
    tick()

    assert (started(), row().outcome) == ([noon(1) + timedelta(minutes=10)], "started")


def test_a_tick_that_no_clock_came_to_is_missed_though_one_before_it_could_not_begin(deploy: Any) -> None:
    deploy(FAILS_UNTIL_MENDED.format(cron="0 12 * * *", overlap="refuse"))
    tick_at(noon(1), noon(2))
    assert str(status_of(row())) == "failing"
    at(noon(4) + HOUR)
    tick()

    assert (started(), row().outcome, row().next_tick) == ([], "skipped", noon(5))
    assert (row().error, str(status_of(row()))) == ("", "on")


def test_a_schedule_whose_times_change_is_not_failing(deploy: Any) -> None:
    deploy(FAILS_UNTIL_MENDED.format(cron="0 12 * * *", overlap="refuse"))
    tick_at(noon(1), noon(2))
    deploy(FAILS_UNTIL_MENDED.format(cron="0 18 * * *", overlap="refuse"))
    tick()

    assert (str(status_of(row())), row().next_tick) == ("on", noon(2) + 6 * HOUR)


@pytest.mark.parametrize(("overlap", "outcome"), [("refuse", "refused"), ("queue", "queued")])
def test_a_schedule_that_could_not_begin_and_need_not_is_not_failing(deploy: Any, overlap: str, outcome: str) -> None:
    deploy(FAILS_UNTIL_MENDED.format(cron="0 12 * * *", overlap=overlap))
    ran["mended"] = 1
    tick_at(noon(1), noon(2))
    Schedule.objects.update(error="OSError: the disk was full", ring=noon(3))
    at(noon(3))
    tick()

    assert (row().outcome, str(status_of(row()))) == (outcome, "on")


def test_a_schedule_whose_times_change_goes_on_with_the_new_ones(daily: Any) -> None:
    daily()
    daily(cron="0 18 * * *")
    tick()

    assert (row().cron, row().next_tick) == ("0 18 * * *", noon(1) + 6 * HOUR)


class TwoReleases:
    """Clocks of two releases, each of which looks each second, half a second after the other."""

    def __init__(self, deploy: Any, old: str, new: str, options: str = "overlap='allow'") -> None:
        self._deploy = deploy
        self._clocks = [(DAILY.format(cron=cron, tz="UTC", options=options), clock.Clock(HERE)) for cron in (old, new)]

    def around(self, moment: datetime, first: int) -> None:
        """Let both look thrice before this moment and after it, from the one that is named."""
        for number in range(-6, 6):
            self.look((first + number) % 2, moment + timedelta(milliseconds=100 + 500 * number))

    def look(self, release: int, moment: datetime) -> None:
        """Let a clock of this release look at this moment."""
        source, looking = self._clocks[release]
        self._deploy(source)
        at(moment)
        looking.turn()


@pytest.mark.parametrize("first", [0, 1])
def test_a_schedule_whose_times_two_releases_say_differently_has_the_ticks_of_both(
    deploy: Any, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    both = TwoReleases(deploy, "0 12 * * *", "0 18 * * *")
    ticks = [noon(1), noon(1) + 6 * HOUR, noon(2), noon(2) + 6 * HOUR]
    for moment in ticks:
        both.around(moment, first)

    assert started() == ticks
    said = [record.getMessage() for record in caplog.records if "Two releases" in record.getMessage()]
    assert sorted(said) == [
        "Two releases keep shop.Parcel: it has 0 12 * * * (UTC) here, and 0 18 * * * (UTC) elsewhere. End the old clocks.",
        "Two releases keep shop.Parcel: it has 0 18 * * * (UTC) here, and 0 12 * * * (UTC) elsewhere. End the old clocks.",
    ]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("overlap", ["allow", "queue", "refuse"])
def test_a_tick_that_both_releases_have_begins_one_timeline(deploy: Any, overlap: str, first: int) -> None:
    both = TwoReleases(deploy, "0 12 * * *", "0 12,18 * * *", f"overlap={overlap!r}")
    both.around(noon(1) + 7 * HOUR, first)
    both.around(noon(2), first)

    assert started() == [noon(2)]
    assert (row().last_tick, row().outcome, row().queue) == (noon(2), "started", [])


def test_what_comes_while_a_schedule_of_two_releases_is_paused_is_skipped(deploy: Any) -> None:
    both = TwoReleases(deploy, "0 12 * * *", "0 18 * * *")
    both.around(noon(1) + HOUR, 0)
    pause(row(), SYSTEM)
    both.around(noon(2), 0)
    both.around(noon(3), 0)
    resume(row())
    both.around(noon(3) + HOUR, 0)

    assert started() == []


def test_a_clock_of_new_times_begins_with_the_first_of_them_from_then_on(deploy: Any) -> None:
    both = TwoReleases(deploy, "0 18 * * *", "0 12 * * *")
    both.look(0, noon(1))
    both.look(1, noon(2) + timedelta(seconds=30))

    assert (started(), row().next_tick) == ([], noon(3))


def test_a_schedule_that_the_code_no_longer_has_begins_nothing(daily: Any, deploy: Any) -> None:
    daily()
    deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...
    """)
    at(noon(3))
    tick()

    assert (started(), str(status_of(row()))) == ([], "not in the code")


WITHOUT = """
    class Parcel(Workflow):
        @step
        def post(self): ...
"""


@pytest.mark.parametrize("missed", ["once", "all"])
def test_a_schedule_that_is_put_back_skips_what_came_meanwhile(daily: Any, deploy: Any, missed: str) -> None:
    options = f"missed={missed!r}, overlap='queue'"
    parcel = daily(options)
    tick_at(noon(2), noon(3))
    assert (started(), row().queue) == ([noon(2)], [moments.to_text(noon(3))])
    parcel.get(Timeline.objects.get().pk).timeline.cancel(reason="No longer done.")
    deploy(WITHOUT)
    for day in (4, 5, 6):
        at(noon(day) + 2 * HOUR)
        clock.Clock(HERE).turn()

    put_back(deploy, options, noon(6) + 3 * HOUR)
    assert (started(), row().next_tick, row().queue) == ([noon(2)], noon(7), [])
    at(noon(7))
    tick()
    assert started() == [noon(2), noon(7)]


def test_a_tick_of_the_last_hour_is_left_to_code_that_has_the_schedule(daily: Any, deploy: Any) -> None:
    daily()
    deploy(WITHOUT)
    at(noon(2) + timedelta(minutes=59))
    clock.Clock(HERE).turn()

    put_back(deploy, "", noon(2) + HOUR)

    assert started() == [noon(2)]


@pytest.mark.parametrize("workflow", ["", "shop.Parcel"])
def test_while_its_workflow_is_paused_code_without_the_schedule_skips_nothing(
    daily: Any, deploy: Any, workflow: str
) -> None:
    daily()
    deploy(WITHOUT)
    pause_all("A release", workflow)
    at(noon(3))
    clock.Clock(HERE).turn()
    resume_all(workflow)

    put_back(deploy, "", noon(3) + HOUR)

    assert started() == [noon(3)]


def test_nor_does_it_skip_a_tick_that_fails_or_finds_the_queue_full_elsewhere(daily: Any, deploy: Any) -> None:
    daily()
    deploy(WITHOUT)
    at(noon(2) + 2 * HOUR)
    for kept in ({"error": "OSError: the disk was full", "ring": moments.now()}, {"queue": ["later"] * 100}):
        Schedule.objects.update(**{"error": "", "ring": noon(2), "queue": [], **kept})
        clock.Clock(HERE).turn()
        assert row().next_tick == noon(2)


def test_a_removed_schedule_whose_times_nobody_can_read_keeps_the_clock_from_nothing_else(
    daily: Any, deploy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    daily()
    deploy(WITHOUT)
    Schedule.objects.update(tz="Europe/Bonn")
    at(noon(2) + 2 * HOUR)
    clock.Clock(HERE).turn()

    assert row().next_tick == noon(2)
    assert "could not look at a schedule of shop.Parcel" in caplog.text


def put_back(deploy: Any, options: str, moment: datetime) -> None:
    """Deploy the schedule again, and let a clock look then."""
    deploy(DAILY.format(cron="0 12 * * *", tz="UTC", options=options))
    at(moment)
    tick()


def test_a_class_has_several_schedules_by_name(deploy: Any) -> None:
    deploy("""
        @schedule("0 12 * * *", tz="UTC", name="noon")
        @schedule("0 18 * * *", tz="UTC", name="evening")
        class Parcel(Workflow):
            @step
            def post(self): ...
    """)
    at(noon(1))
    tick()
    at(noon(2) - HOUR)
    tick()

    assert started() == [noon(1) + 6 * HOUR]
    assert sorted(Schedule.objects.values_list("name", flat=True)) == ["evening", "noon"]


def test_schedules_whose_names_differ_by_spaces_begin_a_timeline_each(deploy: Any) -> None:
    names = ("", " ", "a b", "a  b", " a b")
    lines = "\n".join(f"@schedule('0 12 * * *', tz='UTC', name={name!r})" for name in names)
    deploy(f"{lines}\nclass Parcel(Workflow):\n    @step\n    def post(self): ...\n")
    at(noon(1))
    tick()
    at(noon(2))
    tick()

    assert started() == [noon(2)] * len(names)


def declared(*args: Any, **options: Any) -> None:
    @schedule(*args, **options)
    class Nightly(Workflow):
        @step
        def begin(self, size: int = 5): ...


@pytest.mark.parametrize(
    ("cron", "options", "said"),
    [
        ("0 7 * *", {}, "five fields"),
        ("* * * * * *", {}, "five fields"),
        (7, {}, "five fields"),
        ("0 25 * * *", {}, "Bad hour"),
        ("0 0 31 2 *", {}, "Bad day-of-month"),
        ("0 0 * 2 MON#5", {}, None),
        ("0 0 31 4,6 MON#1", {}, None),
        ("0 7 * * *", {"tz": "Europe/Bonn"}, "no time zone 'Europe/Bonn'"),
        ("0 7 * * *", {"tz": "../etc/passwd"}, "no time zone"),
        ("0 7 * * *", {"tz": 5}, "no time zone"),
        ("0 7 * * *", {"missed": "never"}, "'skip', 'once', 'all'"),
        ("0 7 * * *", {"overlap": True}, "'refuse', 'queue', 'allow'"),
        ("0 7 * * *", {"name": "x" * 101}, "at most 100"),
        ("0 7 * * *", {"given": 5}, "neither a dict nor a function"),
        ("0 7 * * *", {"given": {"weight": 5}}, "does not take"),
        ("0 7 * * *", {"given": {"size": "big"}}, "does not fit"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(
    deploy: Any, cron: Any, options: dict[str, Any], said: str | None
) -> None:
    if said is None:
        declared(cron, **options)
        return
    with pytest.raises(DeclarationError, match=said):
        declared(cron, **options)


def test_a_schedule_that_never_fires_is_refused(deploy: Any) -> None:
    with pytest.raises(DeclarationError, match="never fires"):
        declared("0 0 */30 2 MON#2")  # the 1st or 31st, and the second Monday


def test_a_schedule_must_give_what_the_entry_step_needs(deploy: Any) -> None:
    with pytest.raises(DeclarationError, match="needs size, which nobody gives"):

        @schedule("0 7 * * *")
        class Needy(Workflow):
            @step
            def begin(self, size: int): ...


def test_two_schedules_of_one_name_and_one_of_no_workflow_are_refused(deploy: Any) -> None:
    with pytest.raises(DeclarationError, match="Give each a name="):

        @schedule("0 7 * * *")
        @schedule("0 8 * * *")
        class Twice(Workflow):
            @step
            def begin(self): ...

    with pytest.raises(DeclarationError, match="no workflow class"):
        schedule("0 7 * * *")(int)
