"""Long steps that the tests put through their paces. What is walked over, and what befalls an item, is the test's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Event, Retry, Workflow, step
from tests.shop.models import Entry

SOON = Retry(2, wait=timedelta(seconds=10), jitter=False)
walked: dict[str, Callable[[], Iterable[Any]]] = {}
"""What each step walks over; ``range(10)`` unless the test says otherwise."""
trouble: dict[Any, Callable[[Any], object]] = {}
"""What befalls an item, or ``"before"``, ``"between"`` and ``"after"`` the loop; given the body's ``self``."""


def items(step: str) -> Iterable[Any]:
    return walked.get(step, lambda: range(10))()


def befall(workflow: Any, where: Any) -> None:
    if where in trouble:
        trouble[where](workflow)


class Loaded(Event):
    """A batch's worth of news."""

    item: int


class Load(Workflow):
    """Load items into the database, three in a batch."""

    loaded: int = 0
    names: list[str] = []  # noqa: RUF012 (a default, copied into each timeline)
    checked: int = 0
    note: str = ""

    @step
    def begin(self, note: str = "") -> None:
        self.note = note

    @step(after=begin, retry=SOON)
    def load(self) -> None:
        befall(self, "before")
        for item in self.iterate(items("load"), batch=3):
            Entry.objects.create(text=f"row {item}")
            self.loaded += 1
            self.names.append(str(item))
            befall(self, item)
        befall(self, "after")

    @load.undo
    def unload(self) -> None:
        for item in self.iterate(self.names, batch=3):
            Entry.objects.filter(text=f"row {item}").delete()

    @step(after=load, manual=True)
    def close(self) -> None:
        """Somebody looks at it."""


class Post(Workflow):
    """Send many letters, each an effect outside, two in a batch."""

    sent: int = 0

    @step
    def begin(self) -> None:
        """Begin."""

    @step(after=begin, delivery=AT_LEAST_ONCE, retry=SOON)
    def send(self) -> None:
        befall(self, "before")
        for item in self.iterate(items("send"), batch=2):
            letters.append(item)
            self.sent += 1
            befall(self, item)
        befall(self, "after")

    @step(after=send)
    def file_away(self) -> None:
        befall(self, "file_away")


letters: list[Any] = []


class Twice(Workflow):
    """Two loops, one after the other."""

    first: int = 0
    second: int = 0

    @step
    def begin(self) -> None:
        """Begin."""

    @step(after=begin, retry=SOON)
    def walk(self) -> None:
        for item in self.iterate(items("first"), batch=2):
            if item == "stop":
                break
            Entry.objects.create(text=f"first {item}")
            self.first += 1
        befall(self, "between")
        for item in self.iterate(items("second"), batch=2):
            Entry.objects.create(text=f"second {item}")
            self.second += 1
            befall(self, item)


class Called(Workflow):
    """A long step that somebody calls."""

    loaded: int = 0

    @step(retry=SOON)
    def load(self, first: int, last: int) -> None:
        for item in self.iterate(range(first, last), batch=2):
            Entry.objects.create(text=f"row {item}")
            self.loaded += 1
            befall(self, item)


class Freely(Workflow):
    """A step whose body is the test's."""

    seen: int = 0

    @step
    def begin(self) -> None:
        """Begin."""

    @step(after=begin, retry=SOON)
    def go(self) -> None:
        befall(self, "go")


class Outside(Workflow):
    """The same, outside of a transaction."""

    seen: int = 0

    @step
    def begin(self) -> None:
        """Begin."""

    @step(after=begin, delivery=AT_LEAST_ONCE, retry=SOON)
    def go(self) -> None:
        befall(self, "go")


class Once(Workflow):
    """The same, at most once."""

    @step
    def begin(self) -> None:
        """Begin."""

    @step(after=begin, delivery=AT_MOST_ONCE)
    def go(self) -> None:
        befall(self, "go")


class Later(Workflow):
    """A long step that awaits."""

    seen: int = 0

    @step
    def begin(self) -> None:
        """Begin."""

    @step(after=begin, delivery=AT_LEAST_ONCE, retry=SOON)
    async def go(self) -> None:
        async for item in self.iterate(items("go"), batch=2):
            self.seen += 1
            letters.append(item)
            self.progress(self.seen, 10)
            befall(self, item)


class LaterTwice(Workflow):
    """Two loops that await, one after the other or one in the other."""

    between: int = 0
    seen: int = 0

    @step
    def begin(self) -> None:
        """Begin."""

    @step(after=begin, delivery=AT_LEAST_ONCE, retry=SOON)
    async def go(self) -> None:
        async for item in self.iterate(items("first"), batch=2):
            if item == "stop":
                break
            befall(self, item)
            if item == "nest":
                await self._walk()
        self.between += 1
        await self._walk()

    async def _walk(self) -> None:
        async for item in self.iterate(items("second"), batch=2):
            letters.append(item)
            self.seen += 1
            befall(self, item)
