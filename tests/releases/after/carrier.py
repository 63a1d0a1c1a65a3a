"""How parcels are carried now: by another name, weighed in grams, and insured."""

from typing import Annotated

from django_timelines.workflows import AT_LEAST_ONCE, RenamedFrom, Workflow, step
from tests.releases.entries import note


class Packet(Workflow, renamed_from="carrier.Parcel"):
    """A packet's way."""

    address: str
    grams: Annotated[int, RenamedFrom("weight")] = 0

    @step
    def take(self, address: str) -> None:
        self.address = address
        note(self, "take", "after")

    @step(after=take, renamed_from="weigh")
    def measure(self) -> None:
        self.grams = 5
        note(self, "weigh", "after")

    @step(after=measure)
    def sign(self, name: str) -> None:
        """Whoever is given the packet signs."""
        note(self, "sign", "after")

    @step(after=sign, delivery=AT_LEAST_ONCE)
    def tell(self) -> None:
        note(self, "tell", "after")

    @step(after=tell)
    def insure(self) -> None:
        note(self, "insure", "after")

    @step(after=insure)
    def file(self) -> None:
        note(self, "file", "after")
