"""Clause 13: a step or a field that is renamed again and again, while children, links and fields know it by an earlier name."""

from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from django_timelines import registry
from django_timelines.engine.clock import Clock, tick
from django_timelines.engine.renames import brought_up
from django_timelines.engine.runner import load
from django_timelines.exceptions import Refused
from django_timelines.models import Timeline
from django_timelines.outline import outline
from django_timelines.testing import Crash, crash_at, drain, recorded_errors, travel
from tests.shop.here import HERE
from tests.shop.workflows import plan, ran

pytestmark = pytest.mark.django_db(databases="__all__")

NAMES = ["pay", "payment", "billing"]
CHILD = """
class Child(Workflow):
    name: str = ""

    @step
    def go(self, name: str):
        self.name = name

    @step(after=go, manual=True)
    def hold(self): ...

"""
ONE = (
    CHILD
    + """
class Parcel(Workflow):
    people: list[str] = []

    @step
    def post(self, people: list[str]):
        self.people = people

    NAME = subworkflow(Child, after=post, given=lambda parcel: {"name": "x"} FORMER)

    @step(after=NAME)
    def thank(self):
        ran["thank"] += 1
"""
)
MANY = ONE.replace('given=lambda parcel: {"name": "x"}', 'each="people", given=lambda parcel, one: {"name": one}')
FIELDS = """
class Parcel(Workflow):
    SUM: FIELD

    @step
    def post(self):
        self.SUM = 1

    @step(after=post FORMER)
    def NAME(self):
        self.SUM = 5

    @NAME.undo
    def give_back(self):
        ran["seen"] = self.SUM

    @step(after=NAME, manual=True)
    def sign(self): ...
"""
CHARGED = """
class Parcel(Workflow):
    people: list[str] = []

    @step
    def post(self, people: list[str]):
        self.people = people

    @step(after=post, delivery=AT_LEAST_ONCE, retry=Retry(9) FORMER)
    def NAME(self):
        ran[self.idempotency_key.partition("-")[2]] += 1
        if not plan:
            raise OSError
"""
CHARGED_EACH = CHARGED.replace("after=post", 'after=post, each="people"').replace("(self)", "(self, one: str)")
LINKED = """
class Parcel(Workflow):
    @step
    def post(self): ...

    @step(after=post, manual=True FORMER)
    def NAME(self):
        ran["pay"] += 1
"""


def release(deploy: Any, source: str, number: int) -> Any:
    """Deploy the class with the first name, or with the one that it has after so many releases, and let its clock look."""
    former = f', renamed_from="{NAMES[number - 1]}"' if number else ""
    field = f'Annotated[int, RenamedFrom("{NAMES[number - 1]}_sum")]' if number else "int"
    names = {"NAME": NAMES[number], "SUM": f"{NAMES[number]}_sum", "FORMER": former, "FIELD": field}
    for word, name in names.items():
        source = source.replace(word, name)
    workflow = deploy(source)
    Clock(HERE).turn()
    drain()
    return workflow


@pytest.mark.parametrize("source", [ONE, MANY], ids=["one child", "one for each item"])
@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_a_renamed_step_keeps_its_children_and_hears_of_their_ends(deploy: Any, source: str, renamed: int) -> None:
    parcel = release(deploy, source, 0).start(["Ada", "Bob"])
    drain()
    for number in range(1, renamed + 1):
        workflow = release(deploy, source, number)
        assert {child.status for child in workflow.get(parcel.pk).timeline.children} == {"waiting"}

    for child in parcel.timeline.children:
        child.subject.hold()
    drain()

    row = Timeline.objects.get(pk=parcel.pk)
    assert (row.status, ran["thank"], row.children.count()) == ("completed", 1, 2 if source is MANY else 1)


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_a_link_to_a_step_that_was_renamed_leads_to_it(deploy: Any, client: Client, renamed: int) -> None:
    parcel = release(deploy, LINKED, 0).start()
    drain()
    link = type(parcel).get(parcel.pk).pay.link()
    for number in range(1, renamed + 1):
        release(deploy, LINKED, number)

    client.post(link)

    assert ran["pay"] == 1


@pytest.mark.parametrize(
    ("source", "items", "keys"),
    [(CHARGED, [], {"pay": 4}), (CHARGED_EACH, ["Ada", "Bob"], {"pay[Ada]": 4, "pay[Bob]": 4})],
    ids=["one", "one for each item"],
)
def test_the_idempotency_key_of_a_step_that_is_renamed_between_two_attempts_stays(
    deploy: Any, source: str, items: list[str], keys: dict[str, int]
) -> None:
    with recorded_errors():
        parcel = release(deploy, source, 0).start(items)
        drain()
        for number in (1, 2):
            workflow = release(deploy, source, number)
            travel(timedelta(minutes=10))
            drain()
    plan["ends"] = True
    billing = workflow.get(parcel.pk).billing
    for run in [billing[one] for one in items] or [billing]:
        run.retry()
    drain()

    assert dict(ran) == keys
    assert Timeline.objects.get(pk=parcel.pk).status == "completed"


CALLED = """
class Parcel(Workflow):
    @step
    def begin(self): ...

    @step(after=begin, manual=True, delivery=AT_LEAST_ONCE FORMER)
    def deposit(self):
        ran[self.idempotency_key] += 1
"""
ANOTHER = """
    @step(after=deposit, manual=True, delivery=AT_LEAST_ONCE)
    def charge(self):
        ran[self.idempotency_key] += 1
"""


def test_a_step_that_nobody_had_tried_has_its_new_name_in_its_key_as_another_may_have_the_old_one(deploy: Any) -> None:
    parcel = deploy(CALLED.replace("deposit", "charge").replace(" FORMER", "")).start()
    drain()
    deploy(CALLED.replace(" FORMER", ", renamed_from='charge'"))
    Clock(HERE).turn()
    workflow = deploy(CALLED.replace(" FORMER", "") + ANOTHER)

    workflow.get(parcel.pk).deposit()
    drain()
    workflow.get(parcel.pk).charge()
    drain()

    assert sorted(ran) == [f"{parcel.pk.hex}-charge", f"{parcel.pk.hex}-deposit"]


def test_a_new_round_of_a_renamed_step_has_a_key_of_its_own(deploy: Any) -> None:
    with recorded_errors():
        parcel = release(deploy, CHARGED, 0).start([])
        drain()
        workflow = release(deploy, CHARGED, 1)
        plan["ends"] = True
        workflow.get(parcel.pk).timeline.rewind(to="payment", reason="again")
        drain()

    assert dict(ran) == {"pay": 1, "payment@2": 1}


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_what_was_set_under_former_names_is_taken_back_and_given_to_the_undo(deploy: Any, renamed: int) -> None:
    workflow = release(deploy, FIELDS, 0)
    parcel = workflow.start()
    drain()
    for number in range(1, renamed + 1):
        workflow = release(deploy, FIELDS, number)
        brought_up(registry.find("shop.Parcel"), load(parcel.pk, HERE))
    now = workflow.get(parcel.pk)
    assert getattr(now, f"{NAMES[renamed]}_sum") == 5

    now.timeline.rewind(to=NAMES[renamed], reason="again", undo=True)
    assert getattr(workflow.get(parcel.pk), f"{NAMES[renamed]}_sum") == 1
    drain()

    assert ran["seen"] == 5


@pytest.mark.parametrize("to", NAMES[:2])
def test_what_a_rewind_to_a_step_that_was_renamed_since_would_do_is_what_it_does(deploy: Any, to: str) -> None:
    parcel = release(deploy, FIELDS, 0).start()
    drain()
    timeline = release(deploy, FIELDS, 1).get(parcel.pk).timeline

    plan = timeline.preview_rewind(to=to, undo=True)
    output = StringIO()
    call_command("timelines", "rewind", str(parcel.pk), "--to", to, "--undo", "--dry-run", stdout=output)

    assert (plan.to, plan.again, plan.undo) == ("payment", ("payment", "sign"), ("payment@1",))
    assert "undone first  payment" in output.getvalue()
    assert Timeline.objects.get(pk=parcel.pk).head == timeline.head
    timeline.rewind(to=to, reason="again", undo=True)
    drain()
    begun = timeline.events.get(type="RoundBegun")
    assert (begun.data["to"], begun.data["undo"], begun.data["fields"]) == (plan.to, [*plan.undo], plan.fields)
    assert ran["seen"] == 5


@pytest.mark.parametrize("name", NAMES[:2])
def test_at_a_terminal_a_step_has_the_name_that_it_had_before_too(deploy: Any, name: str) -> None:
    source = CHARGED.replace("AT_LEAST_ONCE, retry=Retry(9)", "AT_MOST_ONCE")
    parcel = release(deploy, source, 0).start([])
    with recorded_errors():
        drain()
    assert type(parcel).get(parcel.pk).pay.status == "blocked"
    workflow = release(deploy, source, 1)

    call_command("timelines", "retry", str(parcel.pk), name, "--reason", "mended")

    assert workflow.get(parcel.pk).payment.status == "due"
    with recorded_errors():
        drain()
    call_command("timelines", "skip", str(parcel.pk), name, "--reason", "paid in cash")
    assert workflow.get(parcel.pk).timeline.status == "completed"


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize("clock", [True, False])
def test_what_may_have_been_done_under_the_former_name_is_not_retried_unseen(
    deploy: Any, name: str, clock: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = CHARGED.replace("AT_LEAST_ONCE, retry=Retry(9)", "AT_MOST_ONCE")
    parcel = release(deploy, source, 0).start([])
    with suppress(Crash), crash_at("after body", type(parcel).pay):
        drain()
    with travel(timedelta(minutes=2)):
        tick(HERE)
    assert type(parcel).get(parcel.pk).pay.status == "blocked"
    if not clock:
        monkeypatch.setattr(Clock, "turn", lambda clock: 0)
    release(deploy, source, 1)

    with pytest.raises(CommandError, match="may have been done already"):
        call_command("timelines", "retry", str(parcel.pk), name)


HOOK = """
class Parcel(Workflow):
    reports: int = 0

    @step
    def begin(self, x: int): ...

    @step(after=begin)
    def hit(self, n: int):
        \"\"\"A report comes in.\"\"\"
        self.reports = n
"""


def test_one_that_has_ended_is_asked_under_the_new_name(deploy: Any, place: Any) -> None:
    old = deploy(HOOK).using(key="w1").start(x=1)
    drain()
    old.hit.using(key="e1")(n=1)
    drain()
    assert Timeline.objects.get().status == "completed"

    new = deploy(HOOK.replace("def hit", "def strike").replace("after=begin", "after=begin, renamed_from='hit'"))
    parcel = new.get(key="w1")

    assert parcel.strike.status == "completed"
    assert parcel.strike.using(key="e1")(n=1) == "completed"
    assert parcel.strike(n=1) == "completed"
    assert parcel.strike.wait(0) == "completed"
    with pytest.raises(Refused, match="done already") as refused:
        parcel.strike(n=2)
    assert refused.value.reason == "settled"
    assert [(line.name, line.about, str(line.status)) for line in outline(parcel.timeline).lines] == [
        ("begin", "", "completed"),
        ("hit", "A report comes in.", "completed"),
    ]
