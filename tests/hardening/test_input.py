"""Input is checked where it enters, once, and every body gets the same, wherever it runs."""

import datetime
import decimal
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from pydantic import AfterValidator

from django_timelines.exceptions import Refused
from django_timelines.models import Event, Timeline
from django_timelines.testing import drain
from django_timelines.workflows import Retry, Workflow, step
from tests.shop.here import HERE
from tests.shop.models import Entry

from .workflows import Box

pytestmark = pytest.mark.django_db(databases="__all__")


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels > 1 else []


@pytest.mark.parametrize(
    "content",
    [
        "\x00",
        "\ud800",
        float("nan"),
        float("inf"),
        {"a": float("nan")},
        {"\x00": 1},
        {"a": {"b": ["\ud800"]}},
        {"\x00"},
        "x" * 5_000_000,
        10**5000,
        object(),
        Box,
        nested(30),
        {"a": nested(30)},
        nested(900),
    ],
    ids=lambda content: type(content).__name__,
)
def test_what_no_database_can_hold_is_rejected_and_nothing_is_left(content: Any) -> None:
    with pytest.raises(ValidationError):
        Box.start(content=content)

    assert Timeline.objects.count() == 0


def test_what_is_nested_as_deeply_as_any_database_takes_is_kept() -> None:
    box = Box.start(content={"a": nested(25)})

    assert box.timeline.status == "completed"
    assert Event.objects.get(timeline=box.pk, type="StepCalled").data["input"] == {"content": {"a": nested(25)}}


@pytest.mark.parametrize("key", [[1], {}, object()], ids=["list", "dict", "object"])
def test_what_is_no_primary_key_at_all_is_rejected(key: Any) -> None:
    class About(Workflow):
        @step
        def begin(self, entry: Entry) -> None:
            pass

    with pytest.raises(Refused):
        About.start(entry=key)

    assert Timeline.objects.count() == 0


def test_a_body_gets_the_same_values_wherever_it_runs(place: Any) -> None:
    got = []

    class Given(Workflow):
        @step
        def begin(self, data: dict[str, Any]) -> None:
            got.append(data)

    data = {"n": decimal.Decimal("1.5"), "on": datetime.date(2020, 1, 1), "pair": (1, 2)}
    Given.start(data=data)
    place(Given._declaration.label, begin="embedded")
    Given.start(data=data)
    drain()

    assert got == [{"n": "1.5", "on": "2020-01-01", "pair": [1, 2]}] * 2


def test_a_body_reads_a_row_that_it_is_given_wherever_it_runs(place: Any) -> None:
    got = []

    class Sign(Workflow):
        @step
        def begin(self, entry: Entry) -> None:
            got.append(entry.text)

    entry = Entry.objects.create(text="saved")
    entry.text = "only typed"
    Sign.start(entry=entry)
    place(Sign._declaration.label, begin="embedded")
    Sign.start(entry=entry)
    drain()

    assert got == ["saved", "saved"]


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("around", [nullcontext, partial(transaction.atomic, HERE)], ids=["", "in_transaction"])
@pytest.mark.parametrize(("placement", "answer"), [("inline", "retrying"), ("embedded", "due")])
def test_an_item_whose_row_is_gone_is_an_attempt_that_failed_wherever_it_runs(
    place: Any, placement: str, answer: str, around: Any
) -> None:
    class Sheet(Workflow):
        entries: list[Entry]

        @step
        def begin(self, entries: list[Entry]) -> None:
            self.entries = entries

        @step(after=begin, each="entries", retry=Retry(2, on=Entry.DoesNotExist))
        def sign(self, entry: Entry, name: str) -> None:
            entry.delete()

    place(Sheet._declaration.label, sign=placement)
    entry = Entry.objects.create(text="saved")
    sheet, key = Sheet.start(entries=[entry]), str(entry.pk)
    Entry.objects.all().delete()

    with around():
        assert sheet.sign[key](name="Ada") == answer
    drain()

    events = Event.objects.filter(timeline=sheet.pk, step="sign", item=key).order_by("sequence")
    types = ["StepDue", "StepCalled", "AttemptStarted", "AttemptFailed"]
    assert list(events.values_list("type", flat=True)) == types


def test_a_validator_that_changes_a_value_changes_it_once_wherever_it_runs(place: Any) -> None:
    got = []

    class Next(Workflow):
        @step
        def begin(self, number: Annotated[int, AfterValidator(lambda number: number + 1)]) -> None:
            got.append(number)

    Next.start(number=1)
    place(Next._declaration.label, begin="embedded")
    Next.start(number=1)
    drain()

    assert got[0] == got[1]


@pytest.mark.parametrize("annotation", ["dict[str, Any]", "Any", "dict[str, list[Any]]", "BaseModel"])
def test_what_a_body_changes_deep_within_a_value_of_any_type_is_a_change(deploy: Any, annotation: str) -> None:
    source = """
        from pydantic import BaseModel as Base
        class BaseModel(Base, extra="allow"):
            def __getitem__(self, name):
                return getattr(self, name)
        class Parcel(Workflow):
            data: ANNOTATION = {"lines": [{"weight": 1}]}

            @step(manual=True)
            def weigh(self):
                self.data["lines"][0]["weight"] = 5
    """
    parcel = deploy(source.replace("ANNOTATION", annotation)).start()

    parcel.weigh()

    completed = Event.objects.get(timeline=parcel.pk, type="StepCompleted")
    assert completed.data["changes"] == {"data": {"lines": [{"weight": 5}]}}


def test_what_a_body_does_to_its_input_is_not_what_its_caller_gave(deploy: Any) -> None:
    parcel = deploy("""
        class Parcel(Workflow):
            @step
            def take(self, data: dict[str, Any]):
                data["lines"].clear()
    """)

    parcel.using(key="order 17").start(data={"lines": [1]})

    assert Event.objects.get(type="StepCalled").data["input"] == {"data": {"lines": [1]}}


def test_a_list_of_exceptions_to_retry_on_is_refused_when_it_is_written() -> None:
    with pytest.raises(TypeError, match="an exception class, or a tuple of them"):
        Retry(3, on=[OSError])  # type: ignore[arg-type]
