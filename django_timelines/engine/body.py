"""Running a body: what it is given, and what it did, as a value."""

from __future__ import annotations

import inspect
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from django.core.exceptions import ValidationError
from django.utils import timezone, translation
from django.views.decorators.debug import sensitive_variables

from .. import moments
from ..actors import Actor, ActorType
from ..answers import answered
from ..events import NewEvent
from ..exceptions import LeaseLost, NotAllowed, PermanentFailure
from ..graph import when_due
from ..models import new_id
from ..registry import Declaration
from ..state import RunName, run_key, type_run
from ..steps import Step
from ..store import Snapshot
from . import leaks
from .asked import Input, check_input
from .assignee import check_theirs, who_gets
from .awaited import Awaited
from .errors import as_failure, described, rejected_with
from .interrupt import Again, Interrupted
from .remind import plan_of
from .sealing import secrets_of

if TYPE_CHECKING:
    from .batches import Batches
    from .iterate import Loops


@dataclass
class Frame:
    """What a body has around it while it runs. The workflow object that is its ``self`` holds it."""

    snapshot: Snapshot
    name: RunName
    attempt: int
    batches: Batches | None = None  # what it may commit while it runs; None: nobody executes it for real
    loops: Loops | None = None  # those that it has begun
    kept: dict[str, Any] = field(default_factory=dict)  # fields as of its cursor, encoded: they win over the snapshot's
    recorded: list[NewEvent] = field(default_factory=list)
    cancel: tuple[str, bool] | None = None  # reason, and whether what completed is undone
    links: set[str] = field(default_factory=set)  # runs of its timeline whose link the body made
    given: list[NewEvent] = field(default_factory=list)  # runs of its timeline that the body gave to somebody

    @property
    def idempotency_key(self) -> str:
        """Names timeline, step, item and round: the same over attempts, retries and renames, new in each round."""
        run = self.snapshot.state["runs"].get(run_key(*self.name), {})
        step, number = run.get("begun_as", self.name.step), run.get("round", 1)
        key = f"{self.snapshot.id.hex}-{run_key(step, self.name.item, number if number > 1 else 0)}"
        return f"{key}#{run['number']}" if "number" in run else key  # of a reminder


@dataclass(frozen=True, slots=True)
class Completed:
    """The body returned."""

    changes: dict[str, Any]
    recorded: list[NewEvent]
    cancel: tuple[str, bool] | None = None
    links: frozenset[str] = frozenset()
    child: Child | None = None
    given: tuple[NewEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """The timeline that a step begins: its class, its id, and what its entry step is called with."""

    declaration: Declaration
    id: uuid.UUID
    given: Input


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The guard said no."""


@dataclass(frozen=True, slots=True)
class Timed:
    """The step's own functions were asked when it is due, and until when it may take: what ``StepDue`` says of that."""

    said: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """The body raised."""

    error: Exception
    secrets: tuple[str, ...] = field(default=(), repr=False)
    guard_passed: bool = False
    rejection: dict[str, Any] | None = None  # the body said no to its input: what StepRejected says of that
    in_time: bool = False  # before the body began
    links: frozenset[str] = frozenset()  # the mail may have gone out all the same
    said: dict[str, Any] = field(default_factory=dict)  # a rejection after which the step waits for the first time
    interrupted: bool = False  # it did not raise by itself: a driver may have been between a question and its answer

    @cached_property
    def described(self) -> dict[str, str]:
        """The error as an event stores it. It is asked once, however often the event is appended."""
        return described(self.error, self.secrets)


type_ended = Completed | NotTaken | Timed | Failed


def run_body(
    declaration: Declaration,
    seen: Snapshot,
    name: RunName,
    attempt: int,
    given: Mapping[str, Any],
    batches: Batches | None = None,
) -> type_ended:
    """Run the step's guard and body on this state, and return what happened.

    Only what takes the attempt from its runner comes through. ``sys.exit()`` ends no worker: it is a failure as any other.
    So is a transaction that the body left open. The language and the time zone are afterwards what they were.
    """
    before = leaks.marks()
    try:
        with translation.override(translation.get_language()), timezone.override(timezone.get_current_timezone()):
            ended = _run_body(declaration, name, Frame(seen, name, attempt, batches), given)
    finally:  # also when it was interrupted
        leaked = leaks.put_back(before)
    if leaked and isinstance(ended, Completed):
        left = f"The body left a transaction open ({', '.join(leaked)}). What it wrote there is rolled back."
        return Failed(RuntimeError(left), secrets_of(declaration, name, given))
    return ended


def _run_body(declaration: Declaration, name: RunName, frame: Frame, given: Mapping[str, Any]) -> type_ended:
    """Ask when it is due, ask the guard, and run the body.

    The guard is asked until it has answered once; that it said yes is kept with the attempt that failed after it.
    """
    step = declaration.step(name[0])
    secret = declaration.secrets(step.name)
    workflow = declaration.workflow._in_body(frame)
    run = frame.snapshot.state["runs"].get(run_key(*name), {})
    passed = step.when is None or bool(run.get("guard_passed"))
    begun = in_body = False
    try:
        if asks_first(step, run):
            return Timed(_ask(step, workflow, given))
        if not passed and step.when is not None:
            if not answered(f"when= of {step.name!r}", step.when(workflow)):
                return NotTaken()
            passed = True
        if refused := _refused(step, workflow, run, given):
            return refused
        # Django's error reports hide the parameters that this names
        body = sensitive_variables()(step.body) if secret else step.body
        begun = in_body = True
        whose = "given=" if step.child is not None else "The body"
        returned = answered(f"{whose} of {step.name!r}", _call(step, body, workflow, given))
        in_body = False
        child = _child(step, returned) if step.child is not None else None
        changes = workflow._changes()
        if changes and declaration.unique is not None:
            declaration.unique.check(workflow)
        return Completed(changes, frame.recorded, frame.cancel, frozenset(frame.links), child, tuple(frame.given))
    except Interrupted as interrupted:
        interrupted.in_time, interrupted.links = not begun, frozenset(frame.links)
        interrupted.guard_passed = passed and step.when is not None
        raise
    except (LeaseLost, Again, KeyboardInterrupt):
        raise
    except BaseException as error:
        hidden, failure = secrets_of(declaration, name, given), as_failure(error)
        rejection = rejected_with(failure, hidden) if in_body else None
        guard_passed = passed and step.when is not None
        failed = Failed(failure, hidden, guard_passed, rejection, not begun, frozenset(frame.links))
        if rejection is None or not step.asks_when or run.get("timed"):
            return failed
    try:  # the call was there before its step, which waits only now
        return replace(failed, said=_ask(step, declaration.workflow._in_body(frame), given))
    except Exception as error:
        return replace(failed, error=as_failure(error), rejection=None)


def asks_first(step: Step[...], run: Mapping[str, Any]) -> bool:
    """Tell whether the next attempt at this run asks the step's own functions, and runs no body.

    A call that was there before its step needs no answer.
    """
    return step.asks_when and not run.get("timed") and not (step.waits and run.get("call"))


def _refused(step: Step[...], workflow: Any, run: type_run, given: Mapping[str, Any]) -> Failed | None:
    """Say no to a call from outside that was there before its step, if that turns out to be somebody else's."""
    if "caller" not in run or run.get("timed") or run.get("given"):
        return None
    has = who_gets(step, workflow, _item(step, given))
    try:
        check_theirs(has, step.name, Actor(ActorType.USER, run["caller"]))
    except NotAllowed as not_theirs:
        if run.get("tried"):  # it was theirs, or nobody knows, and it may have been done: a person looks
            raise PermanentFailure(str(not_theirs)) from None
        error = ValidationError(str(not_theirs))
        return Failed(error, rejection=rejected_with(error), in_time=True, said=_said(step, workflow, has))
    return None


def _ask(step: Step[...], workflow: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the step's own functions when it is due and until when it may take, who gets it, and when they are reminded."""
    return _said(step, workflow, who_gets(step, workflow, _item(step, given)))


def _said(step: Step[...], workflow: Any, has: Mapping[str, Any]) -> dict[str, Any]:
    return {**_when_due(step, workflow), **has, **plan_of(step, workflow)}


def _item(step: Step[...], given: Mapping[str, Any]) -> dict[str, Any]:
    return {step.item.name: given[step.item.name]} if step.item else {}


def _when_due(step: Step[...], workflow: Any) -> dict[str, Any]:
    at = moments.now()
    delay = _asked(step, "delay", timedelta, workflow)
    due = at + delay if delay is not None else _asked(step, "until", datetime, workflow)
    said = when_due(at, due, _asked(step, "within", timedelta, workflow))
    return said | ({"waiting": True} if step.waits else {}) | {"timed": True}


def _asked(step: Step[...], option: str, wanted: type[Any], workflow: Any) -> Any:
    said = getattr(step, option)
    value = answered(f"{option}= of {step.name!r}", said(workflow)) if callable(said) else said
    if value is not None and not isinstance(value, wanted):
        raise PermanentFailure(
            f"{option}= of {step.name!r} returned {value!r}. Return a {wanted.__name__}, or None for none."
        )
    if isinstance(value, datetime) and value.tzinfo is None:
        raise PermanentFailure(f"{option}= of {step.name!r} returned {value!r}, which has no time zone. Give it one.")
    if value is not None and moments.is_too_far(value):
        raise PermanentFailure(f"{option}= of {step.name!r} returned {value!r}, which {moments.TOO_FAR}. Return less.")
    return value


def _child(step: Step[...], given: Any) -> Child:
    """Check what ``given=`` returned against the entry step of the child."""
    declaration: Declaration = step.child._declaration
    if not isinstance(given, Mapping):
        raise PermanentFailure(
            f"given= of {step.name!r} returned {type(given).__name__}. Return a dict of {declaration.label}'s input."
        )
    entry = declaration.step(declaration.graph.entry.name)
    return Child(declaration, new_id(), check_input(declaration, entry, (), given))


def _call(step: Step[...], body: Any, workflow: Any, given: Mapping[str, Any]) -> Any:
    """Call the body. A process that it forked and that comes back here ends at once: the attempt is its parent's."""
    process = os.getpid()
    try:
        if inspect.iscoroutinefunction(step.body):
            awaited = Awaited()
            with awaited.waiting():
                return async_to_sync(awaited.run)(partial(body, workflow, **given))
        return body(workflow, **given)
    finally:
        if os.getpid() != process:
            os._exit(os.EX_SOFTWARE)
