"""The checker sees each defect that is planted into a sound history."""

from collections import Counter
from dataclasses import replace

import pytest

from django_timelines.events import NewEvent
from django_timelines.graph import Dependency, Node
from django_timelines.state import empty, fold, is_open, timeline_status

from .checker import findings
from .history import Answer, History, OpenRun, Plan, Story, Told

PLAN = Plan(
    nodes={
        "begin": Node("begin"),
        "mail": Node("mail", (Dependency("begin"),)),
        "send": Node("send", (Dependency("mail"),)),
    },
    deliveries={"begin": "exactly once", "mail": "at least once", "send": "at most once"},
    sums={"counted": ("begin",)},
)
ANSWERS = [Answer("start", "x.Post", "t1", "k1"), Answer("call", "x.Post", "t1", "c1", "begin")]
EVENTS = [
    Told(1, "TimelineStarted", data={"fields": {"counted": 0}}),
    Told(2, "StepCalled", "begin", {"key": "c1"}, cause=1),
    Told(3, "AttemptStarted", "begin", attempt=1, cause=1),
    Told(4, "StepCompleted", "begin", {"changes": {"counted": 1}}, attempt=1, cause=1),
    Told(5, "StepDue", "mail", cause=1),
    Told(6, "AttemptStarted", "mail", attempt=1, cause=5),
    Told(7, "AttemptInterrupted", "mail", {"due": "2026-01-01T00:00:00+00:00"}, attempt=1),
    Told(8, "AttemptStarted", "mail", attempt=2, cause=7),
    Told(9, "StepCompleted", "mail", attempt=2, cause=8),
    Told(10, "StepDue", "send", cause=9),
    Told(11, "AttemptStarted", "send", attempt=1, cause=9),
    Told(12, "StepCompleted", "send", attempt=1, cause=11),
    Told(13, "TimelineCompleted", cause=12),
]
LINES = {("mail", 1): 1, ("mail", 2): 1, ("send", 1): 1}


def story(events=EVENTS, **changed):
    """A timeline that is as its events say, but for what is changed."""
    state = fold(empty(), [NewEvent(e.type, e.step, e.item, 0, e.data, e.attempt) for e in events], 1)
    runs = [
        OpenRun(key, run["status"], run["fence"], run["attempt"], leased=run["status"] == "running")
        for key, run in state["runs"].items()
        if is_open(run)
    ]
    sound = Story("t1", "x.Post", "k1", len(events), str(timeline_status(state)), state, list(events), runs)
    sound.rows, sound.lines = Counter({"begin": 1}), Counter(LINES)
    return replace(sound, **changed)


def found(*stories, answers=ANSWERS, orphans=0):
    """What the checker finds, as sort and sentence."""
    history = History({"x.Post": PLAN}, {one.id: one for one in stories}, answers, orphans)
    return [(finding.sort, finding.sentence) for finding in findings(history)]


def without(*sequences, then=()):
    """The sound events without these, and with others at the end, numbered anew."""
    left = [event for event in EVENTS if event.sequence not in sequences]
    return [replace(event, sequence=n, cause=None) for n, event in enumerate([*left, *then], 1)]


def until(sequence, *then):
    """The first of the sound events, and others behind them."""
    return without(*range(sequence + 1, 14), then=then)


def test_nothing_is_found_in_a_sound_history():
    assert found(story()) == []


def test_nothing_is_found_where_a_person_had_an_effect_tried_again():
    again = until(11, Told(0, "AttemptInterrupted", "send", attempt=1), Told(0, "StepBlocked", "send", attempt=1))
    again += [Told(14, "StepDue", "send"), Told(15, "AttemptStarted", "send", attempt=2)]
    again += [Told(16, "StepCompleted", "send", attempt=2), Told(17, "TimelineCompleted")]

    assert found(story(again, lines=Counter({**LINES, ("send", 2): 1}))) == []


def test_lost_a_timeline_whose_start_and_call_were_answered():
    assert found() == [
        ("lost", "a start was answered (k1), and there is no timeline"),
        ("lost", "a call was answered (c1), and there is no timeline"),
    ]


def test_lost_a_call_that_was_answered():
    answers = [*ANSWERS, Answer("call", "x.Post", "t1", "c2", "begin")]

    assert found(story(), answers=answers) == [("lost", "a call of begin was answered (c2), and has no event")]


def test_lost_a_timeline_that_does_not_end():
    assert found(story(until(10), lines=Counter({("mail", 1): 1, ("mail", 2): 1}))) == [
        ("lost", "it does not end: send is due.")
    ]


def test_lost_the_row_of_an_exactly_once_step():
    assert found(story(rows=Counter())) == [("lost", "begin completed, and its row is not there")]


def test_lost_an_effect_outside():
    lines = Counter({("mail", 1): 1, ("mail", 2): 1})

    assert found(story(lines=lines)) == [("lost", "send completed, and its effect did not happen")]


def test_lost_an_update():
    events = [replace(event, data={"changes": {"counted": 3}}) if event.sequence == 4 else event for event in EVENTS]

    assert found(story(events)) == [("lost", "counted is 3, and begin added 1")]


def test_doubled_the_row_of_an_exactly_once_step():
    assert found(story(rows=Counter({"begin": 2}))) == [("doubled", "2 rows of begin, which completed 1 times")]


def test_doubled_a_row_of_an_attempt_that_did_not_complete():
    events = until(3, Told(0, "AttemptFailed", "begin", {"due": "2026-01-01T00:00:00+00:00"}, attempt=1))

    assert ("doubled", "1 rows of begin, which completed 0 times") in found(story(events, lines=Counter()))


@pytest.mark.parametrize("step", ["mail", "send"])
def test_doubled_an_effect_of_one_attempt(step):
    lines = Counter({**LINES, (step, 1): 2})

    assert found(story(lines=lines)) == [("doubled", f"attempt 1 at {step} had its effect 2 times")]


def test_doubled_an_effect_before_its_start_was_committed():
    lines = Counter({**LINES, ("send", 2): 1})

    assert found(story(lines=lines)) == [
        ("doubled", "attempt 2 at send had its effect, and no event says that it began")
    ]


def test_doubled_an_at_most_once_attempt_that_nobody_asked_for():
    events = until(11, Told(0, "AttemptInterrupted", "send", attempt=1), Told(0, "AttemptStarted", "send", attempt=2))
    events += [Told(14, "StepCompleted", "send", attempt=2), Told(15, "TimelineCompleted")]

    assert found(story(events)) == [("doubled", "send was begun again, and nobody asked for it")]


def test_doubled_a_call_by_one_key():
    twice = Told(0, "StepCalled", "begin", {"key": "c1"})
    events = [replace(e, sequence=n, cause=None) for n, e in enumerate([*EVENTS[:2], twice, *EVENTS[2:]], 1)]

    assert found(story(events)) == [("doubled", "the key c1 has two calls")]


def test_a_rejected_call_frees_its_key():
    rejected = Told(0, "StepRejected", "begin", {"errors": ["no"]}, attempt=1)
    events = [*EVENTS[:3], rejected, *EVENTS[1:]]
    events = [replace(e, sequence=n, cause=None) for n, e in enumerate(events, 1)]

    assert found(story(events)) == []


def test_doubled_a_timeline_for_one_key():
    assert found(story(), story(id="t2")) == [("doubled", "the key k1 has 2 timelines")]


def test_doubled_an_answer_with_another_timeline():
    answers = [*ANSWERS, Answer("start", "x.Post", "t2", "k1")]

    assert ("doubled", "the key k1 has 2 timelines") in found(story(), story(id="t2", key=""), answers=answers)


def test_stuck_an_open_run_that_no_clock_looks_at():
    one = story(until(10), runs=[OpenRun("send", "due", 10, rung=False)])

    assert ("stuck", "send is due, and no clock will look at it") in found(one)


def test_stuck_a_deadline_that_no_clock_looks_at():
    events = until(9, Told(0, "StepDue", "send", {"waiting": True, "until": "2026-01-01T00:00:00+00:00"}))
    one = story(events, runs=[OpenRun("send", "waiting", 10, rung=False, until=True)])

    assert ("stuck", "send is waiting, and no clock will look at it") in found(one)


def test_stuck_a_lease_on_a_run_that_nobody_executes():
    one = story(until(10), runs=[OpenRun("send", "due", 10, leased=True)])

    assert ("stuck", "send is due, and has a lease") in found(one)


def test_stuck_a_lease_of_no_run():
    assert found(story(), orphans=2) == [("stuck", "2 leases of runs that are not there")]


def test_stuck_a_row_unlike_the_state():
    one = story(until(10), runs=[OpenRun("send", "due", 9)])

    assert ("stuck", "its open runs are {'send': ('due', 9, 0)}, and its state says {'send': ('due', 10, 0)}") in found(
        one
    )


def test_stuck_an_open_run_of_a_timeline_that_has_ended():
    assert ("stuck", "it is completed, and send still open") in found(story(runs=[OpenRun("send", "due", 10)]))


def test_a_late_result_that_is_recorded_and_not_applied_is_in_order():
    late = Told(9, "AttemptInterrupted", "mail", {"superseded": True, "outcome": "completed"}, attempt=1, cause=6)
    events = [*EVENTS[:8], late, *(replace(event, sequence=event.sequence + 1) for event in EVENTS[8:])]

    assert found(story(events)) == []
    assert found(story([*EVENTS, replace(late, sequence=len(EVENTS) + 1)])) == []  # also after the end


def test_out_of_order_a_gap():
    sound = story()
    events = [event for event in EVENTS if event.sequence != 7]

    assert ("out of order", "its events are [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13], and its head is 13") in found(
        replace(sound, events=events)
    )


def test_out_of_order_an_event_before_its_cause():
    events = [replace(event, cause=12) if event.sequence == 9 else event for event in EVENTS]

    assert found(story(events)) == [("out of order", "event 9 (StepCompleted mail) comes before its cause, event 12")]


def test_out_of_order_a_step_before_what_it_comes_after_was_settled():
    events = [EVENTS[n - 1] for n in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 9, 13)]
    events = [replace(event, sequence=n, cause=None) for n, event in enumerate(events, 1)]

    assert found(story(events)) == [
        ("out of order", "event 9 (StepDue send) comes before what it comes after was settled"),
        ("out of order", "event 10 (AttemptStarted send) comes before what it comes after was settled"),
    ]


def test_out_of_order_a_state_that_is_not_the_fold():
    one = story()
    one.state["keys"] = {}

    assert found(one) == [("out of order", "its state is not the fold of its events: keys differ")]


def test_out_of_order_a_status_that_the_events_do_not_say():
    assert found(story(status="cancelled")) == [
        ("out of order", "its status is cancelled, and its events say completed")
    ]


def test_out_of_order_an_attempt_with_a_wrong_number():
    assert found(story(without(6, 7), lines=Counter({("mail", 2): 1, ("send", 1): 1}))) == [
        ("out of order", "event 6 (AttemptStarted mail) begins attempt 2 after attempt 0")
    ]


def test_out_of_order_an_attempt_while_another_is_under_way():
    assert found(story(without(7))) == [
        ("out of order", "event 7 (AttemptStarted mail) begins attempt 2 while attempt 1 is under way")
    ]


def test_out_of_order_an_end_of_an_attempt_that_was_not_under_way():
    assert found(story(without(11), lines=Counter({("mail", 1): 1, ("mail", 2): 1, ("send", 1): 1}))) == [
        ("doubled", "attempt 1 at send had its effect, and no event says that it began"),
        ("out of order", "event 11 (StepCompleted send) ends attempt 1, which was not under way"),
    ]


def test_out_of_order_a_step_that_is_settled_twice():
    again = Told(0, "StepSkipped", "send")

    assert found(story(without(13, then=[again, Told(0, "TimelineCompleted")]))) == [
        ("out of order", "event 13 (StepSkipped send) comes after the step was done")
    ]


def test_out_of_order_an_event_after_the_end():
    events = [*EVENTS, Told(14, "Amended", cause=13)]

    assert found(story(events)) == [("out of order", "event 14 (Amended ) comes after the end")]
