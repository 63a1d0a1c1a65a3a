"""A workflow whose steps can all be had at once, one of each kind. As in the shop, ``plan`` decides what a body does."""

from datetime import timedelta

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Retry, Secret, Workflow, step
from tests.shop.models import Entry
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


class Album(Workflow):
    """Bodies that change what they are given."""

    count: int = 0
    pages: list[Entry] = []  # noqa: RUF012 (a default, copied into each timeline)

    @step
    def open(self, pages: list[Entry]) -> None:
        self.pages = pages

    @step(after=open)
    def write(self, page: Entry, words: list[str], code: Secret[list[str]]) -> None:
        words += code
        page.text += "".join(words)
        page.save()
        code.clear()
        self.count += 1
        body(self, "write")

    @step(after=open, manual=True)
    def look(self) -> None:
        self.count += 1

    @step(after=open, each="pages")
    def turn(self, page: Entry, corner: str) -> None:
        page.text += corner
        page.save()
        self.count += 1
        body(self, "turn")
