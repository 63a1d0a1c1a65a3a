"""The table of scenarios: what happened before, what is crashed, and what people do afterwards.

An act may be done twice: a person clicks again with the same key, or looks first whether it is still to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from django_timelines import moments
from django_timelines.engine import clock, execute
from django_timelines.exceptions import PermanentFailure
from django_timelines.state import ENDED
from tests.shop.models import Entry

from . import outside, points, worker, workflows
from .workflows import CODE, Voyage
from .world import QUEUE, USING, apart

type_act = Callable[[], object]

KEY = "form-token"
BOOKED = 2  # the sequence of the call that a start writes
LABEL = Voyage._declaration.label
_STEPS = [*Voyage._declaration.steps]
PLACEMENTS: dict[str, dict[str, str]] = {
    "here": {f"{LABEL}.{step}": "inline" for step in _STEPS},
    "away": {"*": "embedded"} | {f"{LABEL}.{step}": "embedded" for step in _STEPS},
    "mixed": {f"{LABEL}.{step}": "inline" for step in _STEPS[1::2]},
    "rq": {"*": f"rq:{QUEUE}"} | {f"{LABEL}.{step}": f"rq:{QUEUE}" for step in _STEPS},
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
    Voyage.using(key=KEY).start(customer="Ada", code=CODE)


def start_wrongly() -> None:
    with suppress(ValidationError):  # here it is rejected, elsewhere it is written down
        Voyage.using(key=KEY).start(customer="nobody", code=CODE)


def book() -> None:
    voyage().book.using(key="second try")(customer="Ada", code=CODE)


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
    execute.answer(*bell)
    settle()
    execute.answer(*bell)


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


def fail_until_mended() -> None:
    if not outside.noted("mended"):
        raise PermanentFailure("The cabin leaks.")


_ON = (settle, confirm, settle)
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
    "amend": Scenario(amend, (start, settle), _ON, placed=("away",)),
    "pause": Scenario(pause, (start,), (worker.work, resume, *_ON), placed=("away",)),
    "resume": Scenario(resume, (start, pause), _ON, placed=("away", "mixed")),
    "rewind": Scenario(rewind(undo=False), (start, settle), _ON),
    "rewind and undo": Scenario(rewind(undo=True), (start, settle), _ON),
    "a new round": Scenario(settle, (start, settle, rewind(undo=True)), (confirm, settle), placed=("away",)),
    "cancel and undo": Scenario(cancel_and_undo, (start, settle), (settle,)),
    "undo": Scenario(settle, (start, settle, cancel_and_undo), placed=("away", "rq")),
}
