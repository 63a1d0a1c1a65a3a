"""Rule 6: other timelines are declared like steps; parent and children go on beside one another and report back."""

import uuid
from datetime import timedelta
from textwrap import dedent
from typing import Any

import pytest

from django_timelines import moments
from django_timelines.actors import SYSTEM
from django_timelines.engine.clock import tick
from django_timelines.engine.prune import prune
from django_timelines.exceptions import DeclarationError, PermanentFailure, Refused
from django_timelines.models import Event, Notice, Timeline, new_id
from django_timelines.testing import assert_holds, crash_at, drain, recorded_errors, travel
from django_timelines.workflows import Workflow, step, subworkflow
from tests.shop.models import Entry
from tests.shop.workflows import Bill, Dish, Supper, plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")


def fail(*names: str) -> Any:
    def body(workflow: Any) -> None:
        if not names or workflow.drink in names:
            raise PermanentFailure("It went wrong.")

    return body


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_whoever_skips_a_childs_last_step_is_told_of_the_child(deploy: Any, place: Any) -> None:
    parcel = deploy("""
        class Kid(Workflow):
            @step
            def begin(self): ...

            @step(after=begin, manual=True)
            def end(self): ...

        class Parcel(Workflow):
            @step
            def post(self): ...

            kid = subworkflow(Kid, after=post)

            @step(after=kid)
            def finish(self):
                ran["finish"] += 1
    """).start()
    place("shop.Parcel", finish="inline")
    drain()
    kid = type(parcel).get(parcel.pk).kid.child
    pk = kid.pk

    assert kid.end.skip(reason="nobody is there") == "completed"

    assert (kid.pk, kid.end.status, ran["finish"]) == (pk, "skipped", 1)


def fresh(workflow: Any) -> Any:
    """Return it as it is once all that is due was done."""
    with recorded_errors():
        drain()
    return type(workflow).get(workflow.pk)


def ate(*dishes: str, price: int = 5) -> Any:
    supper = Supper.start(guest="Ada", dishes=list(dishes), price=price)
    with recorded_errors():
        drain()
    return fresh(supper)


def texts(prefix: str) -> list[str]:
    return sorted(Entry.objects.filter(text__startswith=prefix).values_list("text", flat=True))


def test_children_go_on_beside_their_parent_and_report_back() -> None:
    supper = ate("soup", "cake")

    assert (supper.bill.status, supper.cooking.status, supper.thank.status) == ("waiting", "completed", "upcoming")
    assert supper.timeline.status == "waiting"
    supper.bill.child.tip(amount=1)

    supper = fresh(supper)
    assert (supper.bill.status, supper.receipt, supper.thank.status) == ("completed", "receipt 1", "waiting")
    assert supper.bill.child.timeline.status == supper.cooking["cake"].child.timeline.status == "completed"
    supper.thank()
    assert fresh(supper).timeline.status == "completed"
    assert Notice.objects.count() == 0


@pytest.mark.parametrize("away", [timedelta(days=-1), timedelta(days=1)])
def test_a_drain_lets_a_parent_hear_of_its_child_wherever_the_clock_stands(away: timedelta) -> None:
    supper = ate("soup")

    with travel(away):
        supper.bill.child.tip(amount=1)
        supper = fresh(supper)

    assert (supper.bill.status, Notice.objects.count()) == ("completed", 0)
    assert_holds()


def test_a_family_shares_its_correlation_and_each_first_event_names_its_cause() -> None:
    supper = ate("soup")
    family = list(supper.timeline.family)

    assert [one.workflow for one in family] == ["shop.Supper", "shop.Bill", "shop.Dish"]
    assert list(supper.timeline.children) == family[1:]
    first = Event.objects.get(timeline=family[1].pk, sequence=1)
    assert (first.cause_timeline, family[1].parent) == (supper.pk, supper.pk)
    cause = Event.objects.get(timeline=supper.pk, sequence=first.cause)
    assert (cause.step, cause.data["child"]) == ("bill", family[1].pk.hex)
    told = Event.objects.get(timeline=supper.pk, step="cooking", item="soup", type="StepCompleted")
    assert told.cause_timeline == family[2].pk


def test_what_given_raises_is_the_steps_own_failure_and_leaves_no_child() -> None:
    plan["bill_of"] = lambda supper: {"amount": "much"}
    supper = Supper.start(guest="Ada", dishes=[])
    with recorded_errors():
        drain()

    assert not fresh(supper).timeline.children.filter(workflow="shop.Bill").exists()
    assert fresh(supper).apologise.status == "completed"


def test_a_child_that_nobody_goes_on_from_blocks_and_the_parent_says_where() -> None:
    plan["cook"] = fail("soup")
    supper = ate("soup", "cake")

    assert supper.cooking["soup"].child.timeline.status == "blocked"
    assert (supper.cooking["cake"].status, supper.cooking["soup"].status) == ("completed", "waiting")
    said = str(supper.timeline.explain())
    assert "waits for shop.Dish" in said
    assert "It went wrong." in said

    plan.clear()
    supper.cooking["soup"].child.cook.retry()
    drain()
    assert fresh(supper).cooking.status == "completed"


def test_a_child_fails_if_its_parent_goes_on_from_that() -> None:
    plan["charge"] = fail()
    supper = ate("soup", "cake")

    bill = Bill.get(supper.timeline.children.get(workflow="shop.Bill").pk)
    assert (bill.timeline.status, bill.charge.status, bill.tip.status) == ("failed", "failed", "cancelled")
    assert (supper.bill.status, supper.apologise.status, supper.timeline.status) == ("failed", "completed", "cancelled")
    assert texts("threw") == ["threw away cake", "threw away soup"]
    assert {one.status for one in supper.timeline.children.filter(workflow="shop.Dish")} == {"cancelled"}
    assert_holds()


def test_bad_input_from_a_parent_is_a_failure_as_nobody_can_call_again() -> None:
    supper = ate(price=-1)

    bill = supper.timeline.children.get()
    assert (bill.status, supper.bill.status) == ("failed", "failed")


def test_cancel_reaches_children_and_waits_for_their_end() -> None:
    supper = ate("soup")
    supper.timeline.cancel(reason="closed")

    supper = fresh(supper)
    assert (supper.timeline.status, supper.bill.status) == ("cancelled", "cancelled")
    assert supper.bill.child.timeline.status == "cancelled"
    assert supper.cooking["soup"].child.timeline.status == "completed"
    assert Notice.objects.count() == 0
    assert_holds()


def test_compensation_undoes_a_completed_child_as_one_step_the_last_completed_first() -> None:
    supper = ate("soup")
    supper.bill.child.tip(amount=1)
    fresh(supper).timeline.cancel(reason="closed", compensate=True)
    drain()

    supper = fresh(supper)
    assert supper.timeline.status == "cancelled"
    assert (texts("refund"), texts("threw")) == (["refund"], ["threw away soup"])
    undone = Event.objects.filter(timeline=supper.pk, type="StepUndone").order_by("sequence")
    assert list(undone.values_list("step", "item")) == [("bill", ""), ("cooking", "soup")]
    assert {one.status for one in supper.timeline.children} == {"cancelled"}
    assert_holds()


def test_undoing_a_child_that_has_nothing_to_undo_names_its_end_as_the_cause(deploy: Any) -> None:
    parcel = deploy("""
        class Stamp(Workflow):
            @step
            def lick(self): ...

        class Parcel(Workflow):
            @step
            def pack(self): ...

            stamp = subworkflow(Stamp, after=pack)

            @step(after=stamp, manual=True)
            def post(self): ...
    """)
    posted = parcel.start()
    drain()
    fresh(posted).timeline.cancel(reason="lost", compensate=True)
    drain()

    undone = Event.objects.get(timeline=posted.pk, type="StepUndone")
    cause = Event.objects.get(timeline=undone.cause_timeline, sequence=undone.cause)
    assert (cause.type, fresh(posted).timeline.status) == ("TimelineCompleted", "cancelled")


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_child_whose_end_and_answer_are_taken_at_once_is_told_that_it_is_undone(deploy: Any) -> None:
    parcel = deploy("""
        class Stamp(Workflow):
            @step
            def buy(self): ...

            @step(after=buy, manual=True)
            def lick(self): ...

        class Parcel(Workflow):
            @step
            def pack(self): ...

            stamp = subworkflow(Stamp, after=pack)

            @step(after=stamp, manual=True)
            def post(self): ...
    """)
    posted = parcel.start()
    drain()
    stamp = fresh(posted).stamp.child
    with crash_at("after commit", type(stamp).lick):  # the parent does not take that it has ended
        stamp.lick()

    type(posted).get(posted.pk).timeline.cancel(reason="lost", compensate=True)  # whereupon it says so again
    drain()

    posted = fresh(posted)
    assert (posted.timeline.status, posted.stamp.status, Notice.objects.count()) == ("cancelled", "completed", 0)
    assert Event.objects.filter(timeline=posted.pk, type="StepUndone", step="stamp").count() == 1
    assert_holds()


def test_what_holds_for_parent_and_child_alike_is_explained_once_and_no_error_turns_the_sentence_around() -> None:
    supper = ate("soup")
    supper.bill.child.tip(amount=1)

    def refuse(workflow: Any) -> None:
        raise PermanentFailure("the till \u202eis closed")

    plan["refund"] = refuse
    fresh(supper).timeline.cancel(reason="closed", compensate=True)
    with recorded_errors():
        drain()

    why = fresh(supper).timeline.explain()

    assert [one.reason for one in why.reasons] == ["cancelling", "child", "blocked"]
    assert "PermanentFailure: the till is closed. Retry or skip it." in str(why)


def test_a_new_round_undoes_children_and_begins_new_ones() -> None:
    supper = ate("soup")
    supper.bill.child.tip(amount=1)
    fresh(supper).timeline.rewind(to="bill", reason="wrong price", undo=True)
    drain()

    supper = fresh(supper)
    assert (texts("refund"), supper.bill.status, ran["charge"]) == (["refund"], "waiting", 2)
    bills = supper.timeline.children.filter(workflow="shop.Bill")
    assert [one.status for one in bills] == ["cancelled", "waiting"]
    assert supper.cooking.status == "completed"
    assert_holds()


def test_a_child_that_is_no_longer_waited_for_is_cancelled() -> None:
    supper = ate()
    bill = supper.bill.child
    supper.bill.skip(reason="on the house")

    assert (fresh(supper).thank.status, fresh(bill).timeline.status) == ("waiting", "cancelled")
    assert Notice.objects.count() == 0


def test_a_child_that_somebody_cancels_fails_its_step_and_a_retry_begins_another() -> None:
    supper = ate("soup")
    supper.bill.child.timeline.cancel(reason="a mistake")
    assert fresh(supper).bill.status == "failed"

    plan["cook"] = fail("soup")
    other = ate("soup")
    other.cooking["soup"].child.timeline.cancel(reason="burnt")
    assert fresh(other).cooking["soup"].status == "blocked"
    plan.clear()
    fresh(other).cooking["soup"].retry()
    drain()
    assert fresh(other).cooking["soup"].status == "completed"
    assert_holds()


def test_a_step_that_is_overdue_before_it_begins_another_child_waits_for_none(deploy: Any) -> None:
    parcel = deploy("""
        class Kid(Workflow):
            @step
            def begin(self): ...

            @step(after=begin, manual=True)
            def end(self): ...

        class Parcel(Workflow):
            @step
            def post(self): ...

            kid = subworkflow(Kid, after=post, within=timedelta(hours=1))
    """).start()
    drain()
    fresh(parcel).kid.child.timeline.cancel(reason="begun by mistake")
    drain()
    fresh(parcel).kid.retry()
    travel(timedelta(hours=2))
    tick(parcel.timeline.using)

    assert (fresh(parcel).kid.status, fresh(parcel).kid.child) == ("overdue", None)
    assert fresh(parcel).kid() == "due"
    drain()
    assert (fresh(parcel).kid.status, fresh(parcel).kid.child.timeline.status) == ("waiting", "waiting")


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_a_crash_around_the_childs_end_loses_nothing(point: str) -> None:
    supper = Supper.start(guest="Ada", dishes=["soup"])
    with crash_at(point, Dish.cook):
        drain()
    travel(timedelta(minutes=2))
    drain()

    assert fresh(supper).cooking.status == "completed"
    assert ran["cook"] == (2 if point == "before commit" else 1)


def test_the_clock_lets_a_parent_take_what_nobody_took() -> None:
    supper = ate("soup")
    child = supper.timeline.children.get(workflow="shop.Dish")
    row = {"source": child.pk, "sequence": child.head, "kind": Notice.ENDED}
    with moments.standing_still():
        Notice.objects.create(id=new_id(), timeline=supper.pk, **row)
        Notice.objects.create(id=new_id(), timeline=uuid.uuid4(), **row)
        tick(supper.timeline.using, SYSTEM)
    assert Notice.objects.count() == 2  # whoever ended it may be about to
    with travel(timedelta(seconds=5)):
        tick(supper.timeline.using, SYSTEM)

    assert (Notice.objects.count(), fresh(supper).timeline.head) == (0, supper.timeline.head)


def test_only_whole_families_are_pruned() -> None:
    supper = ate("soup")
    travel(timedelta(days=100))

    assert list(prune(timedelta(days=90))) == []
    supper.timeline.cancel(reason="closed")
    fresh(supper)
    travel(timedelta(days=100))
    assert sum(prune(timedelta(days=90))) == 3


def test_a_prune_that_is_ended_after_any_batch_leaves_no_child_without_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("django_timelines.engine.prune.BATCH", 1)
    suppers = [ate("soup", "salad") for _ in range(2)]
    for supper in suppers:
        supper.timeline.cancel(reason="closed")
        fresh(supper)
    travel(timedelta(days=100))
    left: list[int] = []

    for gone in prune(timedelta(days=90)):
        there = {one.pk: one.parent for one in Timeline.objects.all()}
        assert {parent for parent in there.values() if parent is not None} <= there.keys()
        assert gone == 1
        left.append(len(there))

    assert left == [*range(7, -1, -1)]


def test_a_call_of_a_step_that_waits_for_its_child_answers_where_it_stands() -> None:
    supper = ate()
    assert supper.bill() == supper.bill.wait(timeout=0.1) == "due"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"manual": True}, "has no option 'manual'"),
        ({"given": {"name": "x"}}, "a dict of its input"),
        ({"results": {"nothing": "name"}}, "'nothing', which is no field"),
    ],
)
def test_a_wrong_declaration_says_how_to_mend_it(options: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):

        class Wrong(Workflow):
            name: str

            @step
            def begin(self) -> None: ...

            dish = subworkflow(Dish, after=begin, **options)


def test_a_step_may_start_another_timeline_which_knows_why() -> None:
    begun: list[Any] = []
    plan["thank"] = lambda supper: begun.append(Dish.start(name="coffee"))
    supper = ate()
    supper.bill.child.tip(amount=1)
    fresh(supper).thank()

    coffee = begun[0].timeline
    assert (coffee.correlation, coffee.parent) == (supper.pk, None)
    first = Event.objects.get(timeline=coffee.pk, sequence=1)
    assert first.cause_timeline == supper.pk
    assert Event.objects.get(timeline=supper.pk, sequence=first.cause).step == "thank"


def test_a_child_of_an_earlier_round_is_undone_behind_the_one_of_this_round() -> None:
    supper = ate("soup")
    supper.timeline.rewind(to="cooking", reason="cold")
    supper = fresh(supper)

    supper.timeline.cancel(reason="closed", compensate=True)

    assert fresh(supper).timeline.status == "cancelled"
    assert [dish.status for dish in Dish.timelines.all()] == ["cancelled", "cancelled"]
    assert Entry.objects.filter(text="threw away soup").count() == 2


PAID = """
class Pay(Workflow):
    receipt: Any = None

    @step
    def ask(self, amount: int): ...

    @step(after=ask, delivery=AT_LEAST_ONCE)
    def charge(self):
        ran["charge"] += 1
        self.receipt = plan.get("receipt", 1)

    @charge.undo
    def refund(self):
        ran["refund"] += 1
    TIP

class Parcel(Workflow):
    receipt: int = 0

    @step
    def post(self): ...

    payment = subworkflow(Pay, after=post, given=lambda parcel: {"amount": 5}, results={"receipt": "receipt"})

    @step(after=payment, manual=True)
    def thank(self): ...
"""
TIP = """
    @step(after=charge, manual=True)
    def tip(self): ...
"""


def paid_with_what_does_not_fit(deploy: Any) -> Any:
    plan["receipt"] = "no number"
    workflow = deploy(PAID.replace("    TIP\n", ""))
    parcel = workflow.start()
    drain()
    assert (workflow.get(parcel.pk).payment.status, ran["charge"]) == ("blocked", 1)
    return workflow.get(parcel.pk)


def test_a_retry_of_what_a_child_gave_looks_at_it_again_and_begins_no_other(deploy: Any) -> None:
    parcel = paid_with_what_does_not_fit(deploy)
    assert parcel.payment.retry(reason="mended?") == "blocked"
    workflow = deploy(PAID.replace("    TIP\n", "").replace("    receipt: int = 0", "    receipt: int | str = 0"))

    assert workflow.get(parcel.pk).payment.retry(reason="mended") == "completed"

    assert (workflow.get(parcel.pk).receipt, ran["charge"]) == ("no number", 1)
    assert workflow.get(parcel.pk).thank.status == "waiting"


def test_a_call_begins_no_other_child_where_the_results_of_one_did_not_fit(deploy: Any) -> None:
    parcel = paid_with_what_does_not_fit(deploy)

    with pytest.raises(Refused, match="Retry it") as refused:
        parcel.payment()

    assert (refused.value.reason, parcel.timeline.children.count()) == ("taken", 1)


def test_what_is_said_of_a_child_that_is_gone_is_what_can_be_done(deploy: Any) -> None:
    workflow = deploy(PAID.replace("    TIP\n", TIP))
    parcel = workflow.start()
    drain()
    child = workflow.get(parcel.pk).payment.child
    child.timeline.delete()
    assert "gone: skip it, or rewind to it." in str(workflow.get(parcel.pk).timeline.explain())

    workflow.get(parcel.pk).timeline.rewind(to="payment", reason="somebody deleted it")
    drain()

    parcel = workflow.get(parcel.pk)
    assert (parcel.payment.status, parcel.payment.child.pk != child.pk) == ("waiting", True)
    parcel.payment.child.timeline.delete()
    assert parcel.payment.skip(reason="and once more") == "completed"


@pytest.mark.parametrize("first", ["skip", "rewind"])
def test_a_child_whose_results_did_not_fit_is_undone_whatever_a_person_did_first(deploy: Any, first: str) -> None:
    parcel = paid_with_what_does_not_fit(deploy)
    if first == "skip":
        parcel.payment.skip(reason="it is the seventh", receipt=7)
    else:
        plan["receipt"] = 2
        parcel.timeline.rewind(to="payment", reason="again")
    drain()

    type(parcel).get(parcel.pk).timeline.cancel(reason="no more", compensate=True)
    drain()

    assert ran["refund"] == ran["charge"] == (1 if first == "skip" else 2)
    assert {one.status for one in parcel.timeline.family} == {"cancelled"}


@pytest.mark.parametrize("each", ["", ', each="amounts", at_most_failed=2'])
def test_a_child_whose_results_did_not_fit_is_undone_where_the_class_goes_on_from_its_failure(
    deploy: Any, each: str
) -> None:
    plan["receipt"] = "no number"
    source = PAID.replace("    TIP\n", "").replace("after=post,", f"after=post{each},")
    source = source.replace("    receipt: int = 0", "    receipt: int = 0\n    amounts: list[int] = [5, 7]")
    source = source.replace("lambda parcel:", "lambda parcel, *amount:") if each else source
    workflow = deploy(
        source
        + """
    @step(after=payment.failed)
    def apologise(self): ...

    @step(after=any_of(payment, apologise))
    def close(self):
        self.cancel(reason="not paid", compensate=True)
"""
    )
    parcel = workflow.start()
    drain()

    assert ran["refund"] == ran["charge"] == (2 if each else 1)
    assert {one.status for one in parcel.timeline.family} == {"cancelled"}


@pytest.mark.parametrize("how", ["cancel", "rewind"])
@pytest.mark.parametrize("undo", [True, False])
def test_a_child_whose_results_did_not_fit_is_undone_where_its_parent_is(deploy: Any, how: str, undo: bool) -> None:
    parcel = paid_with_what_does_not_fit(deploy)
    if how == "cancel":
        parcel.timeline.cancel(reason="no more", compensate=undo)
    else:
        plan["receipt"] = 2
        parcel.timeline.rewind(to="payment", reason="again", undo=undo)
    drain()

    assert ran["refund"] == undo
    assert type(parcel).get(parcel.pk).timeline.status == ("cancelled" if how == "cancel" else "waiting")


@pytest.mark.parametrize("undo", [True, False])
def test_a_rewind_that_undoes_gives_back_what_a_child_under_way_has_done(deploy: Any, undo: bool) -> None:
    workflow = deploy(PAID.replace("    TIP\n", TIP))
    parcel = workflow.start()
    drain()
    child = workflow.get(parcel.pk).payment.child
    assert child.tip.status == "waiting"

    workflow.get(parcel.pk).timeline.rewind(to="post", reason="again", undo=undo)
    drain()

    assert (ran["charge"], ran["refund"]) == (2, undo)
    assert type(child).get(child.pk).timeline.status == "cancelled"


def test_the_explanation_names_the_step_whose_child_is_under_way(deploy: Any) -> None:
    workflow = deploy(PAID.replace("    TIP\n", TIP).replace("payment", "first_payment"))
    parcel = workflow.start()
    drain()

    assert workflow.get(parcel.pk).timeline.explain().reasons[0].step == "first_payment"


def test_the_explanation_says_that_a_step_is_overdue_whose_child_is_under_way(deploy: Any) -> None:
    workflow = deploy(PAID.replace("    TIP\n", TIP).replace("after=post,", "after=post, within=timedelta(days=1),"))
    parcel = workflow.start()
    drain()
    with travel(timedelta(days=2)):
        drain()
        explanation = workflow.get(parcel.pk).timeline.explain()

    assert [reason.reason for reason in explanation.reasons] == ["overdue", "child", "waiting"]
    assert "“payment” is overdue since" in explanation.public


UNFIT = {
    "a row that is gone": """
        class Pay(Workflow):
            receipt: Entry
            @step
            def ask(self): self.receipt = Entry.objects.create(text="gone")
            @step(after=ask, manual=True)
            def tip(self): ...
        class Parcel(Workflow):
            receipt: Entry | None
    """,
    "a validator that raises": """
        class Pay(Workflow):
            receipt: int | None = None
            @step
            def ask(self): ...
            @step(after=ask, manual=True)
            def tip(self): ...
        class Parcel(Workflow):
            receipt: Annotated[int, BeforeValidator(lambda given: given + 1)] = 0
    """,
}
BESIDE = """
    number: int = 0
    @step
    def post(self): ...
    first = subworkflow(Pay, after=post, results={"receipt": "receipt"})
    second = subworkflow(Pay, after=post)
"""


@pytest.mark.parametrize("what", UNFIT)
def test_a_result_that_cannot_be_read_blocks_its_step_and_none_that_ended_with_it(deploy: Any, what: str) -> None:
    workflow = deploy("from tests.shop.models import Entry\n" + dedent(UNFIT[what]) + BESIDE)
    parcel = workflow.start()
    drain()
    parcel = workflow.get(parcel.pk)
    Entry.objects.all().delete()
    for step_ in (parcel.first, parcel.second):
        with crash_at("after commit", type(step_.child).tip):  # the parent takes both at once
            step_.child.tip()
    drain()

    parcel = workflow.get(parcel.pk)
    assert (parcel.first.status, parcel.second.status, Notice.objects.count()) == ("blocked", "completed", 0)
    said = str(parcel.timeline.explain())
    assert f"'receipt' of shop.Pay {parcel.first.child.pk} does not fit 'receipt'" in said
    assert parcel.first.retry() == "blocked"
    assert parcel.first.skip(reason="it is lost") == "completed"


@pytest.mark.filterwarnings("ignore:A payload of")
def test_results_that_make_the_parents_fields_too_large_together_block_their_step(deploy: Any) -> None:
    workflow = deploy("""
        class Pay(Workflow):
            receipt: str = ""
            @step
            def ask(self): self.receipt = "r" * 400_000
        class Parcel(Workflow):
            first: str = ""
            second: str = ""
            third: str = ""
            @step
            def post(self): ...
            a = subworkflow(Pay, after=post, results={"first": "receipt"})
            b = subworkflow(Pay, after=post, results={"second": "receipt", "third": "receipt"})
            @step(after=[a, b])
            def thank(self): ...
    """)
    parcel = workflow.start()
    drain()

    parcel = workflow.get(parcel.pk)
    assert (parcel.a.status, parcel.b.status) == ("completed", "blocked")
    assert f"What shop.Pay {parcel.b.child.pk} gives is too much: This is 1,200,0" in str(parcel.timeline.explain())
    parcel.timeline.amend(reason="it is enough", first="")
    assert parcel.b.retry() == "completed"
