"""Clause 13: what an older release does not know is not left out of what is undone or reminded of, nor of turns."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from django_timelines import registry
from django_timelines.actors import SYSTEM
from django_timelines.engine import bells
from django_timelines.engine.answer import answer
from django_timelines.engine.claim import claim
from django_timelines.engine.clock import hear_all, tick
from django_timelines.engine.execute import execute
from django_timelines.engine.renames import brought_up
from django_timelines.engine.runner import Runner, load
from django_timelines.exceptions import Refused
from django_timelines.models import Event, Notice, Run, Timeline
from django_timelines.runs import RunName
from django_timelines.testing import drain, travel
from tests.contract.test_13_side_by_side import NEW as WITH_CHILD
from tests.shop.here import HERE
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(databases="__all__")

WORKER = Runner(SYSTEM, "rq:default", HERE)
SOURCE = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @take.undo
    def give_back(self):
        ran["give_back"] += 1
    ADDED
    @step(after=take, manual=True)
    def sign(self): ...
"""
INSURE = """
    @step(after=take)
    def insure(self): ...

    @insure.undo
    def end_insurance(self):
        ran["end_insurance"] += 1
"""
OLD, NEW = SOURCE.replace("ADDED", ""), SOURCE.replace("ADDED", INSURE)


def answer_for(parcel: Any, step: str) -> None:
    run = Run.objects.get(timeline=parcel.pk, step=step)
    answer(parcel.pk.hex, step, run.item, run.fence, HERE, "rq:default")


def test_a_parent_says_that_nobody_can_undo_a_child_whose_class_is_gone(deploy: Any) -> None:
    parcel = deploy(WITH_CHILD).start()
    drain()
    Timeline.objects.get(parent=parcel.pk).subject.hold()
    drain()
    now = deploy(WITH_CHILD.replace("Child", "Payment"))
    registry._declarations.pop("shop.Child", None)

    with travel(timedelta(days=2)):
        now.get(parcel.pk).timeline.cancel(reason="over", compensate=True)
        drain()
        assert "no workflow shop.Child any more, to take what that did" in str(now.get(parcel.pk).timeline.explain())
        now.get(parcel.pk).pay.skip(reason="paid back by hand")
        drain()

    assert Timeline.objects.get(pk=parcel.pk).status == "cancelled"


UNDOING: dict[str, Callable[[Any], Any]] = {
    "cancel": lambda parcel: parcel.timeline.cancel(reason="over", compensate=True),
    "rewind": lambda parcel: parcel.timeline.rewind(to="take", reason="again", undo=True),
}


@pytest.mark.parametrize("verb", UNDOING)
def test_an_old_process_does_not_say_what_is_undone_where_newer_code_has_done_a_step(deploy: Any, verb: str) -> None:
    parcel = deploy(NEW).start()
    drain()
    old = deploy(OLD).get(parcel.pk)
    events = Event.objects.count()

    with pytest.raises(Refused, match=r"“insure” was done lately.*from a process of that release") as refused:
        UNDOING[verb](old)

    assert (refused.value.reason, Event.objects.count()) == ("older_code", events)
    old.timeline.pause(reason="a bad day")  # what needs no knowledge of it may be done
    old.timeline.resume()
    UNDOING[verb](deploy(NEW).get(parcel.pk))
    drain()
    assert (ran["end_insurance"], ran["give_back"]) == (1, 1)


def test_what_was_done_by_a_step_that_was_removed_long_ago_keeps_nothing_from_being_undone(deploy: Any) -> None:
    parcel = deploy(NEW).start()
    drain()
    old = deploy(OLD).get(parcel.pk)

    with travel(timedelta(hours=2)):
        UNDOING["cancel"](old)
        drain()

    assert (ran["end_insurance"], ran["give_back"]) == (0, 1)
    assert Timeline.objects.get(pk=parcel.pk).status == "cancelled"


def test_nor_does_a_process_without_the_class(deploy: Any, monkeypatch: Any) -> None:
    timeline = deploy(NEW).start().timeline
    drain()
    with monkeypatch.context() as old:
        old.delitem(registry._declarations, "shop.Parcel")
        with pytest.raises(Refused, match=r"no workflow shop\.Parcel.*bring it back") as refused:
            timeline.cancel(reason="over", compensate=True)
    assert refused.value.reason == "unknown_workflow"

    timeline.cancel(reason="over", compensate=True)
    drain()
    assert (ran["end_insurance"], ran["give_back"]) == (1, 1)


FAMILY = """
class Child(Workflow):
    @step
    def go(self): ...
    ADDED
    @step(after=go, manual=True)
    def hold(self): ...

class Parcel(Workflow):
    @step
    def take(self): ...

    @take.undo
    def give_back(self):
        ran["give_back"] += 1

    pay = subworkflow(Child, after=take, given=lambda parcel: {})

    @step(after=pay, manual=True)
    def sign(self): ...
"""
OLD_FAMILY, NEW_FAMILY = FAMILY.replace("ADDED", ""), FAMILY.replace("ADDED", INSURE.replace("take", "go"))


@pytest.mark.parametrize("lacks", ["the step", "the class"])
@pytest.mark.parametrize("stands", ["open", "completed"])
def test_a_child_is_undone_by_who_knows_all_that_it_has_done(deploy: Any, lacks: str, stands: str) -> None:
    parcel = deploy(NEW_FAMILY).start()
    drain()
    child = Timeline.objects.get(parent=parcel.pk)
    if stands == "completed":
        child.subject.hold()
        drain()
    deploy(OLD_FAMILY)
    if lacks == "the class":
        registry._declarations.pop("shop.Child")
    UNDOING["cancel"](parcel)
    hear_all(HERE, WORKER)
    assert Timeline.objects.get(pk=parcel.pk).status == "cancelling"

    deploy(NEW_FAMILY)
    hear_all(HERE, WORKER)
    drain()

    assert (ran["end_insurance"], ran["give_back"]) == (1, 1)
    assert Timeline.objects.get(pk=parcel.pk).status == "cancelled"


def test_what_is_left_to_undo_waits_for_the_class_whatever_a_child_tells(deploy: Any) -> None:
    undone = FAMILY.replace("ADDED", "\n    @go.undo\n    def back(self): ...\n")
    parcel = deploy(undone).start()
    drain()
    child = Timeline.objects.get(parent=parcel.pk)
    with mock.patch("django_timelines.engine.answer.hear", return_value=[]):
        UNDOING["cancel"](parcel)
        hear_all(HERE, WORKER)
        for run in Run.objects.filter(timeline=child.pk):
            answer(child.pk.hex, run.step, run.item, run.fence, HERE, "rq:default")
    assert (Timeline.objects.get(pk=child.pk).status, Notice.objects.count()) == ("cancelled", 1)

    registry._declarations.pop("shop.Parcel")
    with travel(timedelta(hours=2)):
        hear_all(HERE, WORKER)
    assert Timeline.objects.get(pk=parcel.pk).status == "cancelling"

    deploy(undone)
    drain()
    assert (ran["give_back"], Timeline.objects.get(pk=parcel.pk).status) == (1, "cancelled")


OUTSIDE = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @take.undo
    def give_back(self):
        ran["give_back"] += 1

    @step(after=take, delivery=AT_MOST_ONCE)
    def pay(self): ...

    @step(after=take, manual=True FORMER)
    def NAME(self): ...
"""


def test_an_attempt_that_ends_in_an_old_process_ends_no_timeline_of_which_there_is_something_to_undo(
    deploy: Any,
) -> None:
    old = OUTSIDE.replace("FORMER", "").replace("NAME", "sign")
    new = OUTSIDE.replace("FORMER", ', renamed_from="sign"').replace("NAME", "confirm")
    parcel = deploy(old).start()
    answer_for(parcel, "take")
    held = claim(parcel.pk, RunName("pay"), Run.objects.get(timeline=parcel.pk, step="pay").fence, WORKER)
    now = deploy(new)
    brought_up(registry.get("shop.Parcel"), load(parcel.pk, HERE))
    UNDOING["cancel"](now.get(parcel.pk))

    deploy(old)
    execute(held, WORKER)
    assert Timeline.objects.get(pk=parcel.pk).status == "blocked"

    deploy(new).get(parcel.pk).pay.skip(reason="it was paid")
    drain()
    assert (ran["give_back"], Timeline.objects.get(pk=parcel.pk).status) == (1, "cancelled")


REMINDED = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @step(after=take, manual=True, remind=timedelta(days=3))
    def sign(self): ...

    @sign.reminder
    def nag(self):
        ran["nag"] += 1
"""


def test_nobody_is_reminded_of_a_wait_that_an_old_process_has_ended(deploy: Any) -> None:
    parcel = deploy(REMINDED).start()
    drain()
    deploy(OLD).get(parcel.pk).sign()

    deploy(REMINDED)
    with travel(timedelta(days=3, minutes=1)):
        tick(HERE)
        drain()

    assert (ran["nag"], Timeline.objects.get(pk=parcel.pk).status) == (0, "completed")


LIMITED = """
    @step(after=take, limit=1)
    def insure(self): ...
"""
ANOTHER_LIMIT = """

class Other(Workflow):
    @step(limit=1)
    def go(self): ...
"""


def test_an_old_clock_calls_up_nobody_for_a_slot_of_which_it_does_not_know(deploy: Any) -> None:
    new = deploy(SOURCE.replace("ADDED", LIMITED))
    for _ in range(2):
        answer_for(new.start(), "take")
    first, second = Run.objects.filter(step="insure").order_by("id")
    assert claim(first.timeline_id, RunName("insure"), first.fence, WORKER)
    assert claim(second.timeline_id, RunName("insure"), second.fence, WORKER) is None

    deploy(OLD + ANOTHER_LIMIT)
    rung: list[str] = []
    with pytest.MonkeyPatch.context() as heard, travel(timedelta(seconds=1)):
        heard.setattr(bells, "hears", lambda placement: True)
        heard.setattr(bells, "ring", lambda bell: rung.append(bell.step) or True)
        tick(HERE)
        assert rung == []
        deploy(SOURCE.replace("ADDED", LIMITED.replace("limit=1", "limit=2")))
        tick(HERE)
    assert rung == ["insure"]


STARVING = """
class Child(Workflow):
    receipt: str = ""

    @step
    def go(self):
        self.receipt = "same"

    @step(after=go, manual=True)
    def hold(self): ...

class Parcel(Workflow, unique="receipt"):
    receipt: str = ""
    other: str = ""

    @step
    def take(self, receipt: str):
        self.receipt = receipt
    ADDED
    pay = subworkflow(Child, after=take, given=lambda parcel: {}, results={"receipt": "receipt"})
    more = subworkflow(Child, after=take, given=lambda parcel: {}, results={"other": "receipt"})

    @step(after=(pay, more), manual=True)
    def sign(self): ...
"""


def test_what_is_left_to_others_keeps_nobody_waiting_who_is_refused_or_taken(deploy: Any) -> None:
    extra = "\n    extra = subworkflow(Child, after=take, given=lambda parcel: {})\n"
    new = deploy(STARVING.replace("ADDED", extra))
    new.start("same")
    parcel = new.start("mine")
    drain()
    runs = Timeline.objects.get(pk=parcel.pk).state["runs"]
    deploy(STARVING.replace("ADDED", ""))
    with mock.patch("django_timelines.engine.answer.hear", return_value=[]):
        for step in ("extra", "pay", "more"):
            Timeline.objects.get(pk=runs[step]["child"]).subject.hold()

    for _ in range(3):
        hear_all(HERE, WORKER)

    runs = Timeline.objects.get(pk=parcel.pk).state["runs"]
    assert [runs[step]["status"] for step in ("extra", "pay", "more")] == ["waiting", "blocked", "completed"]


def test_explain_says_of_what_is_due_later_or_newer_codes_nothing_more(deploy: Any) -> None:
    new = deploy(
        SOURCE.replace("ADDED", "\n    @step(after=take, delay=timedelta(days=3))\n    def insure(self): ...\n")
    )
    parcel = new.start()
    drain()
    deploy(OLD)

    assert "unknown_step" not in [one.reason for one in Timeline.objects.get(pk=parcel.pk).explain().reasons]
