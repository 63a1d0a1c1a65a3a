"""One step of each kind, side by side and in a row, all of which change one field; some can be undone, some send back.

All spans are so long that what passes by itself while a machine is slow is nothing beside them.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from django.core.exceptions import ValidationError

from django_timelines.workflows import AT_LEAST_ONCE, AT_MOST_ONCE, Retry, Workflow, step
from tests.shop.models import Entry

TWICE = Retry(2, wait=timedelta(seconds=200), factor=1, jitter=False)

ran: Counter[str] = Counter()
plan: dict[str, Callable[[], None]] = {}
undone_at: dict[str, int] = {}  # by the key of an undo: the total that it saw


class Quest(Workflow):
    """Fetch it, pay it, send it."""

    total: int = 0
    receipt: int

    @step
    def begin(self, note: str) -> None:
        body(self, "begin")

    @step(after=begin, retry=TWICE)
    def pack(self) -> None:
        body(self, "pack")

    @pack.undo
    def unpack(self) -> None:
        undo(self, "unpack")

    @step(after=begin, delivery=AT_LEAST_ONCE, retry=TWICE, within=timedelta(seconds=300))
    def announce(self) -> None:
        body(self, "announce")

    @announce.undo
    def renounce(self) -> None:
        undo(self, "renounce")

    @step(after=begin, retry=TWICE, within=timedelta(seconds=450))
    def pay(self, amount: int) -> None:
        if amount < 0:
            raise ValidationError("An amount is at least nought.")
        body(self, "pay")
        self.receipt = amount

    @pay.undo
    def refund(self) -> None:
        undo(self, "refund")

    @step(after=[pack, pay], delivery=AT_MOST_ONCE)
    def send(self) -> None:
        body(self, "send")

    @step(after=send.failed, retry=TWICE, again=begin)
    def search(self) -> None:
        body(self, "search")

    @step(after=announce.failed, retry=TWICE, again=begin)
    def apologise(self) -> None:
        body(self, "apologise")


def body(errand: Quest, name: str) -> None:
    """Count the run, leave a row, do what is planned, and change the field."""
    _leave(errand, name)
    errand.total += 1


def undo(errand: Quest, name: str) -> None:
    """Count the run, leave a row, say what it saw, and do what is planned."""
    undone_at[errand.idempotency_key] = errand.total
    _leave(errand, name)


def _leave(errand: Quest, name: str) -> None:
    ran[name] += 1
    Entry.objects.create(text=f"{errand.pk.hex} {name}")
    if name in plan:
        plan[name]()
