"""``unique=``: for each value a class has one timeline at a time that has not ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError, OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_timelines import registry
from django_timelines.engine import unique
from django_timelines.engine.clock import Clock
from django_timelines.engine.unique import take_all
from django_timelines.exceptions import NotUnique, Refused, Rejected, TimelinesError
from django_timelines.models import Event, Timeline, UniqueValue
from django_timelines.testing import drain, given, recorded_errors, travel
from django_timelines.workflows import Workflow, step
from tests.counting import rows_read
from tests.limits.workflows import Badge, Household, Locker, Nightly, Rename, Seat, Signup
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(databases="__all__")


def refused(call: Callable[[], Any]) -> NotUnique:
    with pytest.raises(NotUnique) as caught:
        call()
    return caught.value


def fresh(workflow: Any) -> Any:
    return type(workflow).get(workflow.pk)


def test_a_second_start_is_refused_names_the_first_and_writes_nothing() -> None:
    first = Signup.start(email="ada@example.org")
    before = Timeline.objects.count(), Event.objects.count(), UniqueValue.objects.count(), Entry.objects.count()

    error = refused(lambda: Signup.start(email="ada@example.org"))

    assert isinstance(error, Refused)
    assert isinstance(error, ValidationError)  # so that a form shows it
    assert (error.reason, error.timeline) == ("not_unique", first.pk)
    assert error.messages == ["There is a “Signup” of the same email under way already."]
    after = Timeline.objects.count(), Event.objects.count(), UniqueValue.objects.count(), Entry.objects.count()
    assert (before, after) == ((1, 5, 1, 1), (1, 5, 1, 1))


def test_other_values_are_no_matter() -> None:
    for email in ("ada@example.org", "Ada@example.org", "ada@example.org ", "bea@example.org"):
        Signup.start(email=email)

    assert UniqueValue.objects.count() == 4


@pytest.mark.parametrize(
    "end",
    [
        lambda signup: signup.confirm(),
        lambda signup: signup.timeline.cancel(reason="no"),
        lambda signup: (signup.timeline.cancel(reason="no"), signup.timeline.erase(reason="letter")),
    ],
    ids=["completed", "cancelled", "erased"],
)
def test_the_end_of_a_timeline_frees_its_value(end: Callable[[Any], Any]) -> None:
    end(Signup.start(email="ada@example.org"))

    assert UniqueValue.objects.count() == 0
    assert Signup.start(email="ada@example.org").confirm.status == "waiting"


def test_a_start_with_the_same_key_still_answers_the_same_timeline() -> None:
    first = Signup.using(key="form").start(email="ada@example.org")

    assert Signup.using(key="form").start(email="ada@example.org").pk == first.pk
    assert refused(lambda: Signup.using(key="other").start(email="ada@example.org")).timeline == first.pk


def test_a_callers_transaction_stays_usable_after_the_refusal() -> None:
    first = Signup.start(email="ada@example.org")

    with transaction.atomic(using=HERE):
        Entry.objects.create(text="a row of the view's")
        assert refused(lambda: Signup.start(email="ada@example.org")).timeline == first.pk
        assert refused(lambda: Signup.using(key="form").start(email="ada@example.org")).timeline == first.pk
        Entry.objects.create(text="another")

    assert Entry.objects.filter(text__in=("a row of the view's", "another")).count() == 2
    assert (Signup.timelines.count(), ran["register"]) == (1, 3)  # whose rows rolled back
    assert Entry.objects.filter(text="register").count() == 1


def test_a_callers_transaction_that_rolls_back_frees_the_value() -> None:
    with transaction.atomic(using=HERE):
        Signup.start(email="ada@example.org")
        transaction.set_rollback(True, using=HERE)

    Signup.start(email="ada@example.org")
    assert UniqueValue.objects.count() == 1


def test_where_the_step_runs_elsewhere_its_input_is_rejected_there(place: Callable[..., None]) -> None:
    place(Signup._declaration.label, register="embedded")
    first = Signup.start(email="ada@example.org")
    drain()
    second = Signup.start(email="ada@example.org")
    drain()

    error = refused(lambda: fresh(second).register.wait(timeout=0))
    assert (error.reason, error.timeline) == ("not_unique", first.pk)
    assert fresh(second).register.status == "waiting"
    assert Entry.objects.filter(text="register").count() == 1  # what the second wrote rolled back

    assert second.register(email="bea@example.org") == "due"
    drain()
    assert fresh(second).email == "bea@example.org"


def test_a_later_call_that_takes_the_value_of_another_is_rejected() -> None:
    ada = Signup.start(email="ada@example.org")
    bea = Signup.start(email="bea@example.org")

    class Stays(Workflow, unique="email"):
        email: str

        @step
        def register(self, email: str) -> None:
            self.email = email

        @step(after=register)
        def move(self, email: str) -> None:
            self.email = email

        @step(after=move, manual=True)
        def confirm(self) -> None: ...

    first, second = Stays.start(email="ada@example.org"), Stays.start(email="bea@example.org")
    error = refused(lambda: second.move(email="ada@example.org"))

    assert error.timeline == first.pk
    assert (fresh(second).move.status, fresh(second).email) == ("waiting", "bea@example.org")
    assert second.move(email="cleo@example.org") == "completed"
    assert Stays.start(email="bea@example.org").move.status == "waiting"  # the value that it left is free
    assert {ada.email, bea.email} == {"ada@example.org", "bea@example.org"}  # those are of another class


def test_a_step_that_runs_by_itself_is_blocked_with_an_explanation_and_goes_on_when_the_other_has_ended() -> None:
    first = Rename.start(wanted="Ada")
    drain()
    second = Rename.start(wanted="Ada")
    with recorded_errors():
        drain()

    second = fresh(second)
    assert second.take.status == "blocked"
    assert f"There is a “Rename” of the same name under way already. ({first.pk})" in str(second.timeline.explain())
    assert Entry.objects.filter(text="take").count() == 1

    first.timeline.cancel(reason="enough")
    second.take.retry()
    drain()
    assert fresh(second).name == "Ada"


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_what_happened_outside_has_happened_and_the_input_is_rejected() -> None:
    first, second = Rename.start(wanted="Ada"), Rename.start(wanted="Bea")
    drain()

    error = refused(lambda: second.change(name="Ada"))

    assert (error.timeline, fresh(second).change.status, fresh(second).name) == (first.pk, "waiting", "Bea")
    assert Entry.objects.filter(text="change").count() == 1


def test_people_cannot_take_it_either() -> None:
    ada, bea = Rename.start(wanted="Ada"), Rename.start(wanted="Bea")
    assert refused_by(ada, "take", name="X") is None
    assert refused(lambda: bea.take.skip(reason="by hand", name="X")).timeline == ada.pk
    bea.take.skip(reason="by hand", name="Y")

    assert refused(lambda: bea.timeline.amend(reason="mistyped", name="X")).timeline == ada.pk
    bea.timeline.amend(reason="mistyped", name="Z")
    assert refused_by(Rename.start(wanted="Cleo"), "take", name="Y") is None
    assert refused(lambda: fresh(bea).timeline.amend(reason="back", name="Y")).reason == "not_unique"


def refused_by(rename: Any, step: str, **fields: str) -> None:
    getattr(rename, step).skip(reason="by hand", **fields)


def test_a_rewind_takes_back_the_value_of_then_or_is_refused() -> None:
    first = Rename.start(wanted="Ada")
    drain()
    first.timeline.rewind(to="take", reason="again")  # the name is unset again
    assert UniqueValue.objects.count() == 0
    second = Rename.start(wanted="Ada")
    drain(HERE)

    names = sorted(fresh(one).take.status for one in (first, second))
    assert names == ["blocked", "completed"]


def test_several_fields_count_together() -> None:
    seat = Seat.start(row="A", number=1)
    Seat.start(row="A", number=2)
    Seat.start(row="B", number=1)

    error = refused(lambda: Seat.start(row="A", number=1))
    assert (error.timeline, error.messages) == (
        seat.pk,
        ["There is a “Seat” of the same row, number under way already."],
    )


def test_a_function_says_what_counts() -> None:
    badge = Badge.start(code="VIP")

    error = refused(lambda: Badge.start(code="vip"))
    assert (error.timeline, error.messages) == (badge.pk, ["There is such a “Badge” under way already."])


def test_a_class_can_have_one_timeline_at_a_time() -> None:
    first = Nightly.start()

    assert refused(Nightly.start).timeline == first.pk
    drain()
    assert Nightly.start().pk != first.pk


def test_none_is_no_value() -> None:
    class Guest(Workflow, unique="nickname"):
        nickname: str | None = None

        @step
        def arrive(self, nickname: str | None) -> None:
            self.nickname = nickname

        @step(after=arrive, manual=True)
        def leave(self) -> None: ...

    Guest.start(nickname=None)
    Guest.start(nickname=None)
    Guest.start(nickname="Ada")
    assert refused(lambda: Guest.start(nickname="Ada")).reason == "not_unique"


@pytest.mark.parametrize(("code", "wrong"), [(None, ZeroDivisionError), (object(), None)])
def test_a_function_that_goes_wrong_is_the_failure_of_the_body(code: Any, wrong: type[Exception] | None) -> None:
    class Broken(Workflow, unique=lambda broken: broken.code and (1 / 0 if wrong else code)):
        code: str

        @step
        def begin(self) -> None:
            pass

        @step(after=begin)
        def print(self) -> None:
            self.code = "VIP"

        @step(after=print, manual=True)
        def hand_over(self) -> None: ...

    broken = Broken.start()
    with recorded_errors():
        drain()

    assert fresh(broken).print.status == ("retrying" if wrong else "blocked")
    said = str(fresh(broken).timeline.explain())
    assert ("division by zero" if wrong else "returned object, which cannot be compared") in said


def test_a_child_that_finds_its_value_taken_is_blocked_and_its_parent_waits() -> None:
    first = Signup.start(email="ada@example.org")
    house = Household.start(email="ada@example.org")
    with recorded_errors():
        drain()

    child = fresh(house).signup.child
    assert (child.register.status, fresh(house).signup.status) == ("blocked", "waiting")
    first.confirm()
    child.register.retry()
    drain()
    assert fresh(house).signup.child.confirm.status == "waiting"


def test_a_child_that_is_undone_after_its_end_takes_no_value(deploy: Any) -> None:
    workflow = deploy("""
        class Seat(Workflow, unique="number"):
            number: int = 0

            @step
            def book(self, number: int):
                self.number = number

            @book.undo
            def give_back(self):
                self.number = 0
                ran["give_back"] += 1

            @step(after=book)
            def print_it(self):
                if self.number == 0:
                    raise PermanentFailure("no paper")

            @print_it.undo
            def void(self):
                self.number = 0

        class Parcel(Workflow):
            @step
            def post(self): ...

            seat = subworkflow(Seat, after=post, given=lambda parcel: {"number": 7})

            @step(after=seat, manual=True)
            def sit(self): ...
    """)
    first = workflow.start()
    drain()
    second = workflow.start()
    drain()
    seat = workflow.get(second.pk).seat.child
    another = type(seat).start(number=0)

    for parcel in (first, second):
        workflow.get(parcel.pk).timeline.cancel(reason="no show", compensate=True)
    drain()

    assert fresh(another).timeline.status == "blocked"
    assert (ran["give_back"], fresh(first).timeline.status, fresh(seat).timeline.status) == (
        2,
        "cancelled",
        "cancelled",
    )


def test_a_parent_that_is_given_a_value_of_another_is_blocked() -> None:
    first, second = Household.start(email="ada@example.org"), Household.start(email="bea@example.org")
    drain()
    fresh(first).signup.child.confirm()
    fresh(second).signup.child.confirm(email="ada@example.org")
    drain()

    assert fresh(first).address == "ada@example.org"
    assert fresh(second).signup.status == "blocked"
    assert str(first.pk) in str(fresh(second).timeline.explain())


def test_a_value_of_another_blocks_the_child_that_gave_it_and_none_that_ended_with_it(deploy: Any) -> None:
    workflow = deploy("""
        class Child(Workflow):
            value: str = ""

            @step
            def go(self): ...

            @step(after=go)
            def say(self, value: str):
                self.value = value

        class Parcel(Workflow, unique="code"):
            code: str = ""
            colour: str = ""

            @step
            def take(self, code: str):
                self.code = code

            number = subworkflow(Child, after=take, given=lambda parcel: {}, results={"code": "value"})
            paint = subworkflow(Child, after=take, given=lambda parcel: {}, results={"colour": "value"})

            @step(after=[number, paint])
            def post(self): ...
    """)
    workflow.start(code="17")
    parcel = workflow.start(code="18")
    drain()

    for name in ("number", "paint"):
        getattr(fresh(parcel), name).child.say(value="17")
    drain()

    parcel = fresh(parcel)
    assert (parcel.number.status, parcel.paint.status, parcel.colour) == ("blocked", "completed", "17")


def test_a_timeline_that_is_given_in_a_test_holds_its_value() -> None:
    given(Signup, email="ada@example.org").upto("confirm")

    assert refused(lambda: Signup.start(email="ada@example.org")).reason == "not_unique"


# A function that raises on what is stored


@pytest.fixture
def locker() -> Any:
    """Return a timeline whose tag was deleted."""
    locker = Locker.start(tag=Entry.objects.create(text="red"))
    Entry.objects.filter(text="red").delete()
    return locker


def test_a_value_that_nobody_can_say_any_more_is_mended_by_amending_its_timeline(locker: Any) -> None:
    locker.timeline.amend(reason="a new tag", tag=Entry.objects.create(text="blue"))

    assert refused(lambda: Locker.start(tag=Entry.objects.create(text="blue"))).timeline == locker.pk
    assert Locker.start(tag=Entry.objects.create(text="red")).empty.status == "waiting"


def test_a_value_that_nobody_can_say_any_more_stays_with_the_timeline_that_took_it(locker: Any) -> None:
    assert refused(lambda: Locker.start(tag=Entry.objects.create(text="red"))).timeline == locker.pk


def test_a_timeline_whose_value_nobody_can_say_keeps_no_other_from_holding_its_own(locker: Any, caplog: Any) -> None:
    blue = Locker.start(tag=Entry.objects.create(text="blue"))
    UniqueValue.objects.all().delete()

    take_all(HERE)

    assert refused(lambda: Locker.start(tag=Entry.objects.create(text="blue"))).timeline == blue.pk
    assert f"The function in unique= raised on {locker.timeline}" in caplog.text


def test_a_timeline_on_which_the_database_says_no_keeps_no_other_from_holding_its_own(
    deploy: Any, monkeypatch: Any
) -> None:
    first, second = (deploy(OLD).start(address) for address in ("Main Street 1", "Main Street 2"))
    new = deploy(NEW)
    value_of = unique.value_of

    def say_no_once(declaration: Any, limit: Any, snapshot: Any) -> Any:
        if snapshot.id == first.pk:
            raise DataError("integer out of range")
        return value_of(declaration, limit, snapshot)

    monkeypatch.setattr(unique, "value_of", say_no_once)
    take_all(HERE)

    assert refused(lambda: new.start("Main Street 2")).timeline == second.pk


def test_a_clock_looks_again_at_those_that_it_did_not_come_to_as_the_database_was_away(
    deploy: Any, monkeypatch: Any
) -> None:
    parcel = deploy(OLD).start("Main Street 1")
    new = deploy(NEW)
    clock = Clock(HERE)

    def say_nothing(declaration: Any, limit: Any, snapshot: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as away:
        away.setattr(unique, "value_of", say_nothing)
        with pytest.raises(OperationalError):
            clock.turn()
    clock.turn()

    assert refused(lambda: new.start("Main Street 1")).timeline == parcel.pk


def test_a_clock_that_begins_looks_at_so_many_of_them_before_it_goes_on(deploy: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(unique, "BATCH", 2)
    for number in range(5):
        deploy(OLD).start(f"Main Street {number}")
    deploy(NEW)
    new, held = Clock(HERE), []

    for _ in range(4):
        new.turn()
        held.append(UniqueValue.objects.count())

    assert held == [2, 4, 5, 5]


FAMILY = """
class Child(Workflow, unique=lambda child: {"": None, "17": 1, "18": 2}[child.value]):
    value: str = VALUE

    @step
    def go(self): ...

    @step(after=go, manual=True)
    def say(self, value: str):
        self.value = value

class Parcel(Workflow, unique=lambda parcel: {"": None, "17": 1}[parcel.code]):
    code: str = ""
    colour: str = ""

    @step
    def take(self): ...

    number = subworkflow(Child, after=take, results={"code": "value"})
    paint = subworkflow(Child, after=take, results={"colour": "value"})

    @step(after=[number, paint], manual=True)
    def post(self): ...
"""


def test_a_result_of_which_the_parents_function_makes_nothing_blocks_its_step_and_no_other(deploy: Any) -> None:
    parcel = deploy(FAMILY.replace("VALUE", '""')).start()
    drain()
    for name in ("number", "paint"):
        getattr(fresh(parcel), name).child.say(value="18" if name == "number" else "17")
    drain()

    parcel = fresh(parcel)
    assert (parcel.number.status, parcel.paint.status, parcel.colour) == ("blocked", "completed", "17")
    assert "The function in unique= of shop.Parcel raised KeyError: '18'" in str(parcel.timeline.explain())
    with pytest.raises(Rejected, match="raised KeyError"):
        parcel.number.retry()
    with pytest.raises(Rejected, match="raised KeyError"):
        parcel.number.skip(reason="it is like that", code="19")
    assert parcel.number.skip(reason="it was a mistake", code="17") == "completed"


def test_a_child_of_which_its_function_makes_nothing_as_it_begins_is_the_steps_own_failure(deploy: Any) -> None:
    parcel = deploy(FAMILY.replace("VALUE", '"19"')).start()
    with recorded_errors():
        drain()

    parcel = fresh(parcel)
    assert (parcel.number.status, parcel.paint.status) == ("retrying", "retrying")
    assert "KeyError: '19'" in str(parcel.timeline.explain())
    assert parcel.timeline.children.count() == 0


def test_whoever_begins_a_timeline_of_which_its_function_makes_nothing_is_told_what_it_raised(deploy: Any) -> None:
    child = deploy(FAMILY.replace("VALUE", '"19"'))._declaration.steps["number"].child

    with pytest.raises(TimelinesError, match=r"unique= of shop.Child raised KeyError: '19'") as raised:
        child.start()

    assert not isinstance(raised.value, Refused)
    assert Timeline.objects.count() == 0


# Deploys

OLD = """
class Parcel(Workflow):
    address: str

    @step
    def take(self, address: str):
        self.address = address

    @step(after=take, manual=True)
    def sign(self):
        pass
"""
NEW = OLD.replace("(Workflow)", '(Workflow, unique="address")')


def test_open_timelines_that_are_older_than_the_option_hold_their_value_once_a_clock_has_looked(deploy: Any) -> None:
    first = deploy(OLD).start("Main Street 1")
    deploy(OLD).start("Main Street 1")
    deploy(OLD).start("Main Street 2").sign()
    new = deploy(NEW)

    take_all(HERE)

    assert refused(lambda: new.start("Main Street 1")).timeline == first.pk
    assert UniqueValue.objects.count() == 1


def test_what_an_old_process_starts_when_the_clock_has_looked_holds_its_value_within_a_minute(deploy: Any) -> None:
    deploy(NEW)
    clock = Clock(HERE)
    clock.turn()
    parcel = deploy(OLD).start("Main Street 1")

    new = deploy(NEW)
    with travel(timedelta(minutes=1)):
        clock.turn()

    assert refused(lambda: new.start("Main Street 1")).timeline == parcel.pk


def test_who_came_too_late_holds_the_value_within_a_minute_of_the_first_ones_end(deploy: Any, caplog: Any) -> None:
    first, late = deploy(OLD).start("Main Street 1"), deploy(OLD).start("Main Street 1")
    new = deploy(NEW)
    clock = Clock(HERE)
    for minutes in range(3):
        with travel(timedelta(minutes=minutes)):
            clock.turn()
            clock.turn()  # and nothing is left
    assert caplog.text.count(f"{late.timeline} has not ended, and another one holds the value") == 1

    new.get(first.pk).sign()
    with travel(timedelta(minutes=4)):
        clock.turn()

    assert refused(lambda: new.start("Main Street 1")).timeline == late.pk


def test_open_timelines_are_looked_at_some_at_a_time_by_their_keys(deploy: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(unique, "BATCH", 2)
    for number in range(5):
        deploy(OLD).start(f"Main Street {number}")
    deploy(NEW)

    with CaptureQueriesContext(connections[HERE]) as looked:
        take_all(HERE)

    assert UniqueValue.objects.count() == 5
    looks = [one for one in looked if "Parcel" in one["sql"] and one["sql"].endswith("LIMIT 2")]
    assert len(looks) == 4 * len(unique.NOT_ENDED)  # the last finds none


def test_a_value_that_was_left_by_code_without_the_option_is_in_nobodys_way(deploy: Any) -> None:
    parcel = deploy(NEW).start("Main Street 1")
    deploy(OLD).get(parcel.pk).sign()
    assert UniqueValue.objects.count() == 1

    again = deploy(NEW).start("Main Street 1")

    assert UniqueValue.objects.get().timeline_id == again.pk


def test_a_value_that_was_another_by_the_code_before_is_in_nobodys_way(deploy: Any) -> None:
    one_for_all = deploy(NEW.replace('unique="address"', 'unique=lambda parcel: "any"'))
    first = one_for_all.start("Main Street 1")
    assert refused(lambda: one_for_all.start("Main Street 2")).timeline == first.pk

    newer = deploy(NEW.replace('unique="address"', "unique=lambda parcel: parcel.address"))

    assert newer.start("any").sign.status == "waiting"
    take_all(HERE)  # the first holds what it has by this code
    assert refused(lambda: newer.start("Main Street 1")).timeline == first.pk


CITIES = """
class Parcel(Workflow, unique="address"):
    address: str
    city: str = "Bern"

    @step
    def take(self, address: str):
        self.address = address

    @step(after=take, manual=True)
    def sign(self): ...
"""
BY_LAMBDA = CITIES.replace('unique="address"', "unique=lambda parcel: parcel.address.lower()")
NUMBERED = CITIES.replace("address: str", "address: int")


@pytest.mark.parametrize(
    ("old", "new", "address", "again"),
    [
        (CITIES, BY_LAMBDA, "Main Street 1", "main street 1"),
        (CITIES, CITIES.replace('"address"', '["address", "city"]'), "Main Street 1", "Main Street 1"),
        (NUMBERED, CITIES.replace("address: str", "address: Annotated[str, BeforeValidator(str)]"), 17, "17"),
        (NUMBERED, CITIES.replace("address: str", "address: Decimal"), 17, "17"),
    ],
    ids=["a function", "two fields", "text", "a decimal"],
)
def test_what_a_class_says_anew_holds_for_all_that_are_open_once_a_clock_has_looked(
    deploy: Any, old: str, new: str, address: Any, again: Any
) -> None:
    parcel = deploy(old).start(address)
    newer = deploy(new)

    Clock(HERE).turn()

    assert refused(lambda: newer.start(again)).timeline == parcel.pk
    assert refused(lambda: deploy(old).start(address)).timeline == parcel.pk  # in a process of the old code, too


def test_of_two_that_have_one_value_by_what_the_class_says_now_the_first_holds_it(deploy: Any, caplog: Any) -> None:
    first, second = (deploy(CITIES).start(address) for address in ("Main Street 1", "MAIN STREET 1"))
    newer = deploy(BY_LAMBDA)

    take_all(HERE)

    assert f"{second.timeline} has not ended, and another one holds the value" in caplog.text
    assert refused(lambda: newer.start("main street 1")).timeline == first.pk


def test_a_value_that_another_one_held_by_the_code_before_is_taken_from_it(deploy: Any) -> None:
    first, second = (deploy(CITIES).start(address) for address in ("Main", "mAIN"))
    newer = deploy(CITIES.replace('unique="address"', "unique=lambda parcel: parcel.address.swapcase()"))

    take_all(HERE)

    assert refused(lambda: newer.start("Main")).timeline == first.pk
    assert refused(lambda: newer.start("mAIN")).timeline == second.pk


def test_a_value_that_was_amended_while_the_option_was_taken_back_is_held_again(deploy: Any) -> None:
    parcel = deploy(NEW).start("Main Street 1")
    deploy(OLD).get(parcel.pk).timeline.amend(reason="moved", address="Main Street 2")
    new = deploy(NEW)

    take_all(HERE)

    assert refused(lambda: new.start("Main Street 2")).timeline == parcel.pk
    assert new.start("Main Street 1").sign.status == "waiting"


@pytest.mark.parametrize(
    "renamed",
    ["", ', renamed_from=("shop.Packet", "shop.Parcel")', ', renamed_from=("shop.Parcel", "shop.Packet")'],
    ids=["no more", "the oldest last", "the oldest first"],
)
def test_a_workflow_keeps_its_values_whatever_is_said_of_its_former_names(deploy: Any, renamed: str) -> None:
    def called(name: str, renamed: str) -> Any:
        registry._declarations.clear()
        registry._aliases.clear()
        return deploy(
            NEW.replace('Parcel(Workflow, unique="address"', f'{name}(Workflow, unique="address"{renamed}'), name
        )

    called("Parcel", "")
    packet = called("Packet", ', renamed_from="shop.Parcel"').start("Main Street 1")
    newer = called("Letter" if renamed else "Packet", renamed)

    take_all(HERE)

    assert refused(lambda: newer.start("Main Street 1")).timeline == packet.pk


def test_a_clock_that_looks_again_reads_nothing_of_what_nobody_has_changed_since_it_began(
    deploy: Any, monkeypatch: Any
) -> None:
    for number in range(5):
        deploy(NEW).start(f"Main Street {number}")
    monkeypatch.setattr(unique, "SPAN", 4)
    with travel(timedelta(minutes=6)):
        clock = Clock(HERE)
        clock.turn()

    with travel(timedelta(minutes=8)), rows_read(HERE) as read:
        clock.turn()
        clock.turn()

    assert read["states"] == 0


def test_a_renamed_workflow_and_a_renamed_field_keep_the_values(deploy: Any) -> None:
    parcel = deploy(NEW).start("Main Street 1")
    registry._declarations.pop("shop.Parcel")
    source = NEW.replace(
        'class Parcel(Workflow, unique="address")', 'class Packet(Workflow, unique="place", renamed_from="shop.Parcel")'
    )
    source = source.replace("    address: str\n", '    place: Annotated[str, RenamedFrom("address")]\n').replace(
        "self.address", "self.place"
    )
    packet = deploy(source, "Packet")

    assert refused(lambda: packet.start("Main Street 1")).timeline == parcel.pk


def test_a_class_made_from_another_has_a_limit_of_its_own() -> None:
    class Trial(Signup):
        pass

    Signup.start(email="ada@example.org")

    Trial.start(email="ada@example.org")
    assert refused(lambda: Trial.start(email="ada@example.org")).reason == "not_unique"
