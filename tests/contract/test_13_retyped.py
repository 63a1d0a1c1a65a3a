"""Clause 13: the type of a field or a parameter grows under running timelines. To read what was stored before changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from django_timelines.actors import SYSTEM
from django_timelines.engine.claim import claim
from django_timelines.engine.execute import execute
from django_timelines.engine.runner import Runner
from django_timelines.models import Event, Run
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
