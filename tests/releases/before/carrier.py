"""How parcels are carried."""

from django_timelines.workflows import AT_LEAST_ONCE, Workflow, step
from tests.releases.entries import note


class Parcel(Workflow):
    """A parcel's way."""

    address: str
    weight: int = 0

    @step
    def take(self, address: str) -> None:
        self.address = address
        note(self, "take", "before")

    @step(after=take)
    def weigh(self) -> None:
        self.weight = 5
        note(self, "weigh", "before")

    @step(after=weigh)
    def sign(self, name: str) -> None:
        """Whoever is given the parcel signs."""
        note(self, "sign", "before")

    @step(after=sign, delivery=AT_LEAST_ONCE)
    def tell(self) -> None:
        note(self, "tell", "before")

    @step(after=tell)
    def file(self) -> None:
        note(self, "file", "before")
