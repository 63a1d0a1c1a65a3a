"""Rule 2: what an earlier round has begun goes on to its end beside the new one, and nothing waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from django_timelines.engine import clock
from django_timelines.engine.answer import answer
from django_timelines.engine.claim import claim
from django_timelines.engine.execute import execute
from django_timelines.exceptions import PermanentFailure, Refused, Rejected
from django_timelines.models import Event, Lease, Run
from django_timelines.placements import Bell
from django_timelines.testing import assert_holds, drain, recorded_errors, travel
from tests.races.at_once import Started, meanwhile
from tests.races.workers import worker
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Issue, Paper, plan, ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def fresh(paper: Any) -> Any:
    return Paper.get(paper.pk)


def row_of(paper: Any, step: str) -> Run:
    return Run.objects.using(HERE).get(timeline=paper.pk, step=step)


def claimed(paper: Any, step: str, name: str = "one") -> Any:
    held = claim(paper.pk, (step, ""), row_of(paper, step).fence, worker(name))
    assert held is not None
    return held


def reviewed(verdict: str = "poor") -> Any:
    """Return a paper with the verdict, whose printing, counting and sending back are due."""
    paper = Paper.start(text="x")
    paper.review(verdict=verdict)
    return fresh(paper)


def sent_back(paper: Any) -> Any:
    run = row_of(paper, "send_back")
    answer(paper.pk.hex, "send_back", "", run.fence, HERE, "embedded")
    return fresh(paper)


def events_of(paper: Any, step: str) -> list[tuple[str, Any]]:
    rows = Event.objects.using(HERE).filter(timeline=paper.pk, step=step).order_by("sequence")
    return [(row.type, row.data.get("round")) for row in rows]


def while_it_is_executed(paper: Any, step: str, deed: Callable[[], Any]) -> Any:
    """Execute a due step in another thread, and do something in the middle of its body."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(workflow: Any) -> None:
        if begun.is_set():  # the other one's
            return
        begun.set()
        assert go_on.wait(30)

    plan[step], bell = wait, row_of(paper, step)
    one = Started(lambda: answer(paper.pk.hex, step, "", bell.fence, HERE, "embedded"))
    assert begun.wait(30)
    try:
        return deed()
    finally:
        del plan[step]
        go_on.set()
        one.answer()


def test_an_outside_effect_that_is_under_way_is_completed_in_its_round() -> None:
    paper = reviewed()

    def send_it_back() -> None:
        assert (sent_back(paper).review.status, fresh(paper).proof.status) == ("waiting", "upcoming")
        fresh(paper).review(verdict="good")
        drain(HERE)

    while_it_is_executed(paper, "proof", send_it_back)

    assert ran["proof"] == 2
    assert fresh(paper).proof.status == "completed"
    assert events_of(paper, "proof")[-1] == ("StepBlocked", 1)  # both changed the same field: clause 12
    assert fresh(paper).printed == 1
    assert_holds(fresh(paper))


def test_its_changes_apply_where_nobody_changed_the_same_field() -> None:
    paper = reviewed()

    while_it_is_executed(paper, "proof", lambda: sent_back(paper))

    assert (fresh(paper).printed, fresh(paper).proof.status) == (1, "upcoming")
    assert events_of(paper, "proof") == [("StepDue", None), ("AttemptStarted", None), ("StepCompleted", 1)]
    assert not Run.objects.filter(timeline=paper.pk, step="proof").exists()
    assert not Lease.objects.exists()


def test_both_rounds_are_executed_at_the_same_time_each_with_a_key_of_its_own() -> None:
    paper = reviewed()
    old = claimed(paper, "proof", "old")
    sent_back(paper)
    fresh(paper).review(verdict="good")
    rows = Run.objects.using(HERE).filter(timeline=paper.pk, step="proof").order_by("fence")
    assert [row.status for row in rows] == ["running", "due"]

    new = claim(paper.pk, ("proof", ""), rows[1].fence, worker("new"))
    assert new is not None
    execute(new, worker("new"))
    execute(old, worker("old"))

    keys = Entry.objects.filter(text__startswith="key").order_by("id").values_list("text", flat=True)
    assert list(keys) == ["key proof@2", "key proof"]
    assert fresh(paper).proof.using(round=1).status == "blocked"


def test_it_is_retried_in_its_round() -> None:
    paper = reviewed()
    old = claimed(paper, "proof")
    sent_back(paper)
    plan["proof"] = fail
    with recorded_errors():
        execute(old, worker("one"))
    assert (fresh(paper).proof.status, fresh(paper).proof.using(round=1).status) == ("upcoming", "retrying")

    del plan["proof"]
    with travel(timedelta(seconds=11)):
        drain(HERE)

    kinds = [("AttemptFailed", 1), ("AttemptStarted", 1), ("StepCompleted", 1)]
    assert events_of(paper, "proof")[2:] == kinds
    keys = Entry.objects.filter(text__startswith="key").values_list("text", flat=True)
    assert list(keys) == ["key proof"]  # the first attempt raised before it: the key is the round's


def test_who_sends_the_work_back_goes_on_with_nothing_of_the_earlier_round() -> None:
    paper = reviewed()
    plan["proof"] = fail
    with recorded_errors():
        execute(claimed(paper, "proof"), worker("one"))
    del plan["proof"]
    assert fresh(paper).proof.retry() == "due"
    quick = replace(worker("two"), since=float("inf"))  # it goes on with what its attempt makes due

    held = claim(paper.pk, ("send_back", ""), row_of(paper, "send_back").fence, quick)
    assert held is not None
    result, _ended = execute(held, quick)

    assert result is not None
    assert result.taken is None
    drain(HERE)
    attempts = Event.objects.filter(timeline=paper.pk, step="proof", type="AttemptStarted").order_by("sequence")
    assert list(attempts.values_list("attempt", flat=True)) == [1, 2]


def test_its_worker_may_die_and_the_clock_rescues_it() -> None:
    paper = reviewed()
    claimed(paper, "proof")
    sent_back(paper)

    Lease.objects.all().delete()
    with travel(timedelta(seconds=61)):
        clock.tick(HERE)
        assert fresh(paper).proof.using(round=1).status == "retrying"
        drain(HERE)

    assert events_of(paper, "proof")[-3:] == [("AttemptInterrupted", 1), ("AttemptStarted", 1), ("StepCompleted", 1)]


def test_the_timeline_ends_when_the_earlier_round_has_come_to_its_end() -> None:
    paper = reviewed()
    old = claimed(paper, "count")
    sent_back(paper)
    fresh(paper).review(verdict="good")
    fresh(paper).measure(pages=3)
    drain(HERE)
    assert (fresh(paper).publish.status, fresh(paper).timeline.status) == ("completed", "running")

    execute(old, worker("one"))

    assert fresh(paper).timeline.status == "completed"
    assert (ran["count"], ran["publish"]) == (2, 1)
    assert_holds(fresh(paper))


@pytest.mark.usefixtures("row_locks")
def test_an_exactly_once_body_that_is_under_way_commits_in_its_round() -> None:
    paper = reviewed()
    old = claimed(paper, "count")
    plan["count"] = lambda _paper: plan.clear() or meanwhile(lambda: sent_back(paper))

    execute(old, worker("one"))

    assert events_of(paper, "count")[-1] == ("StepCompleted", 1)
    assert Entry.objects.filter(text="count").count() == 1


def test_what_nobody_has_begun_is_withdrawn() -> None:
    paper = sent_back(reviewed())

    assert list(Run.objects.filter(timeline=paper.pk).values_list("step", flat=True)) == ["review"]
    begun = Event.objects.get(timeline=paper.pk, type="RoundBegun").data
    assert (sorted(begun["withdrawn"]), begun["going_on"]) == (["count", "measure", "proof"], {})


def test_what_is_blocked_in_an_earlier_round_is_a_persons_business_and_blocks_no_other() -> None:
    paper = reviewed()
    old = claimed(paper, "proof")
    sent_back(paper)
    plan["proof"] = give_up
    with recorded_errors():
        execute(old, worker("one"))
    del plan["proof"]

    assert fresh(paper).timeline.status == "blocked"
    assert "proof, round 1" in str(fresh(paper).timeline.explain())
    fresh(paper).review(verdict="good")
    fresh(paper).measure(pages=3)
    drain(HERE)
    assert (fresh(paper).publish.status, fresh(paper).timeline.status) == ("completed", "blocked")

    assert fresh(paper).proof.using(round=1).skip(reason="nobody needs it") == "completed"

    assert fresh(paper).timeline.status == "completed"
    with pytest.raises(Refused, match="Nothing of round 1 of “proof” goes on") as refused:
        fresh(paper).proof.using(round=1).retry()
    assert refused.value.reason == "unknown_round"
    assert_holds(fresh(paper))


def test_a_person_retries_it_in_its_round() -> None:
    paper = reviewed()
    old = claimed(paper, "proof")
    sent_back(paper)
    plan["proof"] = give_up
    with recorded_errors():
        execute(old, worker("one"))
    del plan["proof"]

    assert fresh(paper).proof.using(round=1).retry() == "due"
    drain(HERE)

    assert (fresh(paper).printed, events_of(paper, "proof")[-1]) == (1, ("StepCompleted", 1))


def test_cancel_carries_an_outside_effect_of_an_earlier_round_to_its_end_and_undoes_it() -> None:
    paper = reviewed()
    old, counting = claimed(paper, "proof"), claimed(paper, "count", "two")
    sent_back(paper)
    fresh(paper).timeline.cancel(reason="no more", compensate=True)
    assert fresh(paper).timeline.status == "cancelling"

    execute(old, worker("one"))
    execute(counting, worker("two"))
    drain(HERE)

    assert Entry.objects.filter(text="count").count() == 0  # an exactly-once body rolls back
    keys = Entry.objects.filter(text__startswith="key").order_by("id").values_list("text", flat=True)
    assert list(keys) == ["key proof", "key shred"]
    assert fresh(paper).timeline.status == "cancelled"
    assert_holds(fresh(paper))


def test_a_third_round_leaves_the_first_ones_to_go_on_too() -> None:
    paper = reviewed()
    first = claimed(paper, "proof", "first")
    sent_back(paper)
    fresh(paper).review(verdict="fair")
    row = Run.objects.using(HERE).get(timeline=paper.pk, step="proof", status="due")
    second = claim(paper.pk, ("proof", ""), row.fence, worker("second"))
    assert second is not None
    sent_back(paper)
    assert {*fresh(paper).timeline.state["runs"]} >= {"proof@1", "proof@2"}

    execute(first, worker("first"))
    execute(second, worker("second"))

    keys = Entry.objects.filter(text__startswith="key").order_by("id").values_list("text", flat=True)
    assert list(keys) == ["key proof", "key proof@2"]
    assert [kind for kind in events_of(paper, "proof") if kind[1]] == [("StepCompleted", 1), ("StepBlocked", 2)]


def test_a_persons_rewind_ends_what_earlier_rounds_have_begun() -> None:
    paper = reviewed()
    old = claimed(paper, "proof")
    sent_back(paper)
    fresh(paper).review(verdict="good")

    fresh(paper).timeline.rewind(to="review", reason="all of it once more")
    result, _ended = execute(old, worker("one"))

    assert result is None
    assert list(Run.objects.filter(timeline=paper.pk).values_list("step", flat=True)) == ["review"]
    late = Event.objects.get(timeline=paper.pk, type="AttemptInterrupted")
    assert (late.data["superseded"], late.data["changes_kept_back"]) == (True, {"printed": 1})


@pytest.mark.parametrize(("pages", "said"), [(3, "completed"), (-1, "rejected")])
def test_who_called_a_step_hears_how_it_ended_in_its_round(pages: int, said: str) -> None:
    paper = reviewed()
    plan["measure"] = lambda _paper: plan.clear() or meanwhile(lambda: sent_back(paper))
    if pages < 0:
        plan["before measure"] = plan.pop("measure")

    if said == "rejected":
        with pytest.raises(Rejected, match="fewer pages"):
            fresh(paper).measure(pages=pages)
    else:
        assert fresh(paper).measure(pages=pages) == said

    assert (fresh(paper).review.status, fresh(paper).measure.status) == ("waiting", "upcoming")
    assert not Run.objects.filter(timeline=paper.pk, step="measure").exists()


def test_items_that_were_begun_go_on_and_no_others_of_their_list_begin() -> None:
    issue = Issue.start(pages=["one", "two", "three"])
    answer(**bell(issue, "read"))
    one = claim(issue.pk, ("lay_out", "one"), row_of_item(issue, "one").fence, worker("one"))
    assert one is not None

    Issue.get(issue.pk).find_a_mistake()
    state = Issue.get(issue.pk).timeline.state
    assert [key for key in state["runs"] if key.startswith("lay_out")] == ["lay_out[one]@1"]
    answer(**bell(issue, "read"))
    execute(one, worker("one"))

    texts = Entry.objects.filter(text__startswith="laid out").values_list("text", flat=True)
    assert list(texts) == ["laid out one with lay_out[one]"]
    assert Issue.get(issue.pk).lay_out["one"].status == "due"
    drain(HERE)
    assert Entry.objects.filter(text__startswith="laid out").count() == 4
    assert_holds(Issue.get(issue.pk))


def test_a_child_of_an_earlier_round_goes_on_and_reports_back() -> None:
    issue = Issue.start(pages=[])
    answer(**bell(issue, "read"))
    answer(**bell(issue, "bill"))
    first = Issue.get(issue.pk).bill.child
    Issue.get(issue.pk).find_a_mistake()
    answer(**bell(issue, "read"))
    assert (first.timeline.status, Issue.get(issue.pk).bill.using(round=1).child.pk) == ("running", first.pk)
    assert "“bill, round 1” waits for" in str(Issue.get(issue.pk).timeline.explain())

    drain(HERE)
    for child in Issue.get(issue.pk).timeline.children:
        child.subject.tip.skip(reason="nobody tips")
    drain(HERE)

    issue = Issue.get(issue.pk)
    assert issue.bill.child.pk != first.pk
    completed = Event.objects.filter(timeline=issue.pk, step="bill", type="StepCompleted")
    assert sorted(row.data.get("round", 2) for row in completed) == [1, 2]
    assert (issue.print_it.status, issue.find_a_mistake.status) == ("completed", "waiting")
    assert_holds(issue)


def test_cancel_tells_the_children_of_both_rounds() -> None:
    issue = Issue.start(pages=[])
    answer(**bell(issue, "read"))
    answer(**bell(issue, "bill"))
    Issue.get(issue.pk).find_a_mistake()
    answer(**bell(issue, "read"))
    answer(**bell(issue, "bill"))

    Issue.get(issue.pk).timeline.cancel(reason="no more")
    drain(HERE)

    assert [child.status for child in Issue.get(issue.pk).timeline.children] == ["cancelled", "cancelled"]
    assert Issue.get(issue.pk).timeline.status == "cancelled"


def bell(workflow: Any, step: str) -> dict[str, Any]:
    run = Run.objects.using(HERE).get(timeline=workflow.pk, step=step, status="due")
    return Bell(workflow.pk.hex, step, "", run.fence, HERE, "elsewhere").as_json()


def row_of_item(workflow: Any, item: str) -> Run:
    return Run.objects.using(HERE).get(timeline=workflow.pk, item=item)


def fail(workflow: Any) -> None:
    raise OSError("The printer is out of paper.")


def give_up(workflow: Any) -> None:
    raise PermanentFailure("The printer is gone.")
