"""Rule 2: the work is sent back while something else goes on with the same timeline: a rewind, another step's end, a call."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from django_timelines.engine.claim import claim
from django_timelines.engine.execute import execute
from django_timelines.exceptions import PermanentFailure
from django_timelines.models import Run, Timeline
from django_timelines.testing import assert_holds, drain, recorded_errors
from tests.races.workers import worker
from tests.shop.workflows import Draft, Issue, Paper, plan, ran

from .workflows import Comic, Opinion, Survey

pytestmark = pytest.mark.django_db(databases="__all__")


def fresh(workflow: Any) -> Any:
    drain()
    return type(workflow).get(workflow.pk)


def reviewed(comic: Any, verdict: str) -> Any:
    fresh(comic).review(verdict=verdict)
    return fresh(comic)


def fail(workflow: Any) -> None:
    raise PermanentFailure("The pen is dry.")


def test_a_rewind_leaves_what_earlier_rounds_set() -> None:
    plan["draw"] = fail
    with recorded_errors():
        comic = reviewed(reviewed(Comic.start(), "poor"), "good")
    assert (comic.words, comic.verdict, comic.timeline.status) == (1, "good", "blocked")

    preview = comic.timeline.preview_rewind(to="typeset")
    assert (preview.fields, preview.unset) == ({}, ())
    comic.timeline.rewind(to="review", reason="misread")

    comic = Comic.get(comic.pk)
    assert (comic.words, comic.verdict, comic.review.status) == (1, "poor", "waiting")
    assert_holds(comic)


def test_a_rewind_that_undoes_comes_to_its_end_though_the_work_is_sent_back_meanwhile() -> None:
    comic = fresh(Comic.start())
    comic.review(verdict="poor")
    comic.timeline.rewind(to="draw", reason="smudged", undo=True)
    row = Run.objects.get(timeline=comic.pk, step="rewrite")
    rewriting = claim(comic.pk, ("rewrite", ""), row.fence, worker("one"))
    assert rewriting is not None
    execute(rewriting, worker("one"))

    comic = fresh(comic)
    assert (ran["rub_out"], ran["draw"]) == (1, 2)
    assert (comic.draw.status, comic.review.status, comic.pictures) == ("completed", "waiting", 1)
    comic = reviewed(comic, "good")
    assert (comic.publish.status, comic.timeline.status) == ("completed", "completed")
    assert_holds(comic)


PARALLEL = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @step(after=take)
    def pay(self):
        ran["pay"] += 1

    @pay.undo
    def refund(self):
        ran["refund"] += 1

    @step(after=take, manual=True)
    def pack(self): ...

    @step(after=[pay, pack])
    def send(self):
        ran["send"] += 1
"""


def test_what_a_rewind_has_yet_to_begin_is_waited_for_by_what_ends_meanwhile(deploy: Any) -> None:
    parcel = fresh(deploy(PARALLEL).start())
    parcel.timeline.rewind(to="pay", reason="the wrong card", undo=True)
    type(parcel).get(parcel.pk).pack()
    assert type(parcel).get(parcel.pk).pay.status == "upcoming"

    parcel = fresh(parcel)

    assert (ran["refund"], ran["pay"], ran["send"], parcel.timeline.status) == (1, 2, 1, "completed")
    assert_holds(parcel)


def test_a_step_that_any_of_goes_on_without_while_a_rewind_undoes_it_is_not_taken(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, delivery=AT_LEAST_ONCE, retry=Retry(1))
            def drive(self):
                if "drive" in plan:
                    plan.pop("drive")(self)

            @step(after=post)
            def fly(self):
                ran["fly"] += 1

            @fly.undo
            def call_back(self):
                ran["call_back"] += 1

            @step(after=any_of(fly, drive))
            def hand_over(self):
                ran["hand_over"] += 1

            @step(after=[fly, drive])
            def compare(self): ...

            @step(after=hand_over, manual=True)
            def thank(self): ...
    """).start()
    plan["drive"] = fail
    parcel = fresh(parcel)
    assert (parcel.fly.status, parcel.drive.status, parcel.hand_over.status) == ("completed", "blocked", "completed")

    parcel.timeline.rewind(to="fly", reason="the wrong plane", undo=True)
    parcel.drive.skip(reason="it was on the lorry")
    assert parcel.hand_over.status == "due"
    parcel = fresh(parcel)

    assert (ran["call_back"], ran["fly"], ran["hand_over"]) == (1, 1, 2)
    assert (parcel.fly.status, parcel.compare.status) == ("not taken", "completed")
    assert_holds(parcel)
    parcel.timeline.rewind(to="hand_over", reason="nobody was there")
    assert fresh(parcel).thank.status == "waiting"


def test_what_ended_in_the_same_commit_as_the_step_that_sends_back_goes_on() -> None:
    survey = fresh(Survey.start())
    critic, reader = survey.critic.child, survey.reader.child
    for child in (critic, reader):
        Opinion.get(child.pk).answer()

    survey = fresh(survey)
    assert (survey.critic.status, survey.critic.child.pk != critic.pk) == ("waiting", True)
    assert (survey.reader.status, survey.count.status) == ("completed", "completed")
    assert_holds(survey)


def test_a_child_that_a_rewind_undoes_comes_to_its_end_before_the_work_that_is_sent_back_begins() -> None:
    issue = fresh(Issue.start(pages=[]))
    issue.bill.child.tip(amount=1)
    issue = fresh(issue)
    assert issue.bill.status == "completed"

    issue.timeline.rewind(to="bill", reason="the wrong price", undo=True)
    Issue.get(issue.pk).find_a_mistake()
    issue = fresh(issue)

    assert (ran["refund"], ran["read"], ran["charge"]) == (1, 2, 2)
    assert (issue.bill.status, issue.bill.child.tip.status, issue.timeline.status) == ("waiting", "waiting", "waiting")
    assert_holds(issue)


def test_a_rejected_call_frees_no_key_of_an_earlier_round(place: Any) -> None:
    place("shop.Draft", review="embedded")
    draft = Draft.start(text="x")
    draft.review.using(key="evt_1")(verdict="poor")
    drain()
    plan["review"] = say_no
    Draft.get(draft.pk).review.using(key="evt_2")(verdict="odd")
    drain()
    del plan["review"]

    assert Draft.get(draft.pk).review.using(key="evt_1")(verdict="poor") == "unsettled"
    assert (ran["review"], Draft.get(draft.pk).review.status) == (2, "waiting")
    assert Draft.get(draft.pk).review.using(key="evt_2")(verdict="good") == "due"


def test_a_call_of_an_earlier_round_that_comes_again_is_not_said_to_be_kept() -> None:
    paper = Paper.start(text="x")
    paper.review(verdict="poor")
    paper.measure.using(key="evt_1")(pages=3)
    drain()
    assert (Paper.get(paper.pk).review.status, Paper.get(paper.pk).measure.status) == ("waiting", "upcoming")

    assert Paper.get(paper.pk).measure.using(key="evt_1")(pages=3) == "unsettled"


def say_no(workflow: Any) -> None:
    raise ValidationError("Nobody says that.")


CHILDREN_OF_TWO_ROUNDS = """
class Child(Workflow):
    number: int = 0

    @step
    def go(self, number: int):
        self.number = number

    @go.undo
    def back(self):
        ran[f"undone {self.number}"] += 1

    @step(after=go, manual=True)
    def hold(self): ...


class Parcel(Workflow):
    number: int = 0
    people: list[str] = ["Ada", "Bob"]

    @step
    def take(self): ...

    @step(after=take)
    def draft(self):
        self.number += 1

    pay = subworkflow(Child, after=draft EACH)

    @step(after=draft, again=draft, manual=True)
    def review(self): ...

    @step(after=take, manual=True)
    def sign(self): ...
"""
EACH = {
    "one": ', given=lambda parcel: {"number": parcel.number}',
    "many": ', each="people", given=lambda parcel, one: {"number": parcel.number}',
}


@pytest.mark.parametrize("later", [0, 1, 2])
@pytest.mark.parametrize("each", EACH)
def test_children_of_all_rounds_are_undone_whichever_ended_last(deploy: Any, each: str, later: int) -> None:
    parcel = deploy(CHILDREN_OF_TWO_ROUNDS.replace(" EACH", EACH[each])).start()
    fresh(parcel).review()
    fresh(parcel).review()
    drain()
    children = list(Timeline.objects.filter(parent=parcel.pk).order_by("pk"))
    rounds = [[one for one in children if one.subject.number == number] for number in (1, 2, 3)]

    for child in [one for number in (*({0, 1, 2} - {later}), later) for one in rounds[number]]:
        child.subject.hold()
        drain()
    fresh(parcel).timeline.cancel(reason="over", compensate=True)
    drain()

    assert {one.status for one in Timeline.objects.filter(parent=parcel.pk)} == {"cancelled"}
    assert fresh(parcel).timeline.status == "cancelled"
    many = len(rounds[0])
    assert {name: count for name, count in ran.items() if "undone" in name} == {
        f"undone {number}": many for number in (1, 2, 3)
    }
    assert_holds(parcel.timeline)
