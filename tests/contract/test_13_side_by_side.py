"""Clause 13: while old and new processes are up side by side, what one of them does not know is never taken for done."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from django_timelines import moments, registry
from django_timelines.actors import SYSTEM
from django_timelines.engine.answer import answer
from django_timelines.engine.claim import claim
from django_timelines.engine.clock import Clock, hear_all, tick
from django_timelines.engine.execute import execute
from django_timelines.engine.renames import brought_up
from django_timelines.engine.runner import Runner, load
from django_timelines.models import Run, Timeline
from django_timelines.runs import RunName
from django_timelines.testing import drain, recorded_errors, travel
from tests.shop.here import HERE
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")

WORKER = Runner(SYSTEM, "rq:default", HERE)
CHILD = """
class Child(Workflow):
    receipt: str = ""

    @step
    def go(self):
        self.receipt = "r1"

    @go.undo
    def back(self):
        ran["back"] += 1

    @step(after=go, manual=True)
    def hold(self): ...

"""
BEFORE = (
    CHILD
    + """
class Parcel(Workflow):
    receipt: str

    @step
    def take(self): ...
    PAY
    @step(after=take, manual=True)
    def sign(self): ...
"""
)
PAY = """
    pay = subworkflow(Child, after=take, given=lambda parcel: {}, results={"receipt": "receipt"})

    @step(after=pay)
    def thank(self):
        ran["thank"] += 1
"""
OLD, NEW = BEFORE.replace("PAY", ""), BEFORE.replace("PAY", PAY)


def named(source: str, name: str, former: str = "") -> str:
    """Return the source with this name for its step, which had a former one in the code before."""
    return source.replace("NAME", name).replace("FORMER", f', renamed_from="{former}"' if former else "")


ADDED = BEFORE.replace(
    "PAY",
    """
    @step(after=take, within=timedelta(minutes=2))
    def insure(self):
        ran["insure"] += 1

    @step(after=insure.overdue)
    def apologise(self):
        ran["sorry"] += 1
""",
)
LACKS = pytest.mark.parametrize("lacks", ["the step", "the class"])


def lacking(deploy: Any, what: str) -> None:
    """Be a process of the old release, which does not have this."""
    deploy(OLD)
    if what == "the class":
        registry._declarations.pop("shop.Parcel")


def taken(deploy: Any) -> Any:
    """Return a parcel of the new release of which the added step is due."""
    parcel = deploy(ADDED).start()
    answer_for(parcel, "take", "")
    return parcel


def look(parcel: Any, later: timedelta) -> str:
    """Let a clock of this process look, that much later; return how the added step stands then."""
    with travel(later):
        tick(HERE)
        return Run.objects.get(timeline=parcel.pk, step="insure").status


@LACKS
def test_a_step_that_an_old_worker_does_not_know_is_left_to_new_ones(deploy: Any, lacks: str) -> None:
    parcel = taken(deploy)
    lacking(deploy, lacks)
    with travel(timedelta(seconds=6)):
        tick(HERE)
        answer_for(parcel, "insure", "")
        assert Run.objects.get(timeline=parcel.pk, step="insure").status == "due"
        if lacks == "the step":
            assert "This code has no step “insure”: it is left to" in str(Timeline.objects.get(pk=parcel.pk).explain())

    new = deploy(ADDED)
    answer_for(parcel, "insure", "")

    assert (new.get(parcel.pk).insure.status, ran["insure"]) == ("completed", 1)


@LACKS
def test_nor_does_an_old_clock_rescue_an_attempt_at_it(deploy: Any, lacks: str) -> None:
    parcel = taken(deploy)
    claim(parcel.pk, RunName("insure"), Run.objects.get(timeline=parcel.pk, step="insure").fence, WORKER)
    lacking(deploy, lacks)
    assert look(parcel, timedelta(seconds=65)) == "running"

    new = deploy(ADDED)
    with travel(timedelta(seconds=75)):
        tick(HERE)
        drain()

    assert (new.get(parcel.pk).insure.status, ran["insure"]) == ("completed", 1)


@LACKS
def test_nor_does_it_settle_its_deadline_which_may_lead_somewhere(deploy: Any, lacks: str) -> None:
    parcel = taken(deploy)
    lacking(deploy, lacks)
    assert look(parcel, timedelta(minutes=3)) == "due"

    new = deploy(ADDED)
    with travel(timedelta(minutes=4)):
        tick(HERE)
        drain()

    assert (new.get(parcel.pk).insure.status, ran["insure"], ran["sorry"]) == ("overdue", 0, 1)


@LACKS
def test_an_old_clock_that_looks_first_delays_no_deadline(deploy: Any, lacks: str) -> None:
    parcel = taken(deploy)
    lacking(deploy, lacks)
    old = Clock(HERE)
    with travel(timedelta(minutes=3)):
        old.turn()

    new = deploy(ADDED)
    with travel(timedelta(minutes=3, seconds=1)):
        Clock(HERE).turn()

    assert new.get(parcel.pk).insure.status == "overdue"


@LACKS
def test_nor_a_rescue_but_it_looks_ever_later_once_nobody_else_does(deploy: Any, lacks: str) -> None:
    parcel = taken(deploy)
    claim(parcel.pk, RunName("insure"), Run.objects.get(timeline=parcel.pk, step="insure").fence, WORKER)
    lacking(deploy, lacks)
    old = Clock(HERE)

    def rings_after(later: timedelta) -> int:
        with travel(later):
            old.turn()
            return Run.objects.get(timeline=parcel.pk, step="insure").rings

    lease = timedelta(seconds=61)
    with moments.standing_still():
        assert [rings_after(lease + timedelta(seconds=later)) for later in (0, 1, 3, 6, 9, 11)] == [0, 0, 1, 1, 1, 2]


@LACKS
def test_what_a_child_tells_an_old_process_is_left_to_new_ones(deploy: Any, lacks: str) -> None:
    parcel = deploy(NEW).start()
    drain()
    child = Timeline.objects.get(parent=parcel.pk)
    lacking(deploy, lacks)
    child.subject.hold()
    hear_all(HERE, WORKER)
    assert Timeline.objects.get(pk=parcel.pk).status == "waiting"

    new = deploy(NEW)
    hear_all(HERE, WORKER)
    drain()

    parcel = new.get(parcel.pk)
    assert (parcel.pay.status, parcel.receipt, ran["thank"]) == ("completed", "r1", 1)


@LACKS
def test_a_childs_end_is_no_end_of_a_step_that_no_process_knew_for_long(deploy: Any, lacks: str) -> None:
    parcel = deploy(NEW).start()
    drain()
    child = Timeline.objects.get(parent=parcel.pk)
    lacking(deploy, lacks)
    child.subject.hold()
    with travel(timedelta(minutes=6)):  # nobody who has it came by in that time
        hear_all(HERE, WORKER)

    now = deploy(NEW)
    drain()

    parcel = now.get(parcel.pk)
    assert (parcel.pay.status, parcel.timeline.status, ran["thank"]) == ("blocked", "blocked", 0)
    assert "no subworkflow pay that takes its results" in str(parcel.timeline.explain())
    parcel.pay.retry()  # by who knows it: the results are taken again, and no other child begins
    drain()
    parcel = now.get(parcel.pk)
    assert (parcel.pay.status, parcel.receipt, ran["thank"]) == ("completed", "r1", 1)
    assert Timeline.objects.filter(parent=parcel.pk).count() == 1


def test_a_childs_end_ends_a_parent_that_is_cancelled_without_its_code(deploy: Any, monkeypatch: Any) -> None:
    parcel = deploy(NEW).start()
    drain()
    child = Timeline.objects.get(parent=parcel.pk)
    child.subject.hold()
    parcel.timeline.cancel(reason="over")  # before it has heard of that

    monkeypatch.delitem(registry._declarations, "shop.Parcel")
    hear_all(HERE, WORKER)

    assert Timeline.objects.get(pk=parcel.pk).status == "cancelled"


def test_a_child_is_undone_by_who_knows_its_class(deploy: Any, monkeypatch: Any) -> None:
    parcel = deploy(NEW).start()
    drain()
    child = Timeline.objects.get(parent=parcel.pk)
    child.subject.hold()
    drain()
    with monkeypatch.context() as old:
        old.delitem(registry._declarations, "shop.Child")
        parcel.timeline.cancel(reason="over", compensate=True)
        hear_all(HERE, WORKER)
        assert (ran["back"], Timeline.objects.get(pk=child.pk).status) == (0, "completed")
        assert Timeline.objects.get(pk=parcel.pk).status == "cancelling"

    hear_all(HERE, WORKER)
    drain()

    assert (ran["back"], Timeline.objects.get(pk=child.pk).status) == (1, "cancelled")
    assert Timeline.objects.get(pk=parcel.pk).status == "cancelled"


RENAMED_BESIDE = """
class Parcel(Workflow):
    address: str

    @step
    def take(self, address: str):
        self.address = address

    @step(after=take)
    def weigh(self):
        ran["weigh"] += 1
        plan["weigh"]()

    @step(after=weigh)
    def label(self):
        ran["label"] += 1

    @step(after=take, manual=True FORMER)
    def NAME(self): ...
"""


def test_a_body_of_old_code_that_would_run_again_leaves_that_to_newer_code(deploy: Any) -> None:
    old, new = named(RENAMED_BESIDE, "sign"), named(RENAMED_BESIDE, "confirm", former="sign")
    parcel = deploy(old).start("Main Street 1")
    held = claim(parcel.pk, RunName("weigh"), Run.objects.get(timeline=parcel.pk, step="weigh").fence, WORKER)
    deploy(new)
    brought_up(registry.get("shop.Parcel"), load(parcel.pk, HERE))
    deploy(old)

    def deadlock() -> None:
        if ran["weigh"] == 1:
            raise OperationalError("deadlock")

    plan["weigh"] = deadlock
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("django_timelines.engine.execute.is_transient", lambda error: "deadlock" in str(error))
        patched.setattr("django_timelines.engine.patience.is_transient", lambda error: "deadlock" in str(error))
        assert execute(held, WORKER) == (None, None)

    now = deploy(new)
    drain()
    assert (now.get(parcel.pk).weigh.status, ran["label"]) == ("completed", 1)


ITEMS = """
class Parcel(Workflow):
    shops: list[str] = ["North", "South"]

    @step
    def take(self): ...

    @step(after=take, each="shops" FORMER)
    def NAME(self, shop: str):
        ran[shop] += 1

    @step(after=NAME)
    def tell(self):
        ran["tell"] += 1
"""


def test_an_item_waits_while_another_is_executed_under_the_former_name(deploy: Any) -> None:
    old, new = named(ITEMS, "carry"), named(ITEMS, "bring", former="carry")
    parcel = deploy(old).start()
    answer_for(parcel, "take", "")
    held = claim(parcel.pk, RunName("carry", "North"), run_of(parcel, "North").fence, WORKER)

    now = deploy(new)
    answer_for(parcel, "carry", "South")
    assert (ran["South"], run_of(parcel, "South").status) == (0, "due")

    deploy(old)
    execute(held, WORKER)
    now = deploy(new)
    drain()
    assert (now.get(parcel.pk).timeline.status, ran["North"], ran["South"], ran["tell"]) == ("completed", 1, 1, 1)


def run_of(parcel: Any, item: str) -> Run:
    return Run.objects.get(timeline=parcel.pk, item=item)


def answer_for(parcel: Any, step: str, item: str) -> None:
    run = Run.objects.get(timeline=parcel.pk, step=step, item=item)
    answer(parcel.pk.hex, step, item, run.fence, HERE, "rq:default")


DEADLINE = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @step(after=take, manual=True, within=timedelta(hours=1) FORMER)
    def NAME(self): ...

    @step(after=NAME.overdue)
    def apologise(self):
        ran["sorry"] += 1
"""


def test_a_deadline_under_a_former_name_leads_where_the_step_leads(deploy: Any) -> None:
    deploy(named(DEADLINE, "measure", former="weigh"))
    clock = Clock(HERE)
    clock.turn()  # there is nothing to be brought up yet
    old = deploy(named(DEADLINE, "weigh"))
    parcel = old.start()
    drain()
    now = deploy(named(DEADLINE, "measure", former="weigh"))

    with travel(timedelta(hours=2)):
        clock.turn()
        drain()

    assert (now.get(parcel.pk).measure.status, ran["sorry"]) == ("overdue", 1)


FAILING = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @step(after=take, retry=Retry(1) FORMER)
    def NAME(self):
        ran["tried"] += 1
        raise ValueError("no scales")

    @step(after=NAME.failed)
    def apologise(self):
        ran["sorry"] += 1
"""


def test_a_last_attempt_that_died_under_a_former_name_leads_where_the_step_leads(deploy: Any) -> None:
    old, new = named(FAILING, "weigh"), named(FAILING, "measure", former="weigh")
    parcel = deploy(old).start()
    answer_for(parcel, "take", "")
    claim(parcel.pk, RunName("weigh"), Run.objects.get(timeline=parcel.pk).fence, WORKER)

    now = deploy(new)
    with travel(timedelta(seconds=61)), recorded_errors():
        tick(HERE)
        drain()

    assert (now.get(parcel.pk).measure.status, ran["tried"], ran["sorry"]) == ("failed", 1, 1)


NAMED = """
class Parcel(Workflow):
    @step
    def take(self): ...

    @step(after=take, manual=True FORMER)
    def NAME(self): ...
"""


def test_a_step_that_an_old_worker_comes_to_when_the_clock_has_looked_has_its_new_name_within_a_minute(
    deploy: Any, admin_client: Client
) -> None:
    parcel = deploy(named(NAMED, "sign")).start()
    deploy(named(NAMED, "confirm", "sign"))
    clock = Clock(HERE)
    clock.turn()
    deploy(named(NAMED, "sign"))
    drain()  # an old worker

    new = deploy(named(NAMED, "confirm", "sign"))
    with travel(timedelta(minutes=1)):
        clock.turn()

    assert "<form" in admin_client.get(new.get(parcel.pk).get_absolute_url()).content.decode()


PENDING = """
class Parcel(Workflow):
    FIELD

    @step
    def take(self, address: str):
        self.STORED = address

    @step(after=take FORMER)
    def NAME(self): ...

    @step(after=take, delivery=AT_LEAST_ONCE)
    def print(self):
        self.STORED

    @step(after=take, delivery=AT_LEAST_ONCE)
    def stamp(self):
        self.STORED

    @step(after=[NAME, print, stamp], manual=True)
    def sign(self): ...
"""


@pytest.mark.parametrize(
    ("body", "street"), [("self.STORED", "Main Street"), ("self.STORED = 'Side Street'", "Side Street")]
)
def test_bodies_of_newer_code_know_a_field_by_its_former_name_while_old_code_executes_a_renamed_step(
    deploy: Any, body: str, street: str
) -> None:
    source = PENDING.replace("self.STORED\n\n    @step(after=[", body + "\n\n    @step(after=[")
    old = named(source, "weigh").replace("FIELD", "address: str").replace("STORED", "address")
    new = named(source, "measure", former="weigh").replace("STORED", "street")
    parcel = deploy(old).start("Main Street")
    once = Runner(SYSTEM, "rq:default", HERE, since=float("-inf"))  # its second is over: it goes on with nothing
    fences = {run.step: run.fence for run in Run.objects.filter(timeline=parcel.pk)}
    weighed = claim(parcel.pk, RunName("weigh"), fences["weigh"], once)

    now = deploy(new.replace("FIELD", 'street: Annotated[str, RenamedFrom("address")]'))
    for held in [claim(parcel.pk, RunName(step), fences[step], once) for step in ("print", "stamp")]:
        execute(held, once)
    execute(weighed, once)
    brought_up(registry.get("shop.Parcel"), load(parcel.pk, HERE))

    assert [now.get(parcel.pk).print.status, now.get(parcel.pk).stamp.status] == ["completed", "completed"]
    assert (now.get(parcel.pk).street, now.get(parcel.pk).timeline.state["fields"]) == (street, {"street": street})
