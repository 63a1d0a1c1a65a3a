"""A workflow whose steps can all be had at once, one of each kind. As in the shop, ``plan`` decides what a body does."""

from datetime import timedelta

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Retry, Workflow, step
from tests.shop.workflows import body


class Window(Workflow):
    """Two steps whose time runs out together."""

    @step
    def open(self) -> None:
        body(self, "open")

    @step(after=open, manual=True, within=timedelta(days=1))
    def look_in(self) -> None:
        body(self, "look_in")

    @step(after=open, manual=True, within=timedelta(days=1))
    def look_out(self) -> None:
        body(self, "look_out")


class Till(Workflow):
    """A shop's till: opened once, then all at the same time."""

    total: int = 0

    @step
    def open(self, owner: str) -> None:
        body(self, "open")

    @step(after=open)
    def pay(self, amount: int) -> None:
        body(self, "pay")
        self.total += amount

    @step(after=open, delivery=AT_LEAST_ONCE)
    def mail(self, amount: int) -> None:
        body(self, "mail")

    @step(after=open, delivery=AT_MOST_ONCE)
    def stamp(self, amount: int) -> None:
        body(self, "stamp")

    @step(after=open)
    def count(self) -> None:
        """Runs by itself, in the database."""
        total = self.total
        body(self, "count")
        self.total = total + 10

    @step(after=open, delivery=AT_LEAST_ONCE, retry=Retry(3, wait=timedelta(seconds=10), jitter=False))
    def tell(self) -> None:
        """Runs by itself, outside."""
        total = self.total
        body(self, "tell")
        self.total = total + 100
