"""Clause 13: ``each=`` comes, goes and is renamed under running timelines; what it reads may be a field that is new."""

from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_timelines.exceptions import Refused
from django_timelines.testing import drain
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(databases="__all__")

SOURCE = """
class Parcel(Workflow):
    FIELD

    @step
    def post(self): ...

    @step(after=post, manual=True)
    def hold(self): ...

    @step(after=hold EACH)
    def carry(self ITEM):
        ran[f"carry {ARGUMENT}"] += 1

    @step(after=carry, manual=True)
    def sign(self): ...
"""
EACH, WITHOUT = ', each="shops", at_once=2', ""


def put(deploy: Any, field: str = 'shops: list[str] = ["N", "S", "W"]', each: str = EACH, typed: str = "str") -> Any:
    words = {
        "FIELD": field,
        " EACH": each,
        " ITEM": f", shop: {typed}" if each else "",
        "ARGUMENT": "shop" if each else "1",
    }
    source = SOURCE
    for word, value in words.items():
        source = source.replace(word, value)
    return deploy(source)


def held(workflow: Any) -> Any:
    """Return a parcel that waits before the step with items."""
    parcel = workflow.start()
    drain()
    return parcel


def check() -> str:
    said = StringIO()
    with suppress(CommandError):
        call_command("timelines", "check", stdout=said)
    return said.getvalue()


def test_items_of_a_step_that_has_lost_each_block_and_say_so(deploy: Any) -> None:
    parcel = held(put(deploy))
    parcel.hold()
    workflow = put(deploy, each=WITHOUT)
    assert "shop.Parcel.carry is under way, and each= was taken away since." in check()

    drain()

    now = workflow.get(parcel.pk)
    assert not +ran
    assert now.timeline.status == "blocked"
    assert "each= of shop.Parcel.carry was taken away in the code while this was under way." in str(
        now.timeline.explain()
    )
    for item in "NSW":
        workflow.get(parcel.pk).carry[item].skip(reason="carried by hand")
        drain()
    assert workflow.get(parcel.pk).sign.status == "waiting"


def test_they_go_on_when_each_is_back(deploy: Any) -> None:
    parcel = held(put(deploy))
    parcel.hold()
    put(deploy, each=WITHOUT)
    drain()
    workflow = put(deploy)

    for item in "NSW":
        assert workflow.get(parcel.pk).carry[item].retry(reason="it is back") == "due"
        drain()

    assert (ran, workflow.get(parcel.pk).sign.status) == ({f"carry {item}": 1 for item in "NSW"}, "waiting")


def test_a_step_that_has_got_each_while_it_was_due_blocks_and_can_be_skipped(deploy: Any) -> None:
    parcel = held(put(deploy, each=WITHOUT))
    parcel.hold()
    workflow = put(deploy)
    assert "shop.Parcel.carry is under way, and each= was added since." in check()

    drain()

    now = workflow.get(parcel.pk)
    assert (now.carry.status, now.timeline.status) == ("blocked", "blocked")
    assert now.carry.skip(reason="carried by hand") == "completed"
    assert workflow.get(parcel.pk).sign.status == "waiting"


def test_a_step_that_is_done_for_each_item_still_wants_to_know_which(deploy: Any) -> None:
    parcel = held(put(deploy))

    with pytest.raises(Refused) as refused:
        parcel.carry.skip(reason="all of them")

    assert refused.value.reason == "item_needed"
    assert "nothing would block" in check()


@pytest.mark.parametrize(
    "field",
    [
        'stores: Annotated[list[str], RenamedFrom("shops")]',
        'stores: Annotated[list[Annotated[str, "a name"]], RenamedFrom("shops")]',
        'stores: list[str] = ["N", "S", "W"]',
    ],
    ids=["renamed", "renamed, its items marked", "new, with a default"],
)
def test_the_field_of_each_may_be_renamed_or_new(deploy: Any, field: str) -> None:
    parcel = held(put(deploy))
    workflow = put(deploy, field, EACH.replace("shops", "stores"))

    workflow.get(parcel.pk).hold()
    drain()

    assert ran == {f"carry {item}": 1 for item in "NSW"}


def test_a_validator_brings_up_what_was_no_list_before(deploy: Any) -> None:
    parcel = held(put(deploy, 'shops: str = "N,S,W"', WITHOUT))
    brought = "Annotated[list[str], BeforeValidator(lambda said: said.split(',') if isinstance(said, str) else said)]"
    workflow = put(deploy, f"shops: {brought}")

    workflow.get(parcel.pk).hold()
    drain()

    assert ran == {f"carry {item}": 1 for item in "NSW"}


def test_a_validator_that_raises_blocks_the_step_and_not_the_one_before(deploy: Any) -> None:
    parcel = held(put(deploy, 'shops: str = "N,S,W"', WITHOUT))
    workflow = put(deploy, "shops: Annotated[list[str], BeforeValidator(lambda said: said['no such'])]")

    workflow.get(parcel.pk).hold()

    now = workflow.get(parcel.pk)
    assert (now.hold.status, now.carry.status) == ("completed", "blocked")
    assert "shops is no list, and cannot be brought up (TypeError)" in str(now.timeline.explain())


def test_the_check_says_which_items_do_not_fit_the_parameter_that_takes_them(deploy: Any) -> None:
    held(put(deploy))
    put(deploy, typed="int")

    assert "shop.Parcel.carry does not take what it was called with, shop:" in check()


def test_a_parent_takes_the_default_of_a_field_that_its_child_has_got_since(deploy: Any) -> None:
    source = """
        class Child(Workflow):
            RECEIPT

            @step
            def ask(self): ...

            @step(after=ask, manual=True)
            def hold(self): ...

        class Parcel(Workflow):
            reference: str = ""

            @step
            def post(self): ...

            payment = subworkflow(Child, after=post, given=lambda parcel: {} RESULTS)

            @step(after=payment, manual=True)
            def thank(self): ...
    """
    parcel = deploy(source.replace("RECEIPT", "").replace(" RESULTS", "")).start()
    drain()
    workflow = deploy(
        source.replace("RECEIPT", 'receipt: str = "none"').replace(" RESULTS", ', results={"reference": "receipt"}')
    )

    workflow.get(parcel.pk).payment.child.hold()
    drain()

    assert (workflow.get(parcel.pk).reference, workflow.get(parcel.pk).thank.status) == ("none", "waiting")
