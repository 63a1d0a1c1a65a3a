"""Reminders: what is done while a step waits, each time once, and never after the call."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from django_timelines import moments
from django_timelines.actors import SYSTEM
from django_timelines.engine.claim import claim
from django_timelines.engine.execute import execute
from django_timelines.engine.runner import Runner
from django_timelines.exceptions import DeclarationError, Rejected
from django_timelines.models import Run, Timeline
from django_timelines.runs import RunName
from django_timelines.testing import assert_holds, crash_at, drain, recorded_errors, travel
from django_timelines.workflows import AT_LEAST_ONCE, PermanentFailure, Retry, Workflow, any_of, step
from tests.shop.here import HERE
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
DAY = timedelta(days=1)
said: list[str] = []
plan: dict[str, Callable[[Any], None]] = {}


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    said.clear()
    plan.clear()


class Review(Workflow):
    """Somebody is to look at it, and is reminded each day."""

    nudges: int = 0
    note: str = ""

    @step
    def hand_in(self, text: str):
        """Somebody hands it in."""

    @step(after=hand_in, remind=DAY, within=timedelta(days=30))
    def review(self, note: str):
        """Somebody looks at it."""
        self.note = note

    @review.reminder(delivery=AT_LEAST_ONCE, retry=Retry(2))
    def nudge(self):
        self.nudges += 1
        said.append(self.idempotency_key)
        if "nudge" in plan:
            plan["nudge"](self)

    @step(after=review)
    def publish(self):
        """By itself."""


class Sign(Workflow):
    """Reminded after one day, and after three."""

    @step
    def begin(self, text: str):
        """It begins."""

    @step(after=begin, manual=True, within=timedelta(days=5), remind=[DAY, 3 * DAY])
    def sign(self):
        """Somebody signs."""

    @sign.reminder
    def remind_of_it(self):
        said.append("sign")

    @step(after=sign.overdue)
    def give_up(self):
        said.append("given up")

    @step(after=any_of(sign, give_up))
    def file_away(self):
        """In either case."""


class Poll(Workflow):
    """Each is asked, and reminded as long as they have not answered."""

    voters: list[str]

    @step
    def call(self, voters: list[str]):
        self.voters = voters

    @step(after=call, each="voters", remind=lambda poll: DAY * len(poll.voters))
    def vote(self, voter: str, yes: bool):
        """They vote."""

    @vote.reminder
    def ask_again(self, voter: str):
        said.append(voter)


def handed_in() -> Review:
    return Review.start(text="a draft")


def days(number: float) -> Any:
    return travel(DAY * number)


def types(workflow: Workflow, step_: str) -> list[str]:
    return list(workflow.timeline.events.filter(step=step_).order_by("sequence").values_list("type", flat=True))


def after(number: float) -> int:
    """Say how often somebody was reminded when so many days are over, looked at in the order of time."""
    with days(number):
        drain()
    return len(said)


def test_a_reminder_that_older_code_planned_is_done_and_the_next_is_planned() -> None:
    review = handed_in()
    drain()
    row = Timeline.objects.get(pk=review.pk)
    row.events.filter(step="nudge").update(data=_without_wait(row.events.get(step="nudge").data))
    del row.state["runs"]["nudge"]["wait"]
    row.save()

    for number in (1, 2):
        with days(number + 0.1):
            drain()
        assert len(said) == number
    assert_holds()


def _without_wait(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "wait"}


def test_it_runs_each_time_while_the_step_waits_and_the_timeline_only_waits():
    review = handed_in()
    assert Review.get(review.pk).timeline.status == "waiting"

    assert [after(number) for number in (0.9, 1.1, 1.9, 2.1, 3.1)] == [0, 1, 1, 2, 3]

    review = Review.get(review.pk)
    attempts = review.timeline.events.filter(type="AttemptStarted", step="nudge").values_list("attempt", flat=True)
    assert list(attempts) == [1, 1, 1]
    assert (review.nudges, review.timeline.status, review.review.status) == (3, "waiting", "waiting")


def test_none_comes_after_the_call_and_the_timeline_ends_at_once():
    review = handed_in()
    after(1.1)

    with days(1.2):
        review.review("fine")
        drain()

    assert Review.get(review.pk).timeline.status == "completed"
    assert after(9) == 1
    assert types(review, "nudge")[-2:] == ["StepDue", "StepNotTaken"]
    assert not Run.objects.filter(timeline=review.pk).exists()


def test_each_reminder_has_a_key_of_its_own_that_its_attempts_share():
    handed_in()
    failures = [1]

    def fail_once(review: Review) -> None:
        if failures.pop() if failures else 0:
            raise OSError("The mail server is away.")

    plan["nudge"] = fail_once
    with recorded_errors():
        after(1.1)
        after(1.2)
        after(2.1)

    assert len(said) == 3
    first, second, third = (key.rpartition("-")[2] for key in said)
    assert (first, second, third) == ("nudge#1", "nudge#1", "nudge#2")


def test_one_that_fails_for_good_blocks_nothing_and_the_next_one_comes():
    review = handed_in()

    def away(review: Review) -> None:
        raise PermanentFailure("There is no such address.")

    plan["nudge"] = away
    with recorded_errors():
        after(1.1)
    assert Review.get(review.pk).timeline.status == "waiting"
    assert types(review, "nudge")[-3:] == ["AttemptFailed", "StepFailed", "StepDue"]

    plan.clear()
    after(2.1)
    with days(2.2):
        assert Review.get(review.pk).review("fine") == "completed"


@pytest.mark.parametrize("point", ["before claim", "before body", "after body", "before commit", "after commit"])
@pytest.mark.parametrize("delivery", ["exactly once", "at least once", "at most once"])
def test_one_whose_process_dies_blocks_nothing_and_the_next_one_comes(deploy, delivery, point):
    parcel = deploy(f"""
        class Parcel(Workflow):
            @step
            def pack(self, what: str): ...
            @step(after=pack, manual=True, remind=timedelta(days=1))
            def sign(self): ...
            @sign.reminder(delivery="{delivery}", retry=Retry(1))
            def nudge(self):
                ran["nudge"] += 1
    """)
    begun = parcel.start(what="books")
    with days(1.1), crash_at(point, "nudge"):
        drain()
    with travel(1.1 * DAY + timedelta(minutes=2)):
        drain()
    assert parcel.get(begun.pk).timeline.status == "waiting"

    ran.clear()
    with days(2.1):
        drain()
        assert ran["nudge"] == 1
        parcel.get(begun.pk).sign()

    assert parcel.get(begun.pk).timeline.status == "completed"


def test_what_was_missed_is_left_out():
    handed_in()

    assert after(5.5) == 1
    assert after(5.9) == 1
    assert after(6.1) == 2


def test_a_list_says_after_how_long_each_time_and_a_deadline_ends_it():
    sign = Sign.start(text="a contract")

    assert [after(number) for number in (1.1, 2.5, 3.1, 4.5)] == [1, 1, 2, 2]
    after(5.1)

    assert said == ["sign", "sign", "given up"]
    assert Sign.get(sign.pk).timeline.status == "completed"


def test_each_item_is_reminded_of_for_itself_at_the_times_of_a_function():
    poll = Poll.start(voters=["ada", "bob"])
    drain()
    with days(1):
        Poll.get(poll.pk).vote["ada"](True)
    with days(2.1):
        drain()

    assert said == ["bob"]
    with days(2.2):
        Poll.get(poll.pk).vote["bob"](False)
    assert Poll.get(poll.pk).timeline.status == "completed"


def test_at_a_fixed_time_too_each_item_is_reminded_of_and_not_the_step_as_a_whole(deploy):
    parcel = deploy("""
        class Parcel(Workflow):
            voters: list[str]
            @step
            def call(self, voters: list[str]):
                self.voters = voters
            @step(after=call, each="voters", remind=timedelta(days=1))
            def vote(self, voter: str, yes: bool): ...
            @vote.reminder
            def ask_again(self, voter: str):
                ran[f"asked {voter}"] += 1
    """)
    begun = parcel.start(voters=["ada", "bob"])
    drain()

    assert list(Run.objects.filter(step="ask_again").order_by("item").values_list("item", flat=True)) == ["ada", "bob"]
    begun.vote["ada"](True)
    with travel(timedelta(hours=25)):
        drain()

    assert (ran["asked ada"], ran["asked bob"]) == (0, 1)


def test_a_rejected_call_begins_to_wait_anew(deploy):
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def pack(self, what: str): ...
            @step(after=pack, remind=timedelta(days=1))
            def sign(self, name: str):
                from django.core.exceptions import ValidationError
                raise ValidationError("Not you.")
            @sign.reminder
            def nudge(self):
                ran["nudge"] += 1
    """)
    begun = parcel.start(what="books")
    with travel(timedelta(hours=20)), pytest.raises(Exception, match="Not you"):
        begun.sign("eve")
    with travel(timedelta(hours=25)):
        drain()
    assert ran["nudge"] == 1  # nothing was written: it waits as it did


def test_rewinding_reminds_again_with_a_new_key():
    review = handed_in()
    after(1.1)
    with days(1.5):
        Review.get(review.pk).timeline.rewind(to="review", reason="once more")
        drain()

    assert after(2.4) == 1  # a day from when it waits again
    assert after(2.6) == 2
    assert len(set(said)) == 2


@pytest.mark.parametrize("delivery", ["EXACTLY_ONCE", "AT_LEAST_ONCE"])
@pytest.mark.parametrize("begins_anew", ["rewound", "rejected"])
def test_a_wait_that_begins_while_a_reminder_is_executed_has_all_of_its_own(deploy, delivery, begins_anew):
    parcel = deploy(f"""
        class Parcel(Workflow):
            @step
            def pack(self, what: str): ...
            @step(after=pack, delivery=AT_LEAST_ONCE, remind=[timedelta(days=1), timedelta(days=3)])
            def sign(self, name: str):
                from django.core.exceptions import ValidationError
                raise ValidationError("Not you.")
            @sign.reminder(delivery={delivery})
            def nudge(self): ...
    """).start(what="books")
    runner = Runner(SYSTEM, "embedded", HERE)
    with days(1.1):
        row = Run.objects.get(step="nudge")
        held = claim(parcel.pk, RunName("nudge"), row.fence, runner)
        if begins_anew == "rewound":
            parcel.timeline.rewind(to="sign", reason="once more")
        else:
            with pytest.raises(Rejected):
                type(parcel).get(parcel.pk).sign("eve")
        execute(held, runner)

    planned = []
    while nudge := Run.objects.filter(step="nudge").first():
        planned.append(round((nudge.due - moments.now()) / DAY, 1))
        with days(planned[-1] + 0.01):
            drain()
    assert planned == [2.1, 4.1]


def test_a_cancelled_timeline_reminds_nobody():
    review = handed_in()
    with days(0.5):
        review.timeline.cancel(reason="not wanted")

    assert Timeline.objects.get(pk=review.pk).status == "cancelled"
    assert after(3) == 0


def test_a_paused_timeline_reminds_once_it_goes_on():
    review = handed_in()
    review.timeline.pause(reason="holidays")
    assert after(1.5) == 0

    with days(1.6):
        review.timeline.resume()
        drain()

    assert len(said) == 1


def test_it_may_give_the_step_to_somebody_else():
    User.objects.create_user("boss")
    review = handed_in()

    def escalate(review: Review) -> None:
        if review.nudges == 2:
            review.review.assign(User.objects.get(username="boss"), reason="Nobody answered.")

    plan["nudge"] = escalate
    after(1.1)
    assert Review.get(review.pk).review.assigned is None
    after(2.1)

    assert str(Review.get(review.pk).review.assigned) == "boss"
    assert after(3.1) == 3  # and it goes on reminding


def test_who_is_given_it_is_reminded_when_it_is_time_and_so_is_who_is_late():
    review, ada = handed_in(), User.objects.create_user("ada")
    with days(0.9):
        Review.get(review.pk).review.assign(ada)
    assert after(1.1) == 1

    with days(30.1):
        drain()

    assert Review.get(review.pk).review.status == "overdue"
    assert after(30.9) == len(said)
    assert [event for event in types(review, "nudge") if event == "StepNotTaken"] == []
    now = len(said)
    assert after(31.1) == now + 1


def test_explain_says_when_the_next_one_is_and_visitors_are_not_told():
    review = handed_in()
    explained = review.timeline.explain()

    assert "The next reminder, “nudge”, is at " in str(explained)
    assert "nudge" not in explained.public
    assert "nudge" not in [line.name for line in _lines(review)]


def _lines(review: Review) -> Any:
    from django_timelines.outline import outline

    return outline(review.timeline).lines


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (7, "no time to remind"),
        (timedelta(0), "more than 0"),
        ([], "no time to remind"),
        ([DAY, "x"], "no time"),
        (timedelta.max, "a hundred years"),
        ([DAY, timedelta.max], "a hundred years"),
    ],
)
def test_what_is_no_time_is_said_when_the_class_is_made(wrong, match):
    with pytest.raises(DeclarationError, match=match):
        step(remind=wrong)(lambda self, x: None)


def test_a_reminder_and_its_times_need_each_other():
    with pytest.raises(DeclarationError, match="it has none"):

        class Parcel(Workflow):
            @step
            def order(self, what: str): ...

            @step(after=order, remind=DAY)
            def pack(self, box: int): ...

    with pytest.raises(DeclarationError, match="does not say when"):

        class Packet(Workflow):
            @step
            def order(self, what: str): ...

            @step(after=order)
            def pack(self, box: int): ...

            @pack.reminder
            def nudge(self): ...

    with pytest.raises(DeclarationError, match="nobody is waited for there"):

        class Letter(Workflow):
            @step
            def order(self, what: str): ...

            @step(after=order, remind=DAY)
            def pack(self): ...

            @pack.reminder
            def nudge(self): ...


def test_a_function_that_returns_no_time_fails_the_step_and_says_so(deploy):
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def pack(self, what: str): ...
            @step(after=pack, manual=True, retry=Retry(1), remind=lambda parcel: "tomorrow")
            def sign(self): ...
            @sign.reminder
            def nudge(self): ...
    """)
    begun = parcel.start(what="books")
    with recorded_errors():
        drain()

    assert parcel.get(begun.pk).sign.status == "blocked"
    assert "remind= of 'sign' returned 'tomorrow'" in str(begun.timeline.explain())
