"""What is declared wrongly is said when the class is made, with how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Generic, NamedTuple, NewType, TypeVar

import pydantic
import pytest
from django.contrib.auth.models import User
from django.db import models
from django.test.utils import isolate_apps
from typing_extensions import TypedDict

from django_timelines import registry
from django_timelines.exceptions import DeclarationError, TimelinesError
from django_timelines.fields import field_for
from django_timelines.testing import drain
from django_timelines.workflows import (
    AT_LEAST_ONCE,
    Event,
    Limit,
    Retry,
    Secret,
    Workflow,
    any_of,
    step,
    subworkflow,
)


def no_entry() -> None:
    class Nothing(Workflow):
        pass


def two_entries() -> None:
    class Twice(Workflow):
        @step
        def one(self) -> None: ...

        @step
        def two(self) -> None: ...


def unknown_predecessor() -> None:
    class Other(Workflow):
        @step
        def elsewhere(self) -> None: ...

    class Lost(Workflow):
        @step
        def begin(self) -> None: ...

        @step(after=Other.elsewhere)
        def go_on(self) -> None: ...


def quoted_predecessor() -> None:
    class Quoted(Workflow):
        @step
        def begin(self) -> None: ...

        @step(after="begin")  # type: ignore[call-overload]
        def go_on(self) -> None: ...


def field_of_our_name() -> None:
    class Taken(Workflow):
        timeline: str  # type: ignore[assignment]

        @step
        def begin(self) -> None: ...


def step_of_our_name() -> None:
    class Taken(Workflow):
        @step
        def start(self) -> None: ...  # type: ignore[override]


def parameter_without_a_type() -> None:
    class Untyped(Workflow):
        @step
        def begin(self, name) -> None: ...  # type: ignore[no-untyped-def]


def parameters_without_end() -> None:
    class Open(Workflow):
        @step
        def begin(self, *names: str) -> None: ...


def field_that_cannot_be_stored() -> None:
    class Odd(Workflow):
        thing: Workflow

        @step
        def begin(self) -> None: ...


def default_that_does_not_fit() -> None:
    class Wrong(Workflow):
        amount: int = "many"  # type: ignore[assignment]

        @step
        def begin(self) -> None: ...


def secret_field() -> None:
    class Open(Workflow):
        password: Secret[str]

        @step
        def begin(self) -> None: ...


def overdue_without_within() -> None:
    class Endless(Workflow):
        @step
        def begin(self) -> None: ...

        @step(after=begin, manual=True)
        def wait_for_it(self) -> None: ...

        @step(after=wait_for_it.overdue)
        def give_up(self) -> None: ...


def async_and_exactly_once() -> None:
    class Async(Workflow):
        @step
        async def begin(self) -> None: ...


def event_of_our_name() -> None:
    class StepCompleted(Event):
        pass


def within_a_number() -> None:
    class Late(Workflow):
        @step(within=3)  # type: ignore[call-overload]
        def begin(self, name: str) -> None: ...


def retry_a_number() -> None:
    class Again(Workflow):
        @step(retry=5)  # type: ignore[call-overload]
        def begin(self, name: str) -> None: ...


def unknown_option() -> None:
    class Misspelt(Workflow):
        @step(manuel=True)  # type: ignore[call-overload]
        def begin(self) -> None: ...


def unknown_delivery() -> None:
    class Sometimes(Workflow):
        @step(delivery="once")  # type: ignore[call-overload]
        def begin(self) -> None: ...


def body_without_self() -> None:
    class Selfless(Workflow):
        @step  # type: ignore[call-overload]
        def begin() -> None: ...


def unique_by_no_field() -> None:
    class Misspelt(Workflow, unique="emial"):
        email: str

        @step
        def begin(self) -> None: ...


def unique_by_a_number() -> None:
    class Numbered(Workflow, unique=5):  # type: ignore[arg-type]
        @step
        def begin(self) -> None: ...


def limit_of_zero() -> None:
    class Never(Workflow):
        @step(limit=0)
        def begin(self) -> None: ...


def class_limit_of_zero() -> None:
    class Never(Workflow, limit=0):
        @step
        def begin(self) -> None: ...


def limit_below_zero_per_field() -> None:
    class Never(Workflow):
        @step(limit=Limit(-1, per="account"))
        def begin(self) -> None: ...


def limit_that_is_no_number() -> None:
    class Truly(Workflow):
        @step(limit=True)
        def begin(self) -> None: ...


def limit_per_no_field() -> None:
    class Misspelt(Workflow):
        account: str

        @step(limit=Limit(2, per="acount"))
        def begin(self) -> None: ...


def class_limit_per_no_field() -> None:
    class Misspelt(Workflow, limit=Limit(2, per=["account", "bank"])):
        account: str

        @step
        def begin(self) -> None: ...


def step_whose_name_is_too_long() -> None:
    begin = step(lambda self: None)
    type("Long", (Workflow,), {"__module__": __name__, "begin": begin, "s" * 101: step(after=begin)(lambda self: None)})


def workflow_whose_label_is_too_long() -> None:
    type("L" * 150, (Workflow,), {"__module__": __name__, "begin": step(lambda self: None)})


def limit_of_a_child() -> None:
    class Child(Workflow):
        @step
        def begin(self) -> None: ...

    class Parent(Workflow):
        @step
        def begin(self) -> None: ...

        child = subworkflow(Child, after=begin, limit=3)


def unique_by_nothing() -> None:
    class Empty(Workflow, unique=[]):
        @step
        def begin(self) -> None: ...


def options_without_a_name() -> None:
    class Positional(Workflow):
        @step
        def register(self) -> None: ...

        @step(register)  # type: ignore[call-overload]
        def greet(self) -> None: ...


def any_of_nothing() -> None:
    class Never(Workflow):
        @step
        def begin(self) -> None: ...

        @step(after=any_of())
        def end(self) -> None: ...


def results_that_the_child_has_not() -> None:
    class Kid(Workflow):
        reference: str = ""

        @step
        def begin(self) -> None: ...

    class Parent(Workflow):
        reference: str = ""

        @step
        def begin(self) -> None: ...

        pay = subworkflow(Kid, after=begin, results={"reference": "referense"})


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (options_without_a_name, r"give options by name\. Write @step\(after=…\)"),
        (any_of_nothing, r"after= is any_of\(\) of nothing"),
        (results_that_the_child_has_not, "'referense', which is no field of Kid: did you mean 'reference'"),
        (unique_by_no_field, r"Misspelt: unique='emial' is no field. Did you mean 'email'\?"),
        (unique_by_a_number, "unique=5: name a field .*, several in a list, or give a function"),
        (limit_of_zero, r"Step 'begin': limit=0: so many attempts at once cannot be\. Write limit=3"),
        (class_limit_of_zero, r"Never: limit=0: .*Write limit=3, or limit=Limit\(2, per='account'\)"),
        (limit_below_zero_per_field, r"Limit\(-1\): .*a number from 1 to 10,000\. To begin none .* pause the workflow"),
        (limit_that_is_no_number, "limit=True: so many"),
        (limit_per_no_field, r"Misspelt\.begin: per='acount' is no field\. Did you mean 'account'\?"),
        (class_limit_per_no_field, r"per='bank' is no field\. Fields: account\."),
        (
            step_whose_name_is_too_long,
            "The name of the step .*ss is 101 characters long; at most 100 are stored. Give it a shorter name",
        ),
        (workflow_whose_label_is_too_long, "LL is 163 characters long; at most 150 are stored"),
        (limit_of_a_child, "subworkflow has no option 'limit'"),
        (unique_by_nothing, r"unique=\[\]: name a field"),
        (no_entry, "exactly one step without after="),
        (two_entries, "it has one and two"),
        (unknown_predecessor, "comes after 'elsewhere', which is no step of .*Known there: begin"),
        (quoted_predecessor, "without quotes"),
        (field_of_our_name, "takes a name of ours"),
        (step_of_our_name, "takes a name of ours"),
        (parameter_without_a_type, "the parameter 'name' has no type"),
        (parameters_without_end, "Name each parameter"),
        (field_that_cannot_be_stored, "cannot be stored"),
        (default_that_does_not_fit, "does not fit its type"),
        (secret_field, "inputs of steps only"),
        (overdue_without_within, "has no within="),
        (async_and_exactly_once, "AT_LEAST_ONCE or AT_MOST_ONCE"),
        (event_of_our_name, "another name"),
        (within_a_number, "within=3 is no timedelta"),
        (retry_a_number, r"retry=5 is no Retry. Write retry=Retry\(5\)"),
        (unknown_option, "no option 'manuel': did you mean 'manual'"),
        (unknown_delivery, "EXACTLY_ONCE, AT_LEAST_ONCE, AT_MOST_ONCE"),
        (body_without_self, "takes no self"),
    ],
)
def test_a_wrong_declaration_says_how_to_mend_it(declare: Callable[[], None], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        declare()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"attempts": 0}, "attempts=0.: a whole number, from 1"),
        ({"attempts": "5"}, "attempts='5'"),
        ({"attempts": 2.5}, "attempts=2.5"),
        ({"wait": 30}, r"wait=30.: a timedelta\. Write wait=timedelta\(seconds=30\)"),
        ({"cap": timedelta(seconds=-1)}, "cap=datetime.timedelta"),
        ({"factor": 0}, "factor=0.: a number from 1"),
        ({"factor": float("nan")}, "factor=nan"),
        ({"on": "OSError"}, "on='OSError'.: an exception class"),
    ],
)
def test_a_wrong_policy_says_how_to_mend_it(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        Retry(**options)


class Card(pydantic.BaseModel):
    """A part of it is secret."""

    holder: str
    number: Secret[str]


T = TypeVar("T")


@dataclass
class DataCard:
    """The same as a dataclass."""

    number: Secret[str]


@dataclass
class Box(Generic[T]):
    """Whatever else is in it."""

    content: T
    code: Secret[int]


class DictCard(TypedDict):
    """And as a dict."""

    number: Secret[str]


class TupleCard(NamedTuple):
    """And as a tuple."""

    number: Secret[str]


Password = NewType("Password", Secret[str])  # type: ignore[valid-newtype]
HIDING = [
    Secret[str] | None,
    list[Secret[str]],
    dict[str, Secret[int]],
    Card,
    DataCard,
    list[DictCard],
    TupleCard,
    Box[str],
    Password,
]


@pytest.mark.parametrize("type", HIDING)
def test_a_secret_within_a_type_is_refused_for_it_would_be_stored_in_clear(type: Any) -> None:
    with pytest.raises(DeclarationError, match=r"has a Secret within its type .*Make all of it secret: Secret\["):
        field_for("shop.Order.pay", "card", type)

    assert field_for("shop.Order.pay", "card", Secret[type]).is_secret


def test_a_step_a_workflow_and_a_field_may_have_names_as_long_as_they_can_be_stored() -> None:
    begin, label = step(lambda self: None), "L" * (150 - len("test_classes."))
    last = step(after=begin)(lambda self: None)
    long = {"__module__": __name__, "begin": begin, "s" * 100: last, "__annotations__": {"f" * 300: str}}

    assert list(type(label, (Workflow,), long)._declaration.steps) == ["begin", "s" * 100]


def test_a_field_and_a_step_may_take_the_good_names() -> None:
    class Good(Workflow):
        status: str = ""
        label: str = ""
        fields: int = 0
        events: int = 0

        @step
        def steps(self) -> None: ...

    assert list(registry.get(Good._declaration.label).fields) == ["status", "label", "fields", "events"]


def test_fields_take_what_pydantic_and_django_know() -> None:
    class Rich(Workflow):
        price: Decimal
        owner: User
        helpers: list[User]
        maybe: User | None = None
        until: timedelta = timedelta(hours=1)

        @step
        def begin(self) -> None: ...

    fields = Rich._declaration.fields

    assert fields["price"].encode(Decimal("1.50")) == "1.50"
    assert fields["owner"].encode(User(pk=7)) == 7
    assert fields["helpers"].encode([User(pk=7), User(pk=8)]) == [7, 8]
    assert fields["maybe"].encode(None) is None
    assert fields["until"].decode("PT1H") == timedelta(hours=1)


@isolate_apps("tests.shop")
def test_a_row_whose_key_is_composite_is_no_type_of_a_field() -> None:
    class Seat(models.Model):  # noqa: DJ008 (nobody reads its text)
        pk = models.CompositePrimaryKey("row", "number")
        row = models.IntegerField()
        number = models.IntegerField()

        class Meta:
            app_label = "shop"

    for annotation in (Seat, Seat | None, list[Seat]):
        with pytest.raises(
            DeclarationError, match=r"seat has the type .*: a Seat has a composite primary key, .* one value"
        ):
            field_for("shop.Ticket", "seat", annotation)


def test_a_workflow_is_not_made_by_hand() -> None:
    class Made(Workflow):
        @step
        def begin(self) -> None: ...

    with pytest.raises(TypeError, match=r"Made\.start"):
        Made()


@pytest.mark.django_db(databases="__all__")
def test_a_field_changes_in_a_step_only() -> None:
    class Still(Workflow):
        amount: int = 0

        @step(delivery=AT_LEAST_ONCE, retry=Retry(1))
        def begin(self) -> None: ...

    still = Still.start()

    with pytest.raises(TimelinesError, match="works only in a step's body"):
        still.amount = 5


def test_a_step_that_is_called_on_its_class_or_asked_for_an_unknown_outcome_says_what_was_meant() -> None:
    class Confused(Workflow):
        @step
        def begin(self) -> None: ...

    with pytest.raises(TypeError, match="without parentheses"):
        Confused.begin()  # type: ignore[operator]
    with pytest.raises(AttributeError, match=r"\.failed, \.overdue"):
        Confused.begin.late  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.django_db(databases="__all__")
def test_a_misspelt_field_is_said_where_it_is_assigned() -> None:
    class Typo(Workflow):
        email: str

        @step(retry=Retry(1))
        def begin(self, email: str) -> None:
            self.emial = email

    with pytest.raises(AttributeError, match=r"no field 'emial'\. Did you mean 'email'\?"):
        Typo.start(email="ada@example.org")


class Named:
    """What several workflows have, and is none."""

    name: str
    times: int = 1

    @step
    def begin(self, name: str) -> None:
        self.name = name


def test_what_is_no_workflow_gives_its_fields_and_steps_to_several(db: None) -> None:
    class Hello(Named, Workflow):
        pass

    class Goodbye(Named, Workflow):
        times: int = 2

        @step(after=Named.begin)
        def leave(self) -> None:
            self.times += 1

    hello, goodbye = Hello.start(name="Ada"), Goodbye.start(name="Bob")
    drain()
    goodbye = Goodbye.get(goodbye.pk)

    assert (hello.name, hello.times, goodbye.name, goodbye.times) == ("Ada", 1, "Bob", 3)
    assert (Named.times, hasattr(Named, "name")) == (1, False)
