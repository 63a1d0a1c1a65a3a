"""The checker sees each defect that is planted between sound timelines, into a schedule and into a projection."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from django_timelines.events import NewEvent
from django_timelines.graph import Dependency, Node
from django_timelines.state import empty, fold, timeline_status

from .checker import findings
from .history import History, Plan, Projected, Story, Timetable, Told

PARENT, CHILD = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
PLANS = {
    "x.Order": Plan(
        {"place": Node("place"), "pay": Node("pay", (Dependency("place"),))}, {"place": "exactly once"}, undos={}
    ),
    "x.Pay": Plan(
        {"charge": Node("charge")}, {"charge": "at least once", "refund": "at least once"}, undos={"charge": "refund"}
    ),
    "x.Build": Plan(
        {"line": Node("line"), "make": Node("make", (Dependency("line"),)), "end": Node("end", (Dependency("make"),))},
        {"line": "exactly once", "make": "exactly once", "end": "exactly once"},
    ),
}
ORDER = [
    Told(0, "TimelineStarted", data={"fields": {}}),
    Told(0, "StepCalled", "place"),
    Told(0, "AttemptStarted", "place", attempt=1),
    Told(0, "StepCompleted", "place", {"changes": {}}, attempt=1),
    Told(0, "StepDue", "pay"),
    Told(0, "AttemptStarted", "pay", attempt=1),
    Told(0, "StepDue", "pay", {"waiting": True, "child": CHILD.replace("-", "")}, attempt=1),
    Told(0, "StepCompleted", "pay", {"changes": {}}, attempt=1, cause=5, elsewhere=CHILD),
    Told(0, "TimelineCompleted"),
]
PAY = [
    Told(0, "TimelineStarted", data={"fields": {}}),
    Told(0, "StepDue", "charge"),
    Told(0, "AttemptStarted", "charge", attempt=1),
    Told(0, "StepCompleted", "charge", {"changes": {}}, attempt=1),
    Told(0, "TimelineCompleted"),
]
CANCELLED = Told(0, "CancelRequested", data={"compensate": True, "cancelled": [], "reason": "no"})
UNDONE = [
    CANCELLED,
    Told(0, "StepDue", "refund", {"of": "charge"}),
    Told(0, "AttemptStarted", "refund", attempt=1),
    Told(0, "StepUndone", "refund", {"of": "charge", "changes": {}}, attempt=1),
    Told(0, "TimelineCancelled"),
]


def told(id, workflow, events, rows=(), lines=(), **changed):
    """A timeline that is as its events say, but for what is changed."""
    events = [replace(event, sequence=number) for number, event in enumerate(events, 1)]
    state = fold(empty(), [NewEvent(e.type, e.step, e.item, data=e.data, attempt=e.attempt) for e in events], 1)
    sound = Story(id, workflow, "", len(events), str(timeline_status(state)), state, events)
    sound.rows, sound.lines = Counter(rows), Counter({(run, 1): 1 for run in lines})
    return replace(sound, **changed)


def order(events=ORDER, **changed):
    return told(PARENT, "x.Order", events, ["place"], **changed)


def pay(events=PAY, **changed):
    lines = {event.step for event in events if event.type == "AttemptStarted"}
    return told(CHILD, "x.Pay", events, lines=lines, **{"parent": PARENT} | changed)


def found(*stories, **more):
    history = History(PLANS, {one.id: one for one in stories}, **more)
    return [(finding.sort, finding.sentence) for finding in findings(history)]


def test_nothing_is_found_in_a_sound_family():
    assert found(order(), pay()) == []


def test_nothing_is_found_in_a_child_that_is_undone_after_its_end():
    assert found(pay([*PAY, *UNDONE], parent="x")) == []


def test_lost_a_child():
    assert found(order()) == [
        ("lost", f"pay began {CHILD.replace('-', '')}, and there is no timeline"),
        ("lost", f"event 8 has a cause that is not there: 5 of {CHILD}"),
    ]


def test_lost_a_cause_on_another_timeline():
    events = [replace(event, cause=6) if event.elsewhere else event for event in ORDER]

    assert found(order(events), pay()) == [("lost", f"event 8 has a cause that is not there: 6 of {CHILD}")]


def test_lost_the_undo_of_what_was_done():
    assert found(pay([*PAY[:-1], CANCELLED, Told(0, "TimelineCancelled")], parent="x")) == [
        ("lost", "it was to be undone, and charge is not")
    ]


def test_lost_the_undo_of_a_child():
    undo = [
        CANCELLED,
        Told(0, "StepDue", "pay", {"of": "pay", "waiting": True, "child": CHILD.replace("-", "")}),
        Told(0, "StepUndone", "pay", {"of": "pay", "changes": {}}),
        Told(0, "TimelineCancelled"),
    ]

    assert found(order([*ORDER[:-1], *undo]), pay()) == [
        ("lost", "event 11: pay is undone, and of its child charge is not")
    ]
    assert found(order([*ORDER[:-1], *undo]), pay([*PAY, *UNDONE])) == []


def test_doubled_a_child_that_no_event_names():
    other = replace(pay(), id=CHILD.replace("2", "3"))

    assert found(order(), pay(), other) == [
        ("doubled", f"{CHILD.replace('2', '3')} is its child, and no event of its own says so")
    ]


def test_doubled_a_beginning_of_a_child():
    events = [*ORDER[:7], ORDER[6], *ORDER[7:]]

    assert ("doubled", f"{CHILD.replace('-', '')} was begun 2 times") in found(order(events), pay())


def test_out_of_order_a_parent_that_goes_on_before_its_childs_end():
    child = pay([*PAY[:-1], replace(CANCELLED, data={"cancelled": [], "reason": "no"}), Told(0, "TimelineCancelled")])

    assert found(order(), child) == [("out of order", "event 8: pay is completed, and its child is not")]


def test_stuck_a_child_whose_parent_has_ended():
    child = pay(PAY[:-1])

    assert ("stuck", f"it is completed, and its child {CHILD} is waiting") in found(order(), child)


def test_stuck_a_notice_that_nobody_took():
    assert found(notices=1) == [("stuck", "1 notices that nobody took")]


BUILD = [
    Told(0, "TimelineStarted", data={"fields": {}}),
    Told(0, "StepCalled", "line"),
    Told(0, "AttemptStarted", "line", attempt=1),
    Told(0, "StepCompleted", "line", {"changes": {}}, attempt=1),
    Told(0, "StepDue", "make", {"each": 2}),
    Told(0, "StepDue", "make", {"value": "latte"}, item="latte"),
    Told(0, "StepDue", "make", {"value": "mocha"}, item="mocha"),
    Told(0, "AttemptStarted", "make", attempt=1, item="mocha"),
    Told(0, "AttemptStarted", "make", attempt=1, item="latte"),
    Told(0, "StepCompleted", "make", {"changes": {}}, attempt=1, item="latte"),
    Told(0, "StepCompleted", "make", {"changes": {}}, attempt=1, item="mocha"),
    Told(0, "StepDue", "end"),
    Told(0, "AttemptStarted", "end", attempt=1),
    Told(0, "StepCompleted", "end", {"changes": {}}, attempt=1),
    Told(0, "TimelineCompleted"),
]
MADE = ["line", "make[latte]", "make[mocha]", "end"]


def test_nothing_is_found_where_items_are_made_side_by_side():
    assert found(told(CHILD, "x.Build", BUILD, MADE)) == []


def test_lost_and_doubled_the_row_of_an_item():
    rows = ["line", "make[latte]", "make[latte]", "end"]

    assert found(told(CHILD, "x.Build", BUILD, rows)) == [
        ("lost", "make[mocha] completed, and its row is not there"),
        ("doubled", "2 rows of make[latte], which completed 1 times"),
    ]


def test_out_of_order_what_comes_after_items_before_the_last_is_done():
    events = [*BUILD[:10], *BUILD[11:14], BUILD[10], BUILD[14]]

    assert ("out of order", "event 11 (StepDue end) comes before what it comes after was settled") in found(
        told(CHILD, "x.Build", events, MADE)
    )


FOUR, NOON = timedelta(seconds=4), datetime(2030, 6, 1, 12, tzinfo=UTC)
TICKS = [NOON + n * FOUR for n in range(4)]


@pytest.mark.parametrize(
    ("begun", "queue", "wanted"),
    [
        (TICKS, [], []),
        (TICKS[:2], TICKS[2:], []),
        ([TICKS[0], *TICKS[2:]], [], [("lost", f"schedule 'each' passed the tick {TICKS[1]}, and began no timeline")]),
        ([*TICKS, TICKS[1]], [], [("doubled", f"schedule 'each' has 2 timelines for the tick {TICKS[1]}")]),
        (TICKS, TICKS[3:], [("doubled", f"schedule 'each' has 2 timelines for the tick {TICKS[3]}")]),
        (
            [*TICKS, TICKS[3] + FOUR],
            [],
            [("out of order", f"schedule 'each' has come to {TICKS[3]}, and has a timeline for {TICKS[3] + FOUR}")],
        ),
    ],
)
def test_each_tick_has_one_timeline(begun, queue, wanted):
    assert found(timetables=[Timetable("each", FOUR, TICKS[3], begun, queue)]) == wanted


def test_stuck_a_schedule_that_cannot_begin_its_timeline():
    timetable = Timetable("each", FOUR, TICKS[3], TICKS, error="OSError")

    assert found(timetables=[timetable]) == [("stuck", "schedule 'each': OSError")]


ROWS = [(CHILD, 1), (CHILD, 5)]
SOUND = Projected(ROWS, [(CHILD, 5)], {CHILD: 5}, ("TimelineStarted", "TimelineCompleted"), "TimelineCompleted")


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, []),
        ({"rows": ROWS[1:]}, [("lost", "event 1 (TimelineStarted) has no row")]),
        ({"reactions": []}, [("lost", "event 5 (TimelineCompleted) has no reaction")]),
        (
            {"reactions": [(CHILD, 5)] * 2},
            [
                ("out of order", "a reaction of event 5 comes after that of 5"),
                ("doubled", "event 5 (TimelineCompleted) has 2 reactions"),
            ],
        ),
        ({"rows": ROWS[::-1]}, [("out of order", "a row of event 1 comes after that of 5")]),
        ({"rows": [*ROWS, (CHILD, 6)]}, [("doubled", "1 rows of event 6, which is not there")]),
        ({"places": {CHILD: 4}}, [("stuck", "the projection has come to 4 of 5")]),
        ({"error": "It stopped."}, [("stuck", "the projection has stopped: It stopped.")]),
    ],
)
def test_each_event_is_projected_once_and_in_order(changed, wanted):
    assert found(pay(parent=""), projected=replace(SOUND, **changed)) == wanted
