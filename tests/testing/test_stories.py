"""``given(…).when(…).then(…)``: what a step does, told in one line, on a real timeline."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from django_timelines.exceptions import TimelinesError, Unknown
from django_timelines.models import Event, Timeline
from django_timelines.testing import assert_holds, given, recorded_errors, travel
from django_timelines.workflows import Refused, Workflow
from tests.hardening.workflows import Diary, Fact
from tests.shop.here import HERE
from tests.shop.workflows import Bar, Fork, Jury, Member, Order, Paid, Visit, plan, ran

from .workflows import Announcement, Chore

pytestmark = pytest.mark.usefixtures("committed")


def fail(workflow: Any) -> None:
    raise OSError("The printer is on fire.")


def test_a_step_is_called_where_it_waits() -> None:
    given(Order, customer="Ada").upto("pay").when("pay", amount=5).then(
        "StepCalled pay",
        "StepCompleted pay",
        "StepDue send",
        outcome="completed",
        status="running",
        steps={"pay": "completed", "send": "due"},
        fields={"notes": ["paid 5"], "customer": "Ada"},
    )

    assert ran == {"pay": 1}


def test_a_step_that_is_due_runs_alone() -> None:
    given(Order, customer="Ada").upto(Order.announce).when(Order.announce).then(
        "AttemptStarted announce", "StepCompleted announce", outcome="completed", steps={"pay": "waiting"}
    )

    assert ran == {"announce": 1}


def test_what_comes_next_is_left_to_the_next_when() -> None:
    story = given(Order).upto("pack").when("pack").then(steps={"pack": "completed", "announce": "due"})

    story.when().then("StepCompleted announce", status="waiting", steps={"pay": "waiting"})

    assert ran == {"pack": 1, "announce": 1}


def test_the_past_is_told_step_by_step() -> None:
    story = given(Order).done("place", customer="Ada", amount=3).done("pack", "announce")

    assert (story.workflow.customer, story.workflow.amount, story.workflow.pay.status) == ("Ada", 3, "waiting")
    assert [str(event) for event in story.workflow.timeline.events.all()] == [
        "1 TimelineStarted",
        "2 StepDue place",
        "3 AttemptStarted place",
        "4 StepCompleted place",
        "5 StepDue pack",
        "6 AttemptStarted pack",
        "7 StepCompleted pack",
        "8 StepDue announce",
        "9 AttemptStarted announce",
        "10 StepCompleted announce",
        "11 StepDue pay",
    ]
    assert story.workflow.timeline.events.get(sequence=4).data == {"changes": {"customer": "Ada", "amount": 3}}
    assert sum(ran.values()) == 0


def test_the_past_goes_on_from_what_has_happened_at_the_time_of_the_story() -> None:
    given(Order, customer="Ada").upto("pack").when("pack").then(outcome="completed").done("announce").when(
        "pay", amount=5
    ).then(outcome="completed")

    story = given(Visit).when(timedelta(days=10)).then().done("invite")
    story.when(timedelta(days=2)).then(steps={"arrive": "waiting"})
    assert_holds(story.workflow)


def test_the_last_step_that_was_done_sets_the_fields_also_if_it_was_done_before(deploy: Any) -> None:
    story = given(
        deploy("""
            class Parcel(Workflow):
                text: str = ""

                @step
                def post(self, text: str): ...

                @step(after=post)
                def check(self, good: bool): ...

                @step(after=check, when=lambda parcel: parcel.text != "good", again=post)
                def send_back(self): ...
        """)
    )

    story.done("post", "check", "send_back", "post", text="good")

    changed = story.workflow.timeline.events.filter(type="StepCompleted", step="post").values_list("data", flat=True)
    assert [data["changes"] for data in changed] == [{}, {"text": "good"}]


def test_the_entry_step_waits_for_its_call() -> None:
    given(Order).when("place", customer="Ada").then("StepCompleted place", fields={"customer": "Ada", "amount": 1})


def test_a_past_may_have_gone_wrong() -> None:
    given(Fork).done("begin").failed("left").when("sorry").then("StepCompleted sorry", steps={"join": "not taken"})
    given(Order).upto("announce").failed("announce").then(status="blocked", steps={"announce": "blocked"})
    given(Visit).upto("arrive").overdue("arrive").when("forget").then("StepCompleted forget")


def test_upto_takes_the_way_that_leads_there() -> None:
    given(Visit).upto("forget").then(steps={"arrive": "overdue", "forget": "due"})
    given(Fork).upto("sorry").then(steps={"left": "failed", "sorry": "due"})
    given(Fork).upto("finish").then(steps={"join": "completed", "sorry": "not taken", "finish": "due"})


def test_upto_goes_past_a_step_that_is_settled_as_it_is_reached() -> None:
    given(Announcement, people=[]).upto("print_it").then(steps={"telegrams": "completed", "print_it": "due"})
    given(Jury, members=[]).upto("adjourn").then(steps={"vote": "failed", "adjourn": "due"})


def test_time_passes() -> None:
    story = given(Visit).upto("arrive")

    story.when(timedelta(days=2)).then(steps={"arrive": "waiting"})
    story.when(timedelta(days=2)).then("StepOverdue arrive", "StepCompleted forget", status="completed")
    with travel(timedelta(0)) as here:
        assert here._before == timedelta(0)


def test_an_attempt_that_failed_is_tried_again_when_its_time_has_come() -> None:
    plan["announce"] = fail
    story = given(Order).upto("announce").when("announce").then("AttemptFailed", steps={"announce": "retrying"})
    del plan["announce"]

    story.when("announce").then(outcome="retrying")
    story.when(timedelta(seconds=11)).then("StepCompleted announce")

    assert ran["announce"] == 2


def test_a_function_of_the_workflow_happens() -> None:
    given(Order).upto("pay").when(lambda order: order.pay.skip(reason="in cash", amount=7)).then(
        "StepSkipped pay", fields={"amount": 7}, outcome="completed"
    )


def test_facts_that_a_body_records_are_named_by_their_values() -> None:
    plan["write"] = lambda diary: diary.record(Fact(text="It rained."))

    story = given(Diary).upto("write").when("write").then(Fact(text="It rained."), "StepCompleted")

    story.then(Fact)
    with pytest.raises(AssertionError, match=r"Fact\(text='It snowed\.'\) is not among the events"):
        story.then(Fact(text="It snowed."))


def test_a_refusal_is_named_by_its_reason() -> None:
    given(Order).upto("pack").when("pay", amount=5).then(refused="not_yet", steps={"pay": "upcoming"})


def test_a_rejection_is_raised_like_any_other_error() -> None:
    story = given(Order).upto("pay")

    story.when("pay", amount=-1).then(raises=ValidationError, steps={"pay": "waiting"})
    story.when("pay", amount=-1)
    with pytest.raises(ValidationError, match="An amount is at least nought"):
        story.then(status="waiting")


def test_an_unexpected_error_of_a_body_is_seen_unless_it_was_expected() -> None:
    plan["pack"] = lambda order: {}["weight"]

    story = given(Order).upto("pack").when("pack").then(raises=KeyError, steps={"pack": "retrying"})
    with pytest.raises(KeyError):
        given(Order).upto("pack").when("pack").then(steps={"pack": "retrying"})
    with recorded_errors():
        story.when(timedelta(minutes=1)).then("AttemptFailed pack")


def test_an_error_that_nobody_looks_at_is_reported() -> None:
    story = given(Order).upto("pack").when("pay", amount=5)

    with pytest.warns(RuntimeWarning, match="Nobody looked at what this story raised: Refused"):
        story.__del__()

    story.then(refused="not_yet")


def test_a_story_of_a_row_compares_rows() -> None:
    from example_project.signup.workflows import Signup

    ada = User.objects.create_user("ada")

    given(Signup, email="ada@example.org", user=ada).upto("activate", account=account(ada)).when("activate").then(
        "StepCompleted activate", fields={"user": ada, "email": "ada@example.org"}
    )
    ada.refresh_from_db()
    assert ada.is_active


def account(owner: User) -> Any:
    from example_project.signup.models import Account

    return Account.objects.create(owner=owner)


def test_a_story_goes_on_with_a_timeline_that_is_there() -> None:
    order = Order.start(customer="Ada")

    given(order).upto("pay").when("pay", amount=5).then("StepCompleted pay", fields={"customer": "Ada"})
    with pytest.raises(TypeError, match="only a new one is given fields"):
        given(order, customer="Bob")


def test_a_placement_does_not_keep_a_step_from_running_here(place: Any) -> None:
    place(pay="embedded", pack="embedded")

    given(Order).upto("pack").when("pack").then(outcome="completed")
    given(Order).upto("pay").when("pay", amount=5).then("StepCalled pay", "StepCompleted pay", outcome="completed")


@pytest.mark.parametrize(
    ("tell", "said"),
    [
        (
            lambda story: story.then("StepDue send"),
            "StepDue send is not among the events, in this order. Appended were: 1",
        ),
        (lambda story: story.then("StepCompleted pay", "StepCalled pay"), "StepCalled pay is not among the events"),
        (lambda story: story.then(status="completed"), "the timeline is running, not completed."),
        (lambda story: story.then(steps={"send": "completed"}), "'send' is due, not completed."),
        (lambda story: story.then(steps={"sned": "due"}), "shop.Order has no step 'sned'"),
        (lambda story: story.then(fields={"amount": 9}), "the field 'amount' is 0, not 9."),
        (lambda story: story.then(fields={"customer": "Ada"}), "the field 'customer' is not set."),
        (lambda story: story.then(fields={"amuont": 9}), "no field 'amuont'. Did you mean 'amount'?"),
        (lambda story: story.then(outcome="due"), "the outcome is completed, not due."),
        (lambda story: story.then(raises=ValueError), "ValueError was to be raised, and nothing was."),
        (lambda story: story.then(refused="not_yet"), "Refused was to be raised, and nothing was."),
    ],
)
def test_what_did_not_follow_is_said(tell: Any, said: str) -> None:
    story = given(Order).upto("pay").when("pay", amount=5)
    if said.startswith("StepDue"):
        story = given(Order).upto("pay").when("pay", amount=5)
        story.when(lambda order: order.send.status)
        said = "StepDue send is not among the events, in this order. Appended were: none."

    with pytest.raises((AssertionError, AttributeError, Refused)) as error:
        tell(story)

    assert said in str(error.value)


@pytest.mark.parametrize(
    ("tell", "said"),
    [
        (lambda: given(Order).done("pack"), "'pack' cannot have been settled here: open are place."),
        (lambda: given(Order).done("nap"), "shop.Order has no step 'nap'"),
        (lambda: given(Order, cutsomer="Ada"), "shop.Order has no field 'cutsomer'. It has customer, amount, notes."),
        (lambda: given(Order, notes=5), "shop.Order.notes cannot take that: Input should be a valid list"),
        (
            lambda: given(Order).upto("place", notes=5),
            "shop.Order.notes cannot take that: Input should be a valid list",
        ),
        (lambda: given(Order).upto("place", customer="Ada"), "No step was done that could have set customer."),
        (lambda: given(Order).done(customer="Ada"), "No step was done that could have set customer."),
        (lambda: given(Order).overdue("place"), "'place' is never overdue: it has no within=."),
        (lambda: given(Fork).done("begin", "left").upto("sorry"), "This past does not lead to 'sorry'"),
        (lambda: given(Jury, members=[]).upto("announce"), "This past does not lead to 'announce'"),
    ],
)
def test_a_past_that_cannot_be_is_refused(tell: Any, said: str) -> None:
    with pytest.raises((TimelinesError, TypeError)) as error:
        tell()

    assert said in str(error.value)


@pytest.mark.parametrize(
    "tell",
    [
        lambda story: story.when(amount=5),
        lambda story: story.when(timedelta(days=1), 5),
        lambda story: story.when(lambda order, amount: order.pay(amount), 5),
        lambda story: story.when(story.workflow.pay, amount=5),
        lambda story: story.when(5),
    ],
)
def test_what_cannot_happen_is_said_at_once(tell: Any) -> None:
    with pytest.raises(TypeError, match=r"takes a step by its name, with its input: when\('pay', amount=5\)"):
        tell(given(Order, customer="Ada").upto("pay"))


@pytest.mark.parametrize("what", ["shop.Order", Timeline, Workflow, None])
def test_a_story_is_of_a_workflow(what: Any) -> None:
    with pytest.raises(TypeError, match="give a workflow's class, or an object of it"):
        given(what)


def test_no_bell_rings_for_the_past(place: Any, committed: bool) -> None:
    place(background="rq:nowhere")  # ringing it would warn, which fails the test

    given(Order).upto("pay")

    assert Event.objects.exclude(actor_label="given").count() == 0


def test_a_story_in_a_transaction_goes_with_it() -> None:
    with transaction.atomic(using=HERE):
        given(Order).upto("pay").when("pay", amount=5).then(status="running")
        transaction.set_rollback(True, using=HERE)

    assert Timeline.objects.count() == 0


def test_a_past_in_which_a_step_with_items_failed_is_one_that_may_have_been() -> None:
    story = given(Jury, members=[Member(name=name, seat=seat) for seat, name in enumerate(["Ada", "Bob", "Cy"])])

    workflow = story.upto("adjourn").workflow

    assert_holds(workflow)
    assert (workflow.vote.status, workflow.adjourn.status) == ("failed", "due")
    assert [workflow.vote[name].status for name in ("Ada", "Bob")] == ["failed", "failed"]


def test_a_past_in_which_no_timeline_was_begun_for_an_item_is_undone_without_one() -> None:
    story = given(Announcement, people=["Ada", "Bob"]).upto("print_it")

    story.when(lambda announcement: announcement.timeline.cancel(reason="a mistake", compensate=True))

    story.then("TimelineCancelled", status="cancelled")
    assert_holds(story.workflow)


def test_a_past_in_which_the_items_are_blocked_is_one_that_may_have_been() -> None:
    workflow = given(Bar, drinks=["tea", "beer"]).upto("make").failed("make").workflow

    assert_holds(workflow)
    assert [workflow.make[drink].status for drink in ("tea", "beer")] == ["blocked", "blocked"]


def test_a_past_in_which_the_time_of_items_ran_out_is_one_that_may_have_been(deploy: Any) -> None:
    workflow = deploy("""
        class Parcel(Workflow):
            people: list[str]

            @step
            def post(self, people: list[str]):
                self.people = people

            @step(after=post, each="people", manual=True, within=timedelta(days=1), at_once=1)
            def sign(self, person: str): ...

            @step(after=sign.overdue)
            def remind(self): ...
    """)

    past = given(workflow, people=["Ada", "Bob"]).upto("remind").workflow

    assert_holds(past)
    assert [past.sign[person].status for person in ("Ada", "Bob")] == ["overdue", "overdue"]


def test_a_story_looks_at_items_and_names_them() -> None:
    story = given(Bar, drinks=["tea", "beer"]).upto("make").when("make[tea]")

    story.then("StepCompleted make[tea]", steps={"make[tea]": "completed", "make[beer]": "due"})

    with pytest.raises(
        AssertionError, match=r"Appended were: \d+ AttemptStarted make\[tea\], \d+ StepCompleted make\[tea\]"
    ):
        story.then("StepCompleted make[beer]")
    with pytest.raises(Unknown, match="has no item wine"):
        story.then(steps={"make[wine]": "completed"})


def test_a_story_leads_to_no_undo() -> None:
    with pytest.raises(TimelinesError, match="'pour_away' undoes a step, or reminds of one"):
        given(Bar, drinks=["tea"]).upto("pour_away")


def test_a_fact_of_another_content_is_shown_with_what_it_said() -> None:
    plan["pay"] = lambda order: order.record(Paid(amount=5))
    story = given(Order, customer="Ada").upto("pay").when("pay", amount=5)

    with pytest.raises(AssertionError, match=r"Paid\(amount=4\) is not among .* Paid pay \{'amount': 5\}"):
        story.then(Paid(amount=4))


def test_who_is_waited_for_as_long_as_a_function_tells_may_be_called_once_that_is_reached() -> None:
    given(Chore, days=2).upto("go").then(steps={"go": "waiting"}, status="waiting")
    given(Chore, days=2).upto("go").when("go").then("StepCalled go", "StepCompleted go", outcome="completed")
    given(Chore).done("ask", days=2).when("go").then("StepCompleted go", steps={"thank": "due"})


def test_a_function_that_tells_a_time_is_asked_before_the_call_that_comes_next() -> None:
    given(Chore).when("ask", days=2).when("go").then("StepDue go", "StepCompleted go", outcome="completed")


def test_time_passes_from_when_a_function_was_asked() -> None:
    given(Chore, days=2).upto("go").when(timedelta(days=1)).then(steps={"go": "waiting"})
    given(Chore, days=2).upto("go").when(timedelta(days=3)).then("StepOverdue go")
    given(Chore).when("ask", days=2).when(timedelta(days=3)).then("StepOverdue go")
    given(Chore, days=2).upto("go").overdue("go").then(steps={"go": "overdue"})


@pytest.mark.parametrize(
    "option",
    [
        "within=lambda parcel: timedelta(days=1)",
        "delay=lambda parcel: timedelta(0)",
        "until=lambda parcel: None",
        "manual=True, assigned=lambda parcel: None",
    ],
)
def test_a_step_of_which_a_function_is_asked_runs_by_its_name(option: str, deploy: Any) -> None:
    parcel = deploy(f"""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, {option})
            def carry(self):
                ran["carry"] += 1

            @step(after=carry)
            def sign(self): ...
    """)

    given(parcel).upto("carry").when("carry").then("StepCompleted carry", outcome="completed", steps={"sign": "due"})
    story = given(parcel).when("post").when("carry").then("StepCompleted carry", outcome="completed")

    assert ran["carry"] == 2
    assert_holds(story.workflow)


def test_a_function_is_asked_for_each_item(deploy: Any) -> None:
    story = given(_parcel_for_each(deploy), people=["Ada", "Bob"]).upto("sign")

    story.then(steps={"sign[Ada]": "waiting", "sign[Bob]": "waiting"})
    story.when("sign[Bob]").then("StepCompleted sign[Bob]", steps={"sign[Ada]": "waiting"})
    story.when(timedelta(days=1)).then("StepOverdue sign[Ada]")
    assert_holds(story.workflow)


def _parcel_for_each(deploy: Any) -> Any:
    return deploy("""
        class Parcel(Workflow):
            people: list[str]

            @step
            def post(self, people: list[str]):
                self.people = people

            @step(after=post, each="people", manual=True, within=lambda parcel: timedelta(hours=1))
            def sign(self, person: str): ...
    """)


def test_a_function_that_cannot_tell_yet_is_left_to_the_first_attempt() -> None:
    story = given(Chore).done("ask").then(status="running", steps={"go": "due"})

    story.when("go").then("StepBlocked go", outcome="blocked")
    given(Chore, days=-1).upto("go").when("go").then("AttemptFailed go", outcome="retrying")


def test_a_function_that_tells_what_is_no_time_blocks_and_the_call_is_not_made(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, manual=True, within=lambda parcel: 5)
            def sign(self): ...
    """)

    given(parcel).upto("sign").when("sign").then("StepBlocked sign", outcome="blocked")
