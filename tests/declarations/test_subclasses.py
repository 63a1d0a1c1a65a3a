"""What a workflow has from the classes that it is made from, and what it has instead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from django_timelines.exceptions import DeclarationError
from django_timelines.fields import UNSET
from django_timelines.testing import drain, fail_step
from django_timelines.workflows import AT_LEAST_ONCE, Retry, Workflow, step

pytestmark = pytest.mark.django_db(databases="__all__")


class Donation(Workflow):
    amount: int = 5
    letters: list[str]

    @step
    def give(self, amount: int) -> None:
        self.amount, self.letters = amount, []

    @step(after=give)
    def charge(self) -> None:
        self.letters.append("charged")

    @charge.undo
    def refund(self) -> None:
        self.letters.append("refunded")

    @step(after=charge)
    def thank(self, name: str) -> None:
        self.letters.append(name)


class Francs:
    """Comes before the class whose field it gives another default."""

    amount = 20


def as_recorded(workflow: Any) -> dict[str, Any]:
    drain()
    fields: dict[str, Any] = type(workflow).get(workflow.pk).timeline.state["fields"]
    return fields


def test_a_value_without_an_annotation_is_the_new_default_of_an_inherited_field() -> None:
    class Monthly(Donation):
        amount = 20

    class Swiss(Francs, Donation):
        pass

    class Quarterly(Monthly):
        pass

    for workflow in (Monthly, Swiss, Quarterly):
        assert workflow._declaration.defaults()["amount"] == 20
        assert as_recorded(workflow.start(amount=100))["amount"] == 100
    assert (Donation._declaration.defaults()["amount"], Francs.amount) == (5, 20)


def test_of_two_bases_the_one_that_python_asks_first_says_the_default() -> None:
    class Plain(Donation):
        pass

    class Large(Donation):
        amount: int = 1000

    class Both(Plain, Large):
        pass

    assert Both._declaration.defaults()["amount"] == 1000


def test_fields_of_a_class_that_is_no_workflow_count_wherever_it_stands_among_the_bases() -> None:
    class Noted:
        note: str = ""

    class Remembered(Donation, Noted):
        @step(after=Donation.charge)
        def remember(self) -> None:
            self.note = "charged"

    assert as_recorded(Remembered.start(amount=1))["note"] == "charged"


def shadowed_by(value: Any) -> None:
    type("Shadowed", (Donation,), {"__module__": __name__, "amount": value})


@pytest.mark.parametrize("value", ["many", None, lambda self: 5, property(lambda self: 5)])
def test_what_cannot_be_the_default_of_an_inherited_field_is_refused(value: Any) -> None:
    with pytest.raises(DeclarationError, match=r"Shadowed\.amount: its default .* does not fit .* another name\."):
        shadowed_by(value)


def test_a_step_in_the_place_of_an_inherited_field_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"'amount' is a field and a step\. Rename one"):
        shadowed_by(step(after=Donation.give)(lambda self: None))


class Silent:
    """Has a method of a step's name."""

    def thank(self, name: str) -> None: ...


@pytest.mark.parametrize("value", [None, 5, lambda self: None, property(lambda self: 5)])
def test_what_is_no_step_in_the_place_of_an_inherited_one_is_refused(value: Any) -> None:
    with pytest.raises(DeclarationError, match=r"'thank' of Quiet overrides the step 'thank'.*@step\(after=…\), or"):
        type("Quiet", (Donation,), {"__module__": __name__, "thank": value})
    with pytest.raises(DeclarationError, match="'thank' of Silent overrides the step 'thank'"):
        type("Quiet", (Silent, Donation), {"__module__": __name__})


def test_a_step_that_is_overridden_is_undone_by_its_own_undo_of_the_same_name() -> None:
    class Loud(Donation):
        @step(after=Donation.give)
        def charge(self) -> None:
            self.letters.append("CHARGED")

        @charge.undo
        def refund(self) -> None:
            self.letters.append("REFUNDED")

    donation = Loud.start(amount=1)
    drain()
    Loud.get(donation.pk).timeline.cancel(reason="mistaken", compensate=True)

    assert as_recorded(donation)["letters"] == ["CHARGED", "REFUNDED"]


def test_an_inherited_undo_has_the_delivery_retry_timeout_and_limit_of_the_step_that_overrides() -> None:
    class Outside(Donation):
        @step(after=Donation.give, delivery=AT_LEAST_ONCE, retry=Retry(7), timeout=timedelta(seconds=5), limit=2)
        def charge(self) -> None:
            self.letters.append("CHARGED")

    undo, base = Outside._declaration.steps["refund"], Donation._declaration.steps["refund"]
    donation = Outside.start(amount=1)
    drain()
    Outside.get(donation.pk).timeline.cancel(reason="mistaken", compensate=True)

    assert undo.undoes is Outside.charge
    assert (undo.delivery, undo.retry, undo.timeout) == (AT_LEAST_ONCE, Retry(7), timedelta(seconds=5))
    assert (base.undoes, base.delivery, base.retry) == (Donation.charge, Donation.charge.delivery, Retry())
    assert [counted.number for counted in Outside._declaration.limited["refund"]] == [2]
    assert as_recorded(donation)["letters"] == ["CHARGED", "refunded"]


def test_an_inherited_undo_that_does_not_go_with_the_step_that_overrides_is_refused() -> None:
    class Mailed(Workflow):
        @step(delivery=AT_LEAST_ONCE)
        def send(self) -> None: ...

        @send.undo
        async def apologise(self) -> None: ...

    with pytest.raises(DeclarationError, match="'apologise' is an async def"):

        class Written(Mailed):
            @step
            def send(self) -> None: ...


def test_an_inherited_undo_that_is_named_on_the_subclass_is_the_subclasss() -> None:
    class Refundable(Donation):
        @step(after=Donation.give)
        def charge(self) -> None: ...

    donation = Refundable.start(amount=1)
    drain()
    with fail_step(Refundable.refund, OSError("The bank is away.")):
        Refundable.get(donation.pk).timeline.cancel(reason="mistaken", compensate=True)
        drain()

    assert Refundable.get(donation.pk).timeline.events.filter(type="AttemptFailed", step="refund").exists()


def test_a_second_undo_of_an_overridden_step_is_refused_if_it_has_another_name_than_the_inherited_one() -> None:
    with pytest.raises(
        DeclarationError,
        match=r"Twice\.charge has two undos: pay_back and refund\. Keep one: .* replaced by one of its name",
    ):

        class Twice(Donation):
            @step(after=Donation.give)
            def charge(self) -> None: ...

            @charge.undo
            def pay_back(self) -> None: ...


class Review(Workflow):
    reminded: int = 0

    @step
    def hand_in(self) -> None: ...

    @step(after=hand_in, within=timedelta(days=9), remind=timedelta(days=1))
    def review(self, text: str) -> None: ...

    @review.reminder(delivery=AT_LEAST_ONCE, retry=Retry(3))
    def remind(self) -> None:
        self.reminded += 1

    @step(after=review.overdue)
    def give_up(self) -> None: ...


def test_an_inherited_reminder_reminds_of_the_step_that_overrides() -> None:
    class Quick(Review):
        @step(after=Review.hand_in, within=timedelta(hours=9), remind=timedelta(hours=1))
        def review(self, text: str) -> None: ...

    reminder = Quick._declaration.steps["remind"]

    assert reminder.reminds is Quick.review
    assert (reminder.delivery, reminder.retry) == (AT_LEAST_ONCE, Retry(3))
    assert Review._declaration.steps["remind"].reminds is Review.review


def test_a_step_that_is_overridden_without_its_deadline_or_its_reminders_is_refused_where_others_hang_on_them() -> None:
    with pytest.raises(DeclarationError, match=r"Endless\.give_up comes after review\.overdue, .* has no within="):

        class Endless(Review):
            @step(after=Review.hand_in, remind=timedelta(days=1))
            def review(self, text: str) -> None: ...

    with pytest.raises(DeclarationError, match=r"reminds of 'review', which does not say when"):

        class Forgetful(Review):
            @step(after=Review.hand_in, within=timedelta(days=9))
            def review(self, text: str) -> None: ...


def test_each_class_reads_the_list_of_each_as_its_own_field_has_it() -> None:
    class Round(Workflow):
        drinks: tuple[str, ...] = ("tea",)
        made: list[str]

        @step
        def place(self) -> None:
            self.made = []

        @step(after=place, each="drinks", at_once=1)
        def make(self, drink: str) -> None:
            self.made = [*self.made, drink]

    class LargeOrder(Round):
        drinks = ("coffee", "milk")

    class Empty(Round):
        drinks: tuple[str, ...]

    order, large = Round.start(), LargeOrder.start()

    assert as_recorded(order)["made"] == ["tea"]
    assert as_recorded(large)["made"] == ["coffee", "milk"]
    assert Empty._declaration.fields["drinks"].default is UNSET


def test_what_python_hides_from_instances_is_still_a_field() -> None:
    class Constant(Donation):
        amount: ClassVar[int] = 7  # type: ignore[misc]

    assert as_recorded(Constant.start(amount=8))["amount"] == 8
