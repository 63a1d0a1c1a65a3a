"""What somebody has begun is carried to its end and given back; what nobody has begun is left out."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from django_timelines.engine.claim import claim
from django_timelines.engine.clock import tick
from django_timelines.engine.execute import execute
from django_timelines.engine.interrupt import Stopped
from django_timelines.exceptions import Rejected
from django_timelines.models import Run
from django_timelines.state import RunName
from django_timelines.testing import crash_at, drain, recorded_errors, travel
from django_timelines.testing.due import carry_out, next_due
from tests.races.workers import worker
from tests.shop.here import HERE
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")

EITHER = """
from django.core.exceptions import ValidationError

class Parcel(Workflow):
    @step
    def post(self): ...

    @step(after=post OPTIONS)
    def weigh(self, grams: int):
        raise ValidationError("no")

    @step(after=post, manual=True)
    def fetch(self): ...

    @step(after=any_of(weigh, fetch))
    def thank(self): ...
"""
QUORUM = """
from django.core.exceptions import ValidationError

class Parcel(Workflow):
    people: list[str]

    @step
    def post(self, people: list[str]):
        self.people = people

    @step(after=post, each="people", at_least=1)
    def sign(self, person: str, grams: int):
        if grams < 0:
            raise ValidationError("no")

    @step(after=sign)
    def thank(self): ...
"""
CHARGED = """
class Parcel(Workflow):
    @step
    def post(self): ...

    @step(after=post, delivery=AT_LEAST_ONCE, retry=Retry(3, wait=timedelta(seconds=10), jitter=False))
    def charge(self):
        for number in self.iterate([1, 2, 3], batch=1):
            ran["charge"] += 1
            if "charge" in plan:
                plan.pop("charge")(self)

    @charge.undo
    def refund(self):
        ran["refund"] += 1

    @step(after=post, manual=True)
    def fetch(self): ...

    @step(after=any_of(charge, fetch))
    def thank(self): ...
"""
KEPT = """
class Parcel(Workflow):
    paid: int = 0

    @step
    def post(self): ...

    @step(after=post)
    def read(self, verdict: str):
        self.verdict = verdict

    verdict: str = ""

    @step(after=read, when=lambda parcel: parcel.verdict == "poor", again=read)
    def improve(self): ...

    @step(after=read, manual=True)
    def check(self): ...

    @step(after=check, early="keep")
    def pay(self, amount: int):
        self.paid += amount
"""


@pytest.fixture(params=["", ", limit=1", ", delivery=AT_LEAST_ONCE"], ids=["inline", "limited", "outside"])
def rejected(request: pytest.FixtureRequest, deploy: Any) -> Any:
    """A parcel of which a call was rejected; the other way is open."""
    workflow = deploy(EITHER.replace(" OPTIONS", request.param))
    parcel = workflow.start()
    drain()
    with suppress(Rejected):
        parcel.weigh(grams=1)
    drain()
    assert workflow.get(parcel.pk).weigh.status == "waiting"
    return workflow.get(parcel.pk)


def test_a_rejected_call_has_begun_nothing(rejected: Any) -> None:
    rejected.fetch()
    drain()

    now = type(rejected).get(rejected.pk)
    assert (now.weigh.status, now.timeline.status) == ("not taken", "completed")


@pytest.mark.parametrize("delivery", ["EXACTLY_ONCE", "AT_LEAST_ONCE", "AT_MOST_ONCE"])
@pytest.mark.parametrize("meanwhile", ["fetch", "cancel"])
def test_nobody_is_to_call_again_where_a_call_was_rejected_that_is_needed_no_more(
    deploy: Any, place: Any, delivery: str, meanwhile: str
) -> None:
    workflow = deploy(EITHER.replace(" OPTIONS", f", delivery={delivery}"))
    place("shop.Parcel", weigh="embedded")
    parcel = workflow.start()
    drain()
    parcel.weigh(grams=1)
    weighing = claim(parcel.pk, RunName("weigh"), Run.objects.get(step="weigh").fence, worker("one"))
    if meanwhile == "fetch":
        workflow.get(parcel.pk).fetch()
    else:
        workflow.get(parcel.pk).timeline.cancel(reason="no more")
    execute(weighing, worker("one"))
    drain()

    now = workflow.get(parcel.pk)
    ended = ("not taken", "completed") if meanwhile == "fetch" else ("cancelled", "cancelled")
    assert (now.weigh.status, now.timeline.status) == ended


def test_nor_is_one_whose_vote_was_rejected_once_enough_have_voted(deploy: Any, place: Any) -> None:
    workflow = deploy(QUORUM)
    place("shop.Parcel", sign="embedded")
    parcel = workflow.start(["Ada", "Bob"])
    drain()
    parcel.sign["Ada"](grams=-1)
    signing = claim(parcel.pk, RunName("sign", "Ada"), Run.objects.get(item="Ada").fence, worker("one"))
    workflow.get(parcel.pk).sign["Bob"](grams=1)
    with recorded_errors():
        carry_out(next_due(HERE), HERE)
    execute(signing, worker("one"))
    drain()

    now = workflow.get(parcel.pk)
    assert (now.sign["Ada"].status, now.timeline.status) == ("not taken", "completed")


@pytest.mark.parametrize("where", ["inline", "embedded"])
def test_a_rejected_vote_is_no_begun_one(deploy: Any, place: Any, where: str) -> None:
    workflow = deploy(QUORUM)
    place("shop.Parcel", sign=where)
    parcel = workflow.start(["Ada", "Bob"])
    drain()
    with suppress(Rejected):
        parcel.sign["Ada"](grams=-1)
    drain()

    workflow.get(parcel.pk).sign["Bob"](grams=1)
    drain()

    now = workflow.get(parcel.pk)
    assert (now.sign["Ada"].status, now.timeline.status) == ("not taken", "completed")


ASKED = """
class Parcel(Workflow):
    @step
    def post(self): ...

    @step(after=post, delay=lambda parcel: timedelta(days=3), delivery=DELIVERY)
    def remind(self):
        ran["remind"] += 1

    @step(after=post, manual=True)
    def fetch(self): ...

    @step(after=any_of(remind, fetch))
    def thank(self): ...
"""


@pytest.fixture(params=["AT_LEAST_ONCE", "AT_MOST_ONCE", "EXACTLY_ONCE"])
def asked(request: pytest.FixtureRequest, deploy: Any) -> Any:
    """A parcel of which a process died that had only asked when a step is due, or a person took that from it; asked again."""
    workflow = deploy(ASKED.replace("DELIVERY", request.param))
    parcel = workflow.start()
    with crash_at("before body", workflow.remind):
        drain()
    assert workflow.get(parcel.pk).remind.status == "running"
    return workflow.get(parcel.pk)


@pytest.mark.parametrize("how", ["rescue", "force"])
@pytest.mark.parametrize("end", ["cancel", "fetch"])
def test_who_only_asked_when_a_step_is_due_has_begun_nothing(asked: Any, how: str, end: str) -> None:
    if how == "force":
        asked.remind.retry(reason="it hangs", force=True)
    with travel(timedelta(minutes=2)):
        tick(HERE)
        drain()
        assert type(asked).get(asked.pk).remind.status == "due"

    if end == "cancel":
        type(asked).get(asked.pk).timeline.cancel(reason="no more")
    else:
        type(asked).get(asked.pk).fetch()
    drain()

    status = type(asked).get(asked.pk).timeline.status
    assert (status, ran["remind"]) == ("cancelled" if end == "cancel" else "completed", 0)


def test_nor_has_it_on_a_timeline_that_was_cancelled_meanwhile(asked: Any) -> None:
    asked.timeline.cancel(reason="no more")

    with travel(timedelta(minutes=2)):
        tick(HERE)
        drain()

    assert (type(asked).get(asked.pk).timeline.status, ran["remind"]) == ("cancelled", 0)


def stop(workflow: Any) -> None:
    raise Stopped


def fail(workflow: Any) -> None:
    raise OSError("no")


def begun(deploy: Any, how: Callable[[Any], None], after: int) -> Any:
    """Return a parcel whose charge has ended once in this way, after so many batches."""
    workflow = deploy(CHARGED)
    parcel = workflow.start()

    def later(charging: Any) -> None:
        if ran["charge"] > after:
            how(charging)
        plan["charge"] = later

    plan["charge"] = later
    with recorded_errors():
        while ran["charge"] <= after:
            carry_out(next_due(HERE), HERE, alone=True)
    plan.clear()
    assert workflow.get(parcel.pk).charge.status == "retrying"
    return workflow.get(parcel.pk)


@pytest.mark.parametrize("how", [stop, fail])
@pytest.mark.parametrize("after", [0, 1], ids=["in its first batch", "after a batch"])
def test_an_effect_that_was_begun_is_no_way_that_was_not_taken(deploy: Any, how: Any, after: int) -> None:
    parcel = begun(deploy, how, after)
    parcel.fetch()

    with travel(timedelta(minutes=1)):
        drain()

    now = type(parcel).get(parcel.pk)
    assert (now.charge.status, now.timeline.status) == ("completed", "completed")


def test_an_effect_that_was_tried_until_its_time_ran_out_is_no_way_that_was_not_taken(deploy: Any) -> None:
    workflow = deploy(
        CHARGED.replace("delivery=AT_LEAST_ONCE,", "delivery=AT_LEAST_ONCE, within=timedelta(minutes=5),")
    )
    parcel = workflow.start()
    plan["charge"] = fail
    with recorded_errors():
        drain()
    with travel(timedelta(minutes=6)):
        drain()
        assert workflow.get(parcel.pk).charge.status == "overdue"
        workflow.get(parcel.pk).fetch()
        drain()

    now = workflow.get(parcel.pk)
    assert (now.charge.status, now.thank.status, now.timeline.status) == ("overdue", "completed", "waiting")


@pytest.mark.parametrize("retried", [False, True])
@pytest.mark.parametrize("after", [0, 1], ids=["in its first batch", "after a batch"])
def test_an_effect_that_was_begun_and_stopped_is_carried_to_its_end_and_given_back(
    deploy: Any, after: int, retried: bool
) -> None:
    parcel = begun(deploy, stop, after)
    if retried:
        parcel.charge.retry(reason="now")
    type(parcel).get(parcel.pk).timeline.cancel(reason="no more", compensate=True)

    drain()

    now = type(parcel).get(parcel.pk)
    assert (now.charge.status, ran["refund"], now.timeline.status) == ("completed", 1, "cancelled")


def test_an_effect_that_hangs_and_is_retried_by_force_is_given_back_after_a_cancel(deploy: Any) -> None:
    workflow = deploy(CHARGED)
    parcel = workflow.start()

    def hang(charging: Any) -> None:
        workflow.get(parcel.pk).charge.retry(force=True, reason="it hangs")
        workflow.get(parcel.pk).timeline.cancel(reason="no more", compensate=True)

    plan["charge"] = hang
    drain()

    now = workflow.get(parcel.pk)
    assert (now.charge.status, ran["refund"], now.timeline.status) == ("completed", 1, "cancelled")


@pytest.mark.parametrize("sent_back", ["by a step", "by a person"])
def test_a_call_that_is_kept_is_kept_in_the_next_round(deploy: Any, sent_back: str) -> None:
    workflow = deploy(KEPT)
    parcel = workflow.start()
    drain()
    if sent_back == "by a person":
        workflow.get(parcel.pk).read(verdict="good")
    assert workflow.get(parcel.pk).pay.using(key="event 1")(amount=5) == "kept"
    if sent_back == "by a person":
        workflow.get(parcel.pk).timeline.rewind(to="read", reason="read it again")
    else:
        workflow.get(parcel.pk).read(verdict="poor")
    drain()
    assert workflow.get(parcel.pk).pay.using(key="event 1")(amount=5) == "kept"  # the webhook comes again

    workflow.get(parcel.pk).read(verdict="good")
    drain()
    workflow.get(parcel.pk).check()
    drain()

    now = workflow.get(parcel.pk)
    assert (now.paid, now.timeline.status) == (5, "completed")


def test_a_kept_call_of_an_item_that_a_new_round_may_not_have_can_be_made_again(deploy: Any) -> None:
    workflow = deploy("""
        class Parcel(Workflow):
            people: list[str]

            @step
            def post(self, people: list[str]):
                self.people = people

            @step(after=post, each="people", at_once=1, manual=True, early="keep")
            def sign(self, person: str, words: str):
                ran[words] += 1
    """)
    parcel = workflow.start(["Ada", "Bob"])
    drain()
    assert parcel.sign["Bob"].using(key="bob's")(words="first") == "kept"  # in the list, and not its turn

    workflow.get(parcel.pk).timeline.rewind(to="sign", reason="again")
    assert workflow.get(parcel.pk).sign["Bob"].using(key="bob's")(words="first") == "kept"
    workflow.get(parcel.pk).sign["Ada"](words="mine")
    drain()

    assert (ran["first"], workflow.get(parcel.pk).timeline.status) == (1, "completed")
