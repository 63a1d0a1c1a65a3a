"""Clause 13: the type of a field or a parameter grows under running timelines. To read what was stored before changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from django_timelines.actors import SYSTEM
from django_timelines.engine.claim import claim
from django_timelines.engine.execute import execute
from django_timelines.engine.runner import Runner
from django_timelines.models import Event, Run
from django_timelines.workflows import Refused
from tests.shop.here import HERE
from tests.shop.workflows import ran

pytestmark = pytest.mark.django_db(databases="__all__")

PLACE = """
from pydantic import BaseModel
class Place(BaseModel):
    street: str
    lines: list[str] = []
"""
GROWN = {
    "another type": ("weight: int = 5", "weight: Decimal = Decimal(5)"),
    "an attribute more": ("lines: list[str] = []", "lines: list[str] = []\n    country: str = 'GB'"),
    "a validator": (
        "address: str =",
        "address: Annotated[list[str], BeforeValidator(lambda a: a.split(', ') if isinstance(a, str) else a)] =",
    ),
}
TOLD = """
class Parcel(Workflow):
    weight: int = 5
    place: Place = Place(street="Main Street")
    address: str = "Main Street 1, London"
    shops: list[str] = ["north", "south"]

    @step
    def take(self, number: int): ...

    @step(after=take, each="shops", delivery={delivery})
    def tell(self, shop: str):
        ran["tell"] += 1
        {body}

    @step(after=tell, manual=True)
    def sign(self): ...
"""


def told(body: str, grown: str = "", delivery: str = "AT_LEAST_ONCE") -> str:
    """Return the class with this body. ``grown``: as the release has it in which the type of a field has."""
    source = PLACE + TOLD.format(body=body, delivery=delivery)
    return source.replace(*GROWN[grown]) if grown else source


def tell_at_once(parcel: Any) -> None:
    """Let two workers tell a shop each: both have claimed theirs before the body of one begins."""
    worker = Runner(SYSTEM, "rq:default", HERE, since=float("-inf"))  # its second is over: it goes on with nothing
    runs = Run.objects.filter(timeline=parcel.pk, step="tell")
    for held in [claim(parcel.pk, ("tell", run.item), run.fence, worker) for run in runs]:
        execute(held, worker)


def changes_of(parcel: Any) -> list[Any]:
    """Return what the bodies that told the shops changed, as the events of their completion have it."""
    events = Event.objects.filter(timeline=parcel.pk, step="tell", type="StepCompleted").order_by("sequence")
    return [data["changes"] for data in events.values_list("data", flat=True)]


@pytest.mark.parametrize("delivery", ["EXACTLY_ONCE", "AT_LEAST_ONCE"])
@pytest.mark.parametrize("grown", GROWN)
def test_bodies_at_once_that_read_a_field_whose_type_has_grown_are_all_done(
    deploy: Any, grown: str, delivery: str
) -> None:
    reads = "self.weight, self.place, self.address"
    parcel = deploy(told(reads, delivery=delivery)).start(1)

    new = deploy(told(reads, grown, delivery))
    tell_at_once(parcel)

    assert new.get(parcel.pk).sign.status == "waiting"
    assert (changes_of(parcel), ran["tell"]) == ([{}, {}], 2)


@pytest.mark.parametrize(
    ("grown", "body", "changes"),
    [
        ("another type", "self.weight += 1", {"weight": "6"}),
        (
            "an attribute more",
            "self.place.lines.append('2nd floor')",
            {"place": {"street": "Main Street", "lines": ["2nd floor"], "country": "GB"}},
        ),
        ("a validator", "self.address.append('GB')", {"address": ["Main Street 1", "London", "GB"]}),
    ],
)
def test_what_a_body_changes_of_a_field_whose_type_has_grown_is_a_change(
    deploy: Any, grown: str, body: str, changes: dict[str, Any]
) -> None:
    parcel = deploy(told("pass")).start(1)

    new = deploy(told(body, grown))
    tell_at_once(parcel)

    assert changes_of(parcel) == [changes]
    assert new.get(parcel.pk).tell.status == "blocked"  # the other one's change would be lost


def test_a_validator_may_change_what_it_is_given(deploy: Any) -> None:
    said = "def in_britain(said):\n    said.update(country='GB') if isinstance(said, dict) else None\n    return said\n"
    parcel = deploy(told("pass")).start(1)

    body = "if shop == 'south': self.place = Place(street='Side Street')"
    source = told(body, "an attribute more").replace(
        "place: Place", "place: Annotated[Place, BeforeValidator(in_britain)]"
    )
    new = deploy(said + source)
    tell_at_once(parcel)  # the other one, which changes nothing, ends first

    assert (new.get(parcel.pk).tell.status, new.get(parcel.pk).place.street) == ("completed", "Side Street")


PAID = """
class Parcel(Workflow):
    @step
    def take(self, weight: int, place: Place, address: str, tags: set[int], pin: Secret[str], old: bool = False):
        ran["take"] += 1

    @step(after=take)
    def pay(self, weight: int, place: Place, address: str, tags: set[int], pin: Secret[str], old: bool = False):
        ran["pay"] += 1

    @step(after=pay, manual=True)
    def sign(self): ...
"""
GROWN_INPUTS = {
    "another type": ("weight: int", "weight: Decimal"),
    "an attribute more": GROWN["an attribute more"],
    "a validator": (
        "address: str",
        "address: Annotated[list[str], BeforeValidator(lambda a: a.split(', ') if isinstance(a, str) else a)]",
    ),
    "a parameter more": ("old: bool = False", "old: bool = False, new: bool = False"),
    "a parameter less": (", old: bool = False", ""),
}
SENT = {"weight": 5, "place": {"street": "Main Street"}, "address": "1, London", "tags": {16, 8, 0}, "pin": "1234"}


def released(deploy: Any, grown: str) -> tuple[Any, Any]:
    """Return the class of the release in which an input has grown, and a timeline that was begun and called with keys before."""
    gone = {"old": True} if grown == "a parameter less" else {}
    parcel = deploy(PLACE + PAID).using(key="order 17").start(**SENT, **gone)
    assert parcel.pay.using(key="evt_1")(**SENT, **gone) == "completed"
    return deploy((PLACE + PAID).replace(*GROWN_INPUTS[grown])), parcel


@pytest.mark.parametrize("grown", GROWN_INPUTS)
def test_a_start_that_is_repeated_with_its_key_once_an_input_has_grown_is_the_same_start(
    deploy: Any, grown: str
) -> None:
    new, parcel = released(deploy, grown)

    assert new.using(key="order 17").start(**SENT).pk == parcel.pk
    with pytest.raises(Refused, match="began another timeline, with other input") as refused:
        new.using(key="order 17").start(**SENT | {"tags": {1}})

    assert (refused.value.reason, ran["take"]) == ("key_reused", 1)


@pytest.mark.parametrize("grown", GROWN_INPUTS)
def test_a_call_that_is_repeated_once_an_input_has_grown_is_the_same_call(deploy: Any, grown: str) -> None:
    new, parcel = released(deploy, grown)

    assert new.get(parcel.pk).pay.using(key="evt_1")(**SENT) == "completed"
    assert new.get(parcel.pk).pay(**SENT) == "completed"
    with pytest.raises(Refused) as reused:
        new.get(parcel.pk).pay.using(key="evt_1")(**SENT | {"tags": {1}})
    with pytest.raises(Refused) as settled:
        new.get(parcel.pk).pay(**SENT | {"tags": {1}})

    assert (reused.value.reason, settled.value.reason, ran["pay"]) == ("key_reused", "settled", 1)
