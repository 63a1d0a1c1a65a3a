"""``timelines check``: what is in flight and would not go on is found before the release, with how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_timelines import registry
from django_timelines.actors import SYSTEM
from django_timelines.engine import in_flight
from django_timelines.engine.claim import claim
from django_timelines.engine.finding import Finding
from django_timelines.engine.in_flight import findings
from django_timelines.engine.runner import Runner
from django_timelines.models import Event, Run
from django_timelines.testing import drain, recorded_errors
from django_timelines.workflows import pause_all
from tests.contract.test_13_deploys import BEFORE
from tests.shop.here import HERE
from tests.shop.models import Entry
from tests.shop.workflows import Dish, Supper

from .conftest import type_at_terminal

pytestmark = pytest.mark.django_db(databases="__all__")
type_deploy = Callable[..., Any]
type_check = Callable[..., tuple[int, str]]

MEASURED = BEFORE.replace("def weigh", "def measure").replace("after=weigh", "after=measure")
PAYING = """
class Parcel(Workflow):
    address: str

    @step
    def take(self, address: str):
        self.address = address

    @step(after=take)
    def pay(self, amount: int, code: Secret[str] = ""):
        if amount == 13:
            raise OSError("not on a Friday")
"""


@pytest.fixture
def check() -> type_check:
    """Run ``manage.py timelines check`` with these words; return its exit code and what it says."""

    def run(*words: str) -> tuple[int, str]:
        out = StringIO()
        try:
            call_command("timelines", "check", *words, stdout=out)
        except CommandError as ended:
            return ended.returncode, out.getvalue()
        return 0, out.getvalue()

    return run


def found() -> list[tuple[str, str, int]]:
    """Return what is found: kind, name, how many timelines."""
    return [(str(one.kind), one.name, one.count) for one in findings(HERE)]


def the_one() -> Finding:
    (one,) = findings(HERE)
    return one


def paying(deploy: type_deploy, source: str = PAYING) -> Any:
    """Return a parcel that is being paid: its first attempt failed."""
    parcel = deploy(source).start("Main Street 1")
    with recorded_errors():
        parcel.pay(13)
    assert Run.objects.get(timeline=parcel.pk).status == "retrying"
    return parcel


def test_nothing_is_found_where_the_code_is_the_same(deploy: type_deploy, check: type_check) -> None:
    paying(deploy)
    deploy(PAYING)

    assert check() == (0, "1 timeline in flight: nothing would block.\n")
    assert json.loads(check("--json")[1]) == {"timelines": 1, "blocks": False, "findings": []}


def test_a_removed_workflow_is_found_and_a_renamed_one_is_none(deploy: type_deploy) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    registry._declarations.pop("shop.Parcel")

    one = the_one()
    assert (one.kind, one.workflow, one.count, one.examples) == ("unknown_workflow", "shop.Parcel", 1, (parcel.pk,))
    assert (one.blocks, one.sentence) == (True, "The code has no workflow shop.Parcel any more.")
    assert one.hint.startswith('Renamed: class New(Workflow, renamed_from="shop.Parcel").')

    deploy(BEFORE.replace("class Parcel(Workflow)", 'class Packet(Workflow, renamed_from="shop.Parcel")'), "Packet")
    assert found() == []


def test_a_removed_step_is_found_where_it_is_open_and_a_renamed_one_is_none(deploy: type_deploy) -> None:
    for _ in range(2):
        deploy(BEFORE).start("Main Street 1")
    drain()  # both wait for sign
    deploy(BEFORE).start("Main Street 2")  # at weigh

    deploy(MEASURED)
    assert found() == [("removed_step", "weigh", 2), ("unknown_step", "weigh", 1)]
    deploy(BEFORE.replace("def sign", "def receive"))
    assert found() == [("unknown_step", "sign", 2)]
    assert 'Renamed: @step(…, renamed_from="sign").' in the_one().hint

    deploy(BEFORE.replace("def sign", "def receive").replace('early="keep"', 'early="keep", renamed_from="sign"'))
    assert found() == []


def test_a_step_that_is_placed_at_no_queue_or_nowhere_is_found_where_it_is_open(
    deploy: type_deploy, place: Callable[..., None]
) -> None:
    deploy(BEFORE).start("Main Street 1")

    place("shop.Parcel", weigh="rq:nowhere", carry="rq:nowhere")
    assert found() == [("placement", "weigh", 1)]
    assert the_one().sentence == (
        "shop.Parcel.weigh runs nowhere: RQ_QUEUES has no queue 'nowhere'; it has default, mail."
    )
    place("shop.Parcel", weigh="moon")
    assert "There is no placement 'moon'" in the_one().sentence
    place("shop.Parcel", weigh="inline", background="rq:nowhere")  # its retries
    assert found() == [("placement", "weigh", 1)]
    place("shop.Parcel", weigh="rq:mail")
    assert found() == []


def test_a_step_that_is_placed_at_a_backend_that_cannot_be_made_is_found_where_it_is_open(
    deploy: type_deploy, place: Callable[..., None], settings: Any
) -> None:
    deploy(BEFORE).start("Main Street 1")
    settings.TASKS = {**settings.TASKS, "broken": {"BACKEND": "nowhere.Backend"}}

    place("shop.Parcel", weigh="tasks:broken", carry="tasks:broken")

    assert the_one().sentence.startswith("shop.Parcel.weigh runs nowhere: Could not find backend 'nowhere.Backend'")


def test_a_field_that_is_declared_no_more_is_a_warning_and_a_renamed_one_is_none(
    deploy: type_deploy, check: type_check
) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")

    deploy(BEFORE.replace("address: str\n    weight", "place: str\n    weight").replace("self.address", "self.place"))
    code, said = check()
    assert (code, said.splitlines()) == (
        0,
        [
            "shop.Parcel has no field address any more. (Nothing blocks.)",
            f"  1 timeline: {parcel.pk}",
            '  Renamed: new_name: Annotated[…, RenamedFrom("address")]. Removed: that is all, its values stay in the history.',
            "1 timeline in flight: nothing would block.",
        ],
    )

    place = 'place: Annotated[str, RenamedFrom("address")]\n    weight'
    deploy(BEFORE.replace("address: str\n    weight", place).replace("self.address", "self.place"))
    assert found() == []


def test_a_release_that_goes_back_behind_a_rename_is_found_and_nothing_else_is_said_of_it(deploy: type_deploy) -> None:
    parcel = deploy(BEFORE).start(address="Main Street 1")
    renamed = BEFORE.replace("self.address", "self.street").replace(
        "address: str\n", 'street: Annotated[str, RenamedFrom("address")]\n', 1
    )
    deploy(renamed).get(parcel.pk).timeline.pause(reason="a bad day")
    assert found() == []

    deploy(BEFORE)

    assert found() == [("older_code", "", 1)]


def test_a_retyped_field_is_found_unless_a_validator_takes_the_old_values(deploy: type_deploy) -> None:
    deploy(BEFORE).start("Main Street 1")

    deploy(BEFORE.replace("address: str\n", "address: int\n", 1))
    one = the_one()
    assert (one.kind, one.name, one.blocks) == ("field_value", "address", True)
    assert one.sentence.endswith("Input should be a valid integer, unable to parse string as an integer")
    assert "Main Street" not in one.sentence
    deploy(BEFORE.replace("address: str\n", "address: Annotated[Any, BeforeValidator(lambda text: text['x'])]\n", 1))
    assert the_one().sentence.endswith("its validator raises TypeError")

    deploy(BEFORE.replace("address: str\n", "address: Annotated[list[str], BeforeValidator(lambda a: [a])]\n", 1))
    assert found() == []


def test_a_renamed_field_is_checked_with_its_new_type(deploy: type_deploy) -> None:
    deploy(BEFORE).start("Main Street 1")

    place = 'place: Annotated[int, RenamedFrom("address")]\n    weight'
    deploy(BEFORE.replace("address: str\n    weight", place).replace("self.address", "self.place"))

    assert found() == [("field_value", "place", 1)]


def test_a_reference_is_checked_by_its_key_and_no_row_is_read(
    deploy: type_deploy, django_assert_num_queries: Any
) -> None:
    source = BEFORE.replace("    weight", "    owners: list[Entry] = []\n    weight", 1).replace(
        "self.address = address", "self.address = address; self.owners = [Entry(pk=7)]"
    )
    deploy("from tests.shop.models import Entry\n" + source).start("Main Street 1")

    with django_assert_num_queries(6, using=HERE):  # of five statuses, and after the one that there is
        assert found() == []
    assert not Entry.objects.exists()
    deploy(source.replace("list[Entry]", "list[int]"))
    assert found() == []
    retyped = BEFORE.replace("address: str\n", "address: Entry | None\n", 1)
    deploy("from tests.shop.models import Entry\n" + retyped)
    assert found() == [("field_value", "address", 1), ("undeclared_field", "owners", 1)]


def test_the_input_of_an_open_call_is_checked_and_that_of_a_settled_one_is_not(deploy: type_deploy) -> None:
    parcel = paying(deploy)

    deploy(PAYING.replace("address: str)", "address: int)").replace("amount: int", "amount: list[int]"))
    one = the_one()
    assert (one.kind, one.name, one.examples) == ("input_value", "pay(amount)", (parcel.pk,))
    assert one.sentence.startswith("shop.Parcel.pay does not take what it was called with, amount: Input should be")

    deploy(PAYING.replace("amount: int", "amount: Annotated[list[int], BeforeValidator(lambda a: [a])]"))
    assert found() == []


def test_a_call_that_came_early_is_checked_too(deploy: type_deploy) -> None:
    source = BEFORE.replace(
        'manual=True, early="keep")\n    def sign(self)', 'early="keep")\n    def sign(self, name: str)'
    )
    parcel = deploy(source).start("Main Street 1")
    assert parcel.sign("Ada") == "kept"

    deploy(source.replace("name: str", "name: int"))

    assert found() == [("input_value", "sign(name)", 1)]


def test_a_needed_parameter_that_the_call_did_not_give_is_found(deploy: type_deploy) -> None:
    paying(deploy)

    deploy(PAYING.replace("amount: int,", "amount: int, currency: str,"))
    assert found() == [("missing_parameter", "pay(currency)", 1)]
    assert the_one().sentence == "shop.Parcel.pay is under way without currency, which it needs now."
    assert the_one().hint.startswith("Give the parameter a default")

    deploy(PAYING.replace("amount: int,", "amount: int, currency: str = 'EUR',"))
    assert found() == []


def test_a_call_that_gives_what_nobody_takes_any_more_is_told_and_blocks_nothing(deploy: type_deploy) -> None:
    paying(deploy)

    deploy(PAYING.replace("amount: int,", "sum: int = 0,"))
    assert found() == [("undeclared_input", "pay(amount)", 1)]
    assert (the_one().blocks, the_one().hint[:7]) == (False, "Removed")


def test_a_step_that_is_done_and_was_removed_is_told_and_blocks_nothing(deploy: type_deploy) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    drain()

    deploy(BEFORE.replace("def take", "def fetch").replace("after=take", "after=fetch"))
    assert found() == [("removed_step", "take", 1)]
    assert not the_one().blocks
    deploy(
        BEFORE.replace("    @step\n", '    @step(renamed_from="take")\n', 1)
        .replace("def take", "def fetch")
        .replace("after=take", "after=fetch")
    )
    assert found() == []
    assert parcel.timeline.status == "waiting"


def test_a_step_that_ran_by_itself_and_wants_something_now_is_found_where_it_is_due(deploy: type_deploy) -> None:
    deploy(BEFORE).start("Main Street 1")
    deploy(BEFORE).start("Main Street 2")
    wanting = BEFORE.replace("def weigh(self)", "def weigh(self, scales: str)")

    deploy(wanting)
    assert found() == [("missing_parameter", "weigh(scales)", 2)]
    deploy(BEFORE)
    drain()
    deploy(wanting)
    assert found() == []


def test_a_step_that_waits_will_be_called_with_what_it_wants_now(deploy: type_deploy) -> None:
    deploy(PAYING).start("Main Street 1")

    deploy(PAYING.replace("amount: int", "grams: list[int]"))

    assert found() == []


def test_a_step_that_waits_and_runs_by_itself_now_is_found_for_nobody_will_be_asked(deploy: type_deploy) -> None:
    deploy(BEFORE).start("Main Street 1")
    drain()
    automatic = BEFORE.replace("manual=True, ", "")

    deploy(automatic)
    assert found() == [("runs_by_itself", "sign", 1)]
    assert the_one().blocks
    assert the_one().sentence == "shop.Parcel.sign waits for a call, and runs by itself now: nobody is asked for it."
    deploy(automatic.replace("def sign(self)", "def sign(self, name: str)"))
    assert found() == []


def test_a_subworkflow_that_waits_for_its_end_waits_for_no_call(deploy: type_deploy) -> None:
    pause_all("the cook is late", Dish._declaration.label)
    supper = Supper.start(guest="Ada", dishes=["soup", "cake"])
    drain()

    supper = Supper.get(supper.pk)
    assert [step.status for step in (supper.bill, supper.cooking, supper.cooking["soup"])] == ["waiting"] * 3
    assert found() == []


def test_a_secret_is_no_missing_parameter_and_is_not_opened(deploy: type_deploy, settings: Any) -> None:
    source = PAYING.replace('code: Secret[str] = ""', "code: Secret[str]")
    parcel = deploy(source).start("Main Street 1")
    with recorded_errors():
        parcel.pay(13, "sesame")
    settings.SECRET_KEY = "another: nothing opens"

    assert found() == []
    deploy(source.replace("Secret[str]", "Secret[int]"))
    assert found() == []


def test_an_attempt_that_is_being_executed_is_checked_too(deploy: type_deploy) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    run = Run.objects.get(timeline=parcel.pk)
    assert claim(parcel.pk, ("weigh", ""), run.fence, Runner(SYSTEM, "rq:default", HERE))

    deploy(MEASURED)

    assert found() == [("unknown_step", "weigh", 1)]


def test_a_timeline_that_has_ended_is_none_of_its_business(deploy: type_deploy) -> None:
    for ending in ("completed", "cancelled"):
        parcel = deploy(BEFORE).start("Main Street 1")
        drain()
        parcel = registry.get("shop.Parcel").workflow.get(parcel.pk)
        parcel.sign() if ending == "completed" else parcel.timeline.cancel(reason="x")
    registry._declarations.pop("shop.Parcel")

    assert found() == []


def test_a_paused_timeline_is_in_flight(deploy: type_deploy) -> None:
    deploy(BEFORE).start("Main Street 1").timeline.pause(reason="x")
    deploy(MEASURED)

    assert found() == [("unknown_step", "weigh", 1)]


def test_many_are_counted_in_batches_and_a_few_are_named(
    deploy: type_deploy, monkeypatch: pytest.MonkeyPatch, at_terminal: type_at_terminal
) -> None:
    monkeypatch.setattr(in_flight, "BATCH", 3)
    parcels = [deploy(BEFORE).start(f"Main Street {number}") for number in range(4)]
    drain()
    parcels += [deploy(BEFORE).start(f"Main Street {number}") for number in range(4)]
    deploy(BEFORE.replace("address: str\n", "address: int\n", 1).replace("def sign", "def receive"))
    told: list[int] = []

    both = list(findings(HERE, told.append))

    assert [(one.name, one.count, one.examples) for one in both] == [
        ("address", 8, tuple(parcel.pk for parcel in parcels[:5])),
        ("sign", 4, tuple(parcel.pk for parcel in parcels[:4])),
    ]
    assert told == [3, 6, 8]
    seen = at_terminal("check")
    assert "\r3 looked at …" in seen
    assert f"  8 timelines: {', '.join(str(parcel.pk) for parcel in parcels[:5])} …\n" in seen
    assert "8 timelines in flight: 2 findings would block.\n" in seen


def test_check_ends_with_1_where_something_would_block_and_writes_nothing(
    deploy: type_deploy, check: type_check
) -> None:
    parcel = deploy(BEFORE).start("Main Street 1")
    deploy(MEASURED)
    before = Event.objects.count()

    code, said = check("--json")

    assert code == 1
    assert json.loads(said) == {
        "timelines": 1,
        "blocks": True,
        "findings": [
            {
                "kind": "unknown_step",
                "blocks": True,
                "workflow": "shop.Parcel",
                "name": "weigh",
                "count": 1,
                "examples": [str(parcel.pk)],
                "sentence": "The code has no step shop.Parcel.weigh any more, and runs of it are open.",
                "hint": 'Renamed: @step(…, renamed_from="weigh"). '
                "Removed: keep it until it is settled everywhere, or skip it there first.",
            }
        ],
    }
    assert check()[0] == 1
    assert Event.objects.count() == before


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_check_typed_at_a_shell_says_its_findings_once(
    deploy: type_deploy, type_in: Callable[..., tuple[int, str, str]]
) -> None:
    deploy(BEFORE).start("Main Street 1")
    deploy(MEASURED)

    code, said, complained = type_in("check")

    assert (code, complained) == (1, "")
    assert said.endswith("1 timeline in flight: 1 finding would block.\n")


@pytest.mark.django_db(transaction=True, databases="__all__")  # the command closes its connections
def test_what_djangos_checks_find_is_said_as_json_to_whoever_asked_for_json(
    type_in: Callable[..., tuple[int, str, str]], place: Callable[..., None]
) -> None:
    place(pakc="inline")

    code, said, complained = type_in("check", "--json", checks=True)

    document = json.loads(complained)
    assert (code, said, document["reason"]) == (1, "", "system_check")
    assert "(timelines.E005)" in document["error"]
    assert "pack" in document["error"]  # what was meant
    assert "(timelines.E005)" in type_in("check", checks=True)[2]


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_what_djangos_checks_warn_of_is_not_said_to_whoever_asked_for_json(
    type_in: Callable[..., tuple[int, str, str]], settings: Any
) -> None:
    settings.TIMELINES = {}

    code, said, complained = type_in("show", "nothing", "--json", checks=True)

    assert (code, said, json.loads(complained)["reason"]) == (1, "", "unknown_timeline")
    assert "(timelines.W020)" in type_in("show", "nothing", checks=True)[2]
