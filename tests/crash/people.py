"""What people do with a voyage, and what happens to it by itself."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from django_timelines import moments
from django_timelines.engine import answer, clock, prune
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.models import Event, Timeline
from django_timelines.state import ENDED
from tests.shop.models import Entry

from . import outside, worker
from .scenario import KEY, type_act
from .workflows import CODE, CUSTOMER, Voyage
from .world import USING

YEAR = timedelta(days=365)
BOOKED = 2  # the sequence of the call that a start writes


def voyage() -> Voyage:
    return Voyage.get(key=KEY)


def start() -> None:
    Voyage.using(key=KEY).start(customer=CUSTOMER, code=CODE)


def start_wrongly() -> None:
    with suppress(ValidationError):  # here it is rejected, elsewhere it is written down
        Voyage.using(key=KEY).start(customer="nobody", code=CODE)


def book() -> None:
    voyage().book.using(key="second try")(customer=CUSTOMER, code=CODE)


def confirm() -> None:
    voyage().confirm.using(key="click")()


def retry() -> None:
    outside.note("mended")
    if voyage().reserve.status == "blocked":
        voyage().reserve.retry(reason="mended")


def skip() -> None:
    if voyage().reserve.status == "blocked":
        voyage().reserve.skip(reason="they sleep on deck", cabins=["deck"])


def cancel() -> None:
    if voyage().timeline.status not in (*ENDED, "cancelling"):
        voyage().timeline.cancel(reason="storm")


def cancel_and_undo() -> None:
    if voyage().timeline.status not in (*ENDED, "cancelling"):
        voyage().timeline.cancel(reason="storm", compensate=True)


def amend() -> None:
    if voyage().customer != "Bea":
        voyage().timeline.amend(reason="mistyped", customer="Bea")


def pause() -> None:
    voyage().timeline.pause(reason="the harbour is closed")


def resume() -> None:
    voyage().timeline.resume(reason="it is open again")


def pause_everything() -> None:
    pause_all("the harbour is closed", using=USING)


def resume_everything() -> None:
    resume_all(using=USING)


def force() -> None:
    if voyage().announce.status == "running":
        voyage().announce.retry(reason="the telegraph hangs", force=True)


def erase() -> None:
    timeline = Timeline.objects.get()  # it has no key any more once it is erased
    if not timeline.state.get("erased"):
        timeline.erase(reason="letter 4711")


def prune_in_batches() -> None:
    prune.BATCH = 2
    for _ in prune.prune(YEAR, using=USING):
        pass


def one_is_left() -> None:
    assert Timeline.objects.get().key == KEY


def rewind(*, undo: bool) -> type_act:
    def begin_a_round() -> None:
        if "rounds" not in voyage().timeline.state:
            voyage().timeline.rewind(to="reserve", reason="another ship", undo=undo)

    return begin_a_round


def visit(call: type_act, step: str) -> type_act:
    """Call in a transaction of the caller's, as with ATOMIC_REQUESTS."""

    def in_a_transaction() -> None:
        with transaction.atomic(using=USING):
            Entry.objects.get_or_create(text=f"visit {step}")
            call()

    return in_a_transaction


# What happens by itself.


def settle() -> None:
    """Let all go on that does. A person goes past an at-most-once step of which nobody knows how it ended."""
    worker.settle()
    if voyage().charge.status == "blocked":
        voyage().charge.skip(reason="the bank says that it went through", charged=40)
        worker.settle()


def four_days_later() -> None:
    moments.offset += timedelta(days=4)
    clock.tick(USING)
    settle()


def late_bell() -> None:
    """Answer the first bell, and again when all that it was rung for is long done."""
    bell = (voyage().pk.hex, "book", "", BOOKED, USING, "embedded")
    answer.answer(*bell)
    settle()
    answer.answer(*bell)


def three_old_ones() -> None:
    """Have three more of what has ended, of two years ago."""
    ended, events = Timeline.objects.get(), list(Event.objects.all())
    for number in range(3):
        ago = moments.now() - 2 * YEAR
        old = uuid.UUID(int=(int(ago.timestamp() * 1000) << 80) + number)
        ended.id, ended.key, ended.digest, ended.started_at, ended.changed_at = old, "", None, ago, ago
        ended.correlation = old  # only whole families are pruned
        ended.save(force_insert=True)
        for event in events:
            event.timeline_id = old
        Event.objects.bulk_create(events)
