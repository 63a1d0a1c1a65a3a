"""A set has no order, and another one in each process: what is the same set is the same value and the same input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import pydantic
import pytest
from pydantic_core import core_schema
from typing_extensions import TypedDict

from django_timelines.fields import field_for
from django_timelines.models import Event, Timeline
from django_timelines.testing import drain
from tests.shop.models import Entry

pytestmark = pytest.mark.django_db(databases="__all__")
ONE_WAY, OTHER_WAY = (0, 8, 16), (16, 8, 0)  # which a set keeps in the order in which they came


class Model(pydantic.BaseModel):
    """Has a set."""

    of: set[int]
    name: str = "a"


class Root(pydantic.RootModel[set[int]]):
    """Is a set."""


@dataclass
class Data:
    """Has a set."""

    of: frozenset[int]


class Typed(TypedDict):
    """Has a set."""

    of: set[int]


class Named(NamedTuple):
    """Has a set."""

    name: str
    of: set[int]


MADE = {
    "set[int]": (set[int], set),
    "frozenset[int] | None": (frozenset[int] | None, frozenset),
    "dict of lists": (dict[str, list[set[int]]], lambda values: {"a": [set(values), set()]}),
    "tuple": (tuple[set[int], str], lambda values: (set(values), "b")),
    "set of sets": (set[frozenset[int]], lambda values: {frozenset({1}), frozenset(values)}),
    "set of tuples": (set[tuple[int, frozenset[int]]], lambda values: {(one, frozenset(values)) for one in values}),
    "of several types": (set[int | str | None], lambda values: {*values, "a", None}),
    "annotated": (Annotated[set[int], pydantic.Field(min_length=1)], set),
    "model": (list[Model], lambda values: [Model(of=set(values))]),
    "root": (Root, lambda values: Root(set(values))),
    "dataclass": (Data, lambda values: Data(frozenset(values))),
    "typed dict": (Typed, lambda values: {"of": set(values)}),
    "named tuple": (Named, lambda values: Named("a", set(values))),
}


@pytest.mark.parametrize("made", MADE)
def test_the_same_set_is_stored_alike_in_whichever_order_it_is_read(made: str) -> None:
    annotation, make = MADE[made]
    field = field_for("shop.Parcel", "of", annotation)
    one, other = (field.encode(make(values)) for values in (ONE_WAY, OTHER_WAY))

    assert [*set(ONE_WAY)] != [*set(OTHER_WAY)]
    assert one == other
    assert field.encode(field.decode(one)) == one


def test_numbers_in_a_set_are_stored_as_people_count() -> None:
    assert field_for("shop.Parcel", "of", set[int]).encode({10, 9, 1}) == [1, 9, 10]


def test_what_is_no_set_keeps_its_order() -> None:
    assert field_for("shop.Parcel", "of", list[int]).encode([3, 1, 2]) == [3, 1, 2]
    assert field_for("shop.Parcel", "of", Named).encode(Named("z", {2, 1})) == ["z", [1, 2]]


TAGGED = """
from tests.shop.models import Entry
class Parcel(Workflow, unique="tags"):
    tags: set[int] = set()
    entries: set[Entry] = set()
    @step
    def begin(self, tags: set[int], entries: set[Entry]):
        self.tags, self.entries = tags, entries
    @step(after=begin, manual=True)
    def look(self):
        len(self.tags), len(self.entries)
    @step(after=look, manual=True)
    def close(self): ...
"""


def test_a_start_with_the_same_key_and_set_is_the_same_start_whoever_makes_the_set(deploy: Any) -> None:
    parcel = deploy(TAGGED)
    entries = [Entry.objects.create(pk=8 * number + 8, text="a") for number in range(3)]

    first = parcel.using(key="1").start(tags=set(ONE_WAY), entries={*entries})
    second = parcel.using(key="1").start(tags=set(OTHER_WAY), entries={*reversed(entries)})

    assert first.pk == second.pk


def test_a_set_that_is_stored_in_another_order_is_not_changed_by_being_read(deploy: Any) -> None:
    parcel = deploy(TAGGED)
    entries = [Entry.objects.create(pk=8 * number + 8, text="a") for number in range(3)]
    begun = parcel.start(tags=set(ONE_WAY), entries={*entries})
    fields = {"tags": [*OTHER_WAY], "entries": [24, 16, 8]}
    row = Timeline.objects.get(pk=begun.pk)
    event = Event.objects.get(timeline=begun.pk, type="StepCompleted")
    Event.objects.filter(pk=event.pk).update(data={**event.data, "changes": fields})
    Timeline.objects.filter(pk=begun.pk).update(state={**row.state, "fields": fields}, fields=fields)

    parcel.get(begun.pk).look()
    drain()

    assert Event.objects.get(timeline=begun.pk, type="StepCompleted", step="look").data["changes"] == {}


class Aliased(pydantic.BaseModel):
    """Has a set, written under another name."""

    model_config = pydantic.ConfigDict(serialize_by_alias=True)
    of: set[int] = pydantic.Field(alias="Of")


def test_a_set_that_is_written_under_another_name_is_in_order_too() -> None:
    field = field_for("shop.Order", "of", Aliased)

    assert field.encode(Aliased(Of={*ONE_WAY})) == field.encode(Aliased(Of={*OTHER_WAY}))


class Ordered(MutableSet[int]):
    """Is a set that keeps the order in which its members came."""

    def __init__(self, values: Iterable[int] = ()) -> None:
        self._values = dict.fromkeys(values)

    def __contains__(self, value: object) -> bool:
        return value in self._values

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: int) -> None:
        self._values[value] = None

    def discard(self, value: int) -> None:
        self._values.pop(value, None)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        written = core_schema.plain_serializer_function_ser_schema(list)
        return core_schema.no_info_plain_validator_function(cls, serialization=written)


def test_a_set_that_has_an_order_of_its_own_keeps_it() -> None:
    assert field_for("shop.Order", "of", Ordered).encode(Ordered(OTHER_WAY)) == [*OTHER_WAY]
