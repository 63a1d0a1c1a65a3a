"""``delay=``, ``until=`` and ``within=``: one row with a due time, and no worker that waits."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from django_timelines import moments
from django_timelines.engine import clock
from django_timelines.events import EventType, NewEvent
from django_timelines.exceptions import DeclarationError, Refused, Rejected
from django_timelines.models import Event, Lease, Run
from django_timelines.state import empty, fold
from django_timelines.testing import assert_holds, drain, recorded_errors, travel
from django_timelines.workflows import Workflow, step
from tests.shop.here import HERE
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")

HOUR = timedelta(hours=1)


def fresh(workflow: Any) -> Any:
    return type(workflow).get(workflow.pk)


def types(workflow: Any, name: str) -> list[str]:
    return list(
        Event.objects.filter(timeline=workflow.pk, step=name).order_by("sequence").values_list("type", flat=True)
    )


def posted(deploy: Callable[[str], Any], option: str) -> Any:
    """Begin a parcel whose second step has this option."""
    parcel = deploy(f"""
        def leases():
            from django_timelines.models import Lease
            return Lease.objects.count()

        class Parcel(Workflow):
            to: str
            wait: int = 60
            at: str = ""

            @step
            def post(self, to: str, at: str = ""):
                self.to, self.at = to, at

            @step(after=post, {option})
            def remind(self):
                ran["remind"] += 1
    """)
    at = moments.to_text(moments.now() + 2 * HOUR)
    return parcel.start(to="Ada", at=at)


@pytest.mark.parametrize(
    ("option", "wait"),
    [
        ("delay=timedelta(hours=1)", HOUR),
        ("delay=lambda parcel: timedelta(minutes=parcel.wait)", HOUR),
        ("until=lambda parcel: __import__('datetime').datetime.fromisoformat(parcel.at)", 2 * HOUR),
    ],
)
def test_a_step_is_due_that_long_after_it_is_reached_and_not_before(deploy: Any, option: str, wait: timedelta) -> None:
    parcel = posted(deploy, option)
    drain()
    parcel = fresh(parcel)
    run = Run.objects.get(timeline=parcel.pk)

    assert (parcel.remind.status, parcel.timeline.status, run.attempt, run.placement) == ("due", "waiting", 0, "")
    assert run.due is not None
    assert abs(run.due - moments.now() - wait) < timedelta(minutes=1)
    assert run.ring == run.due
    assert parcel.timeline.explain().reason == "due"

    travel(wait - timedelta(minutes=2))
    drain()
    assert ran["remind"] == 0
    travel(timedelta(minutes=4))
    drain()
    parcel = fresh(parcel)
    assert (ran["remind"], parcel.remind.status, parcel.timeline.status) == (1, "completed", "completed")
    assert_holds(parcel)


def test_explain_says_of_a_step_whose_time_has_come_that_it_is_due_although_nobody_rang_for_it_yet(deploy: Any) -> None:
    parcel = posted(deploy, "delay=timedelta(hours=1)")

    with travel(HOUR):
        said = [reason.sentence for reason in parcel.timeline.explain().reasons]

    assert said[0] == "“remind” is due."


def test_a_moment_is_waited_for_and_one_that_has_passed_is_not(deploy: Any) -> None:
    soon = moments.now() + HOUR
    past = moments.now() - HOUR
    waits = posted(deploy, f"until=__import__('datetime').datetime.fromisoformat({moments.to_text(soon)!r})")
    drain()
    assert Run.objects.get(timeline=waits.pk).due == soon

    goes_on = posted(deploy, f"until=__import__('datetime').datetime.fromisoformat({moments.to_text(past)!r})")
    drain()
    assert fresh(goes_on).timeline.status == "completed"
    assert list(Event.objects.filter(timeline=goes_on.pk, type="StepDue").values_list("data", flat=True)) == [{}]


def test_a_function_is_asked_once_and_its_asking_is_no_attempt(deploy: Any) -> None:
    parcel = posted(deploy, "delay=lambda parcel: ran.update(asked=ran['asked'] + 1) or timedelta(0), retry=Retry(1)")
    drain()

    assert ran["asked"] == 1
    assert types(parcel, "remind") == ["StepDue", "AttemptStarted", "StepDue", "AttemptStarted", "StepCompleted"]
    assert list(
        Event.objects.filter(timeline=parcel.pk, type="StepCompleted", step="remind").values_list("attempt")
    ) == [(1,)]
    assert_holds(parcel)


def test_an_attempt_that_goes_on_after_it_asked_keeps_its_lease(deploy: Any) -> None:
    parcel = posted(
        deploy, "delay=lambda parcel: timedelta(0), when=lambda parcel: ran.update(leases=leases()) or True"
    )
    drain()

    assert ran["leases"] == 1
    assert Lease.objects.count() == 0
    assert_holds(parcel)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("delay=lambda parcel: 5", "returned 5. Return a timedelta"),
        ("until=lambda parcel: __import__('datetime').datetime(2030, 1, 1)", "has no time zone"),
        ("delay=lambda parcel: parcel.missing", "missing"),
        ("within=lambda parcel: timedelta.max", "within= of 'remind' returned"),
        ("delay=lambda parcel: timedelta.max", "is more than a hundred years"),
        ("delay=lambda parcel: timedelta.min", "is more than a hundred years"),
        ("until=lambda parcel: __import__('datetime').datetime(9990, 1, 1).astimezone()", "more than a hundred years"),
    ],
)
def test_a_function_that_goes_wrong_is_the_steps_own_failure(deploy: Any, option: str, said: str) -> None:
    parcel = posted(deploy, option + ", retry=Retry(1)")
    with recorded_errors():
        drain()

    parcel = fresh(parcel)
    assert (parcel.remind.status, ran["remind"]) == ("blocked", 0)
    assert said in str(parcel.timeline.explain())


def test_a_person_may_have_a_delayed_step_done_now(deploy: Any) -> None:
    parcel = posted(deploy, "delay=lambda parcel: timedelta(hours=1)")
    drain()
    fresh(parcel).remind.retry(reason="Ada is here")
    drain()

    assert (ran["remind"], fresh(parcel).timeline.status) == (1, "completed")


def test_a_deadline_counts_from_when_the_step_is_due(deploy: Any) -> None:
    parcel = posted(deploy, "delay=timedelta(hours=1), within=timedelta(minutes=10)")
    drain()
    run = Run.objects.get(timeline=parcel.pk)

    assert run.due is not None
    assert run.until == run.due + timedelta(minutes=10)


def test_within_as_a_function_is_asked_when_a_persons_step_is_reached(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            to: str
            wait: int

            @step
            def post(self, to: str, wait: int):
                self.to, self.wait = to, wait

            @step(after=post, within=lambda parcel: timedelta(minutes=parcel.wait))
            def sign(self, name: str):
                ran["sign"] += 1

            @step(after=sign.overdue)
            def complain(self):
                ran["complain"] += 1
    """).start(to="Ada", wait=30)
    with pytest.raises(Refused) as refused:
        parcel.sign(name="Ada")
    assert refused.value.reason == "not_yet"
    drain()
    run = Run.objects.get(timeline=parcel.pk)

    assert run.status == "waiting"
    assert run.until is not None
    assert abs(run.until - moments.now() - timedelta(minutes=30)) < timedelta(minutes=1)
    travel(timedelta(minutes=31))
    clock.tick(HERE)
    drain()
    assert (fresh(parcel).sign.status, ran["complain"]) == ("overdue", 1)
    assert_holds(parcel)


def test_a_step_whose_early_call_is_rejected_waits_with_its_deadline_its_user_and_its_reminders(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post)
            def carry(self): ...

            @step(
                after=carry,
                early="keep",
                within=lambda parcel: timedelta(minutes=30),
                assigned=lambda parcel: plan["who"],
                remind=lambda parcel: timedelta(minutes=10),
            )
            def sign(self, name: str):
                if not name:
                    from django.core.exceptions import ValidationError
                    raise ValidationError("Sign with your name.")

            @sign.reminder
            def nudge(self):
                ran["nudge"] += 1

            @step(after=sign.overdue)
            def complain(self): ...
    """).start()
    plan["who"] = user = get_user_model().objects.create_user("ada")
    assert parcel.sign(name="") == "kept"
    drain()

    assert (fresh(parcel).sign.status, fresh(parcel).sign.assigned) == ("waiting", user)
    with pytest.raises(Rejected, match="Sign with your name"):
        fresh(parcel).sign.wait(timeout=0)
    travel(timedelta(minutes=11))
    drain()
    travel(timedelta(minutes=20))
    drain()
    assert (fresh(parcel).sign.status, fresh(parcel).complain.status, ran["nudge"]) == ("overdue", "completed", 1)
    assert_holds(parcel)


def test_what_is_asked_of_a_step_whose_early_call_is_rejected_may_fail_as_ever(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            days: int

            @step
            def post(self): ...

            @step(after=post)
            def carry(self): ...

            @step(after=carry, early="keep", within=lambda parcel: timedelta(days=parcel.days))
            def sign(self, name: str):
                from django.core.exceptions import ValidationError
                raise ValidationError("Sign with your name.")
    """).start()
    assert parcel.sign(name="") == "kept"
    drain()

    assert fresh(parcel).sign.status == "blocked"
    assert "days" in str(fresh(parcel).timeline.explain())


@pytest.mark.parametrize("parameter", ["", ", name: str"])
def test_what_nobody_has_begun_ends_with_the_cancel_that_comes_while_its_functions_are_asked(
    deploy: Any, parameter: str
) -> None:
    parcel = deploy(f"""
        def asked(parcel):
            plan["asked"]()
            return timedelta(minutes=30)

        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, within=asked, delivery=AT_LEAST_ONCE)
            def sign(self{parameter}):
                ran["sign"] += 1
    """).start()
    plan["asked"] = lambda: fresh(parcel).timeline.cancel(reason="not wanted")
    drain()

    assert (fresh(parcel).timeline.status, fresh(parcel).sign.status, ran["sign"]) == ("cancelled", "cancelled", 0)
    assert_holds(parcel)


@pytest.mark.parametrize("how", ["paused", "placed elsewhere", "tried again by a person"])
def test_a_step_whose_call_after_the_deadline_is_rejected_has_its_deadline_still(
    how: str, deploy: Any, place: Any
) -> None:
    parcel = deploy("""
        from django.core.exceptions import ValidationError

        class Parcel(Workflow):
            @step
            def post(self): ...

            @step(after=post, within=timedelta(hours=1), retry=Retry(1))
            def sign(self, points: int):
                if points > 0 and not plan.pop("sign", None):
                    raise ConnectionError("not now")
                raise ValidationError("not so many")

            @step(after=sign.overdue)
            def complain(self): ...
    """).start()
    drain()
    if how == "paused":
        fresh(parcel).timeline.pause(reason="a break")
    elif how == "placed elsewhere":
        place("shop.Parcel", sign="embedded")
    else:
        with recorded_errors():
            fresh(parcel).sign(points=1)
        plan["sign"] = True

    with travel(HOUR + timedelta(milliseconds=100)):  # between two looks of the clock
        if how == "tried again by a person":
            fresh(parcel).sign.retry()
        else:
            fresh(parcel).sign(points=0)
        assert fresh(parcel).sign.status == "due"
        if how == "paused":
            fresh(parcel).timeline.resume()
        drain()

        assert (fresh(parcel).sign.status, fresh(parcel).complain.status) == ("overdue", "completed")
    assert types(parcel, "sign")[-2:] == ["StepRejected", "StepOverdue"]
    assert_holds(parcel)


def test_what_was_stored_of_a_late_call_before_it_told_its_deadline_is_folded_as_it_was() -> None:
    until = moments.to_text(moments.now())
    events = [
        NewEvent(EventType.STEP_DUE, "sign", data={"waiting": True, "until": until}),
        NewEvent(EventType.STEP_CALLED, "sign", data={"digest": "d", "late": True}),
        NewEvent(EventType.STEP_REJECTED, "sign", attempt=1),
    ]

    run = fold(empty(), events, 1)["runs"]["sign"]

    assert run == {"status": "waiting", "fence": 3, "attempt": 1}


def test_a_step_without_a_deadline_from_its_function_is_never_overdue(deploy: Any) -> None:
    parcel = posted(deploy, "manual=True, within=lambda parcel: None")
    drain()
    run = Run.objects.get(timeline=parcel.pk)

    assert (run.status, run.until, run.ring) == ("waiting", None, None)
    fresh(parcel).remind()
    assert ran["remind"] == 1


def test_each_item_is_held_by_itself(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            stops: list[str]

            @step
            def post(self, stops: list[str]):
                self.stops = stops

            @step(after=post, each="stops", delay=lambda parcel: timedelta(hours=1))
            def call(self, stop: str):
                ran[stop] += 1
    """).start(stops=["a", "b"])
    drain()
    assert Run.objects.filter(timeline=parcel.pk, status="due", due__gt=moments.now()).count() == 2
    travel(HOUR)
    drain()

    assert (ran["a"], ran["b"], fresh(parcel).timeline.status) == (1, 1, "completed")
    assert_holds(parcel)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"delay": 5}, "delay=5 is no timedelta"),
        ({"until": "noon"}, "until='noon' is no datetime"),
        ({"until": datetime(2030, 1, 1)}, "has no time zone"),
        ({"delay": -HOUR}, "is over before it begins"),
        ({"delay": HOUR, "until": datetime(2030, 1, 1, tzinfo=UTC)}, "both say when it is due"),
        ({"delay": HOUR, "manual": True}, "waits for somebody to call it"),
        ({"delay": timedelta.max}, "delay=datetime.timedelta.*is more than a hundred years"),
        ({"within": timedelta(days=36_526)}, "within=datetime.timedelta.*is more than a hundred years"),
        ({"until": datetime.max.replace(tzinfo=UTC)}, "until=datetime.datetime.*is more than a hundred years"),
        ({"timeout": timedelta.max}, "timeout=datetime.timedelta.*is more than a hundred years"),
    ],
)
def test_what_says_nothing_is_refused_when_the_class_is_made(option: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):

        class Late(Workflow):
            @step
            def begin(self, name: str): ...

            @step(after=begin, **option)
            def end(self): ...
