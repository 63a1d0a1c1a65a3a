"""The table of scenarios: what happened before, what is crashed, and what people do afterwards.

An act may be done twice: a person clicks again with the same key, or looks first whether it is still to be done.
"""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from django_timelines import moments
from django_timelines.engine import clock, execute, prune, stopping
from django_timelines.engine.interrupt import TimedOut
from django_timelines.engine.pause import pause_all, resume_all
from django_timelines.exceptions import PermanentFailure
from django_timelines.models import Event, Timeline
from django_timelines.state import ENDED
from tests.shop.models import Entry

from . import outside, points, worker, workflows
from .cargo import CRATES, Cargo
from .workflows import CODE, CUSTOMER, Voyage
from .world import PATIENCE, QUEUE, USING, apart

type_act = Callable[[], object]

KEY = "form-token"
YEAR = timedelta(days=365)
BOOKED = 2  # the sequence of the call that a start writes
LABEL = Voyage._declaration.label
_STEPS = [f"{LABEL}.{step}" for step in Voyage._declaration.steps]
_STEPS += [f"{Cargo._declaration.label}.{step}" for step in Cargo._declaration.steps]
PLACEMENTS: dict[str, dict[str, str]] = {
    "here": dict.fromkeys(_STEPS, "inline"),
    "away": {"*": "embedded"} | dict.fromkeys(_STEPS, "embedded"),
    "mixed": dict.fromkeys(_STEPS[1::2], "inline"),
    "rq": {"*": f"rq:{QUEUE}"} | dict.fromkeys(_STEPS, f"rq:{QUEUE}"),
}


@dataclass(frozen=True)
class Scenario:
    """``before`` and ``after`` are undisturbed, ``crashed`` dies at a point. After the restart it is done again."""

    crashed: type_act
    before: tuple[type_act, ...] = ()
    after: tuple[type_act, ...] = ()
    trouble: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    placed: tuple[str, ...] = ("away", "mixed", "here")
    visits: tuple[str, ...] = ()  # steps that are called in a transaction of the caller's, who writes a row of its own


def voyage() -> Voyage:
    return Voyage.get(key=KEY)


# What people do.


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


def order() -> None:
    Cargo.using(key=KEY).start(crates=[*CRATES])


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
    execute.answer(*bell)
    settle()
    execute.answer(*bell)


def three_old_ones() -> None:
    """Have three more of what has ended, of two years ago."""
    ended, events = Timeline.objects.get(), list(Event.objects.all())
    for number in range(3):
        ago = moments.now() - 2 * YEAR
        old = uuid.UUID(int=(int(ago.timestamp() * 1000) << 80) + number)
        ended.id, ended.key, ended.digest, ended.started_at, ended.changed_at = old, "", None, ago, ago
        ended.save(force_insert=True)
        for event in events:
            event.timeline_id = old
        Event.objects.bulk_create(events)


def left_by_a_dead_runner(step: str) -> type_act:
    """Let a runner die in the body of this step."""

    def leave() -> None:
        def die_there() -> None:
            workflows.trouble[step] = points.die
            settle()

        assert apart(die_there).died, f"nobody came to {step}"

    return leave


# What befalls a body.


def at_first(step: str) -> Callable[[], None]:
    def fail() -> None:
        if len([1 for (tried,) in outside.noted("tried") if tried == step]) == 1:
            raise OSError("A wave came over.")

    return fail


def out_of_time_at_first(step: str) -> Callable[[], None]:
    """Let the step's timeout run out in the first body, as its timer does."""
    return _interrupted_at_first(step, lambda: [body.interrupt(TimedOut) for body in stopping._held])


def told_to_end_at_first(step: str) -> Callable[[], None]:
    """Let the worker be told to end in the first body."""
    return _interrupted_at_first(step, lambda: os.kill(os.getpid(), signal.SIGTERM))


def _interrupted_at_first(step: str, interrupt: Callable[[], object]) -> Callable[[], None]:
    def body() -> None:
        if len([1 for (tried,) in outside.noted("tried") if tried == step]) == 1:
            interrupt()
            threading.Event().wait(PATIENCE)
            raise AssertionError("nobody ended this body")

    return body


def fail_until_mended() -> None:
    if not outside.noted("mended"):
        raise PermanentFailure("The cabin leaks.")


_ON = (settle, confirm, settle)
_ENDED = (start, *_ON)
_LEAK = {"reserve": fail_until_mended}

SCENARIOS: dict[str, Scenario] = {
    "start": Scenario(start, after=_ON),
    "start in a view's transaction": Scenario(
        visit(start, "book"), after=_ON, visits=("book",), placed=("here", "mixed")
    ),
    "reject": Scenario(start_wrongly, after=(start, *_ON), placed=("here", "mixed")),
    "reject elsewhere": Scenario(settle, (start_wrongly,), (book, *_ON), placed=("away",)),
    "call after a rejection": Scenario(book, (start_wrongly, settle), _ON, placed=("away",)),
    "work": Scenario(settle, (start,), (confirm, settle), placed=("away", "mixed", "rq")),
    "fail": Scenario(settle, (start,), (confirm, settle), {step: at_first(step) for step in ("reserve", "announce")}),
    "block": Scenario(settle, (start,), (retry, *_ON), _LEAK, placed=("away", "rq")),
    "retry": Scenario(retry, (start, settle), _ON, _LEAK),
    "skip": Scenario(skip, (start, settle), _ON, _LEAK),
    "call": Scenario(confirm, (start, settle), (settle,)),
    "call in a view's transaction": Scenario(
        visit(confirm, "confirm"), (start, settle), (settle,), visits=("confirm",), placed=("here", "mixed")
    ),
    "early call": Scenario(confirm, (start,), (settle,), placed=("away",)),
    "cancel what is due": Scenario(cancel, (start,), (settle,), placed=("away",)),
    "cancel what waits": Scenario(cancel, (start, settle), (settle,)),
    "cancel what was begun": Scenario(cancel, (start, left_by_a_dead_runner("announce")), (settle,), placed=("away",)),
    "overdue": Scenario(four_days_later, (start, settle)),
    "late bell": Scenario(late_bell, (start,), _ON, placed=("away",)),
    "rescue exactly-once": Scenario(
        settle, (start, left_by_a_dead_runner("reserve")), (confirm, settle), placed=("away",)
    ),
    "rescue at-least-once": Scenario(
        settle, (start, left_by_a_dead_runner("announce")), (confirm, settle), placed=("away", "rq")
    ),
    "rescue at-most-once": Scenario(
        settle, (start, left_by_a_dead_runner("charge")), (confirm, settle), placed=("away",)
    ),
    "time out": Scenario(
        settle,
        (start,),
        (confirm, settle),
        {step: out_of_time_at_first(step) for step in ("reserve", "announce")},
        placed=("away", "rq"),
    ),
    "stop": Scenario(
        settle,
        (start,),
        (confirm, settle),
        {step: told_to_end_at_first(step) for step in ("reserve", "announce")},
        placed=("away",),
    ),
    "force": Scenario(force, (start, left_by_a_dead_runner("announce")), _ON, placed=("away", "rq")),
    "amend": Scenario(amend, (start, settle), _ON, placed=("away",)),
    "pause": Scenario(pause, (start,), (worker.work, resume, *_ON), placed=("away",)),
    "resume": Scenario(resume, (start, pause), _ON, placed=("away", "mixed")),
    "pause everything": Scenario(
        pause_everything, (start,), (worker.work, resume_everything, *_ON), placed=("away", "mixed")
    ),
    "resume everything": Scenario(resume_everything, (start, pause_everything), _ON, placed=("away", "mixed")),
    "rewind": Scenario(rewind(undo=False), (start, settle), _ON),
    "rewind what was begun": Scenario(
        rewind(undo=False), (start, left_by_a_dead_runner("announce")), _ON, placed=("away",)
    ),
    "rewind and undo": Scenario(rewind(undo=True), (start, settle), _ON),
    "a new round": Scenario(settle, (start, settle, rewind(undo=True)), (confirm, settle), placed=("away",)),
    "cancel and undo": Scenario(cancel_and_undo, (start, settle), (settle,)),
    "long steps": Scenario(worker.settle, (order,), placed=("away", "rq")),
    "long steps in a request": Scenario(order, after=(worker.settle,), placed=("here", "mixed")),
    "undo": Scenario(settle, (start, settle, cancel_and_undo), placed=("away", "rq")),
    "erase": Scenario(erase, _ENDED, placed=("away",)),
    "prune": Scenario(prune_in_batches, (*_ENDED, three_old_ones), placed=("away",)),
}
