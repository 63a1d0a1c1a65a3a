"""Stories of a step: given where a timeline stands, when something happens, then this follows.

``given(Order, customer="Ada").upto("pay").when("pay", amount=5).then("StepCompleted pay", fields={"amount": 5})``

The past is written as real events, without running a body, so that everything else works as on any timeline.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar

from .. import store
from ..domain import Event as Fact
from ..engine.body import asks_first
from ..engine.judge import check_item
from ..exceptions import FieldUnset, Refused
from ..items import with_all
from ..models import Event, Run
from ..moments import now
from ..state import CLAIMABLE, Outcome, name_of, split_key, step_status
from ..steps import Step
from ..workflows import BoundStep, Workflow
from .clock import travel
from .due import carry_out, drain, questions
from .past import Past

W = TypeVar("W", bound=Workflow)
type_step = Step[...] | str
type_what = type_step | timedelta | Callable[[W], object] | None


def given(workflow: type[W] | W, /, **fields: Any) -> Story[W]:
    """Begin a story: with a new timeline of this class whose fields are set and whose steps did not run, or with this one."""
    if isinstance(workflow, Workflow):
        if fields:
            raise TypeError("This timeline is there already: only a new one is given fields.")
        return Story(Past(workflow._declaration, with_all(store.load(workflow.pk, workflow._snapshot.using))))
    if getattr(workflow, "_declaration", None) is None:
        raise TypeError(f"given({workflow!r}): give a workflow's class, or an object of it.")
    return Story(Past.begin(workflow._declaration, fields))


class Story(Generic[W]):
    """A timeline, what happens to it, and what is to follow."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._id, self._using = past.snapshot.id, past.snapshot.using
        self._elapsed = timedelta(0)
        self._head = past.snapshot.head
        self._raised: Exception | None = None
        self._outcome: Outcome | None = None

    # Given

    def done(self, *steps: type_step, **fields: Any) -> Self:
        """Let these steps have been done, in this order; the last of them set these fields."""
        with self._back():
            for step in steps[:-1]:
                self._past.complete(_name(step))
            self._past.with_fields(fields)
            for step in steps[-1:]:
                self._past.complete(_name(step))
            return self._happened()

    def failed(self, *steps: type_step) -> Self:
        """Let the policy have given these steps up: they have failed if the class goes on from that, else they are blocked."""
        with self._back():
            for step in steps:
                self._past.give_up(_name(step))
            return self._happened()

    def overdue(self, *steps: type_step) -> Self:
        """Let the time of these steps have run out."""
        with self._back():
            for step in steps:
                self._past.run_out(_name(step))
            return self._happened()

    def upto(self, step: type_step, **fields: Any) -> Self:
        """Let all that has to be settled before this step have been, the way that leads to it; these fields were set by it."""
        with self._back():
            self._past.with_fields(fields).lead_to(_name(step))
            return self._happened()

    # When

    def when(self, what: type_what[W] = None, /, *args: Any, **kwargs: Any) -> Self:
        """Let something happen: a step is called (or run, if it is due), time passes, a function is called with the workflow.

        ``.when("pay", amount=5)`` · ``.when(Order.pay, amount=5)`` · ``.when(timedelta(days=3))`` (then all that is due by
        that time runs) · ``.when(lambda order: order.pay.skip(reason="in cash"))`` · ``.when()``: all that is due runs. A named
        step runs alone: what it makes due is not run. What is raised is looked at by ``then``.
        """
        is_step = isinstance(what, Step | str)
        is_other = what is None or isinstance(what, timedelta) or (callable(what) and not isinstance(what, BoundStep))
        if not is_step and (args or kwargs or not is_other):
            raise TypeError(
                "when(…) takes a step by its name, with its input: when('pay', amount=5). Or, with nothing beside it, a "
                "timedelta or a function of the workflow."
            )
        self._reraise()
        self._head, self._outcome = self._snapshot().head, None
        with travel(self._elapsed):
            try:
                self._act(what, args, kwargs)
            except Exception as error:
                self._raised = error
        return self

    # Then

    def then(
        self,
        *events: str | Fact | type[Fact],
        status: str | None = None,
        steps: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
        outcome: str | None = None,
        raises: type[Exception] | None = None,
        refused: str | None = None,
    ) -> Self:
        """Check what followed. What was raised and is not named here is raised.

        ``events`` were appended since, in this order, maybe with others between: ``"StepCompleted"``, ``"StepDue send"``, a
        fact that a body recorded, ``Paid(amount=5)``, or any of its class. ``status`` is the timeline's, ``steps`` maps names
        to theirs, ``fields`` names to values. ``outcome`` is what the call answered; ``refused`` the reason of its refusal.
        """
        __tracebackhide__ = True
        self._check_raised(Refused if refused else raises, refused)
        self._check_events(list(events))
        workflow = self.workflow
        if outcome is not None:
            _expect("the outcome", self._outcome, outcome)
        if status is not None:
            _expect("the timeline", workflow._snapshot.status, status)
        state = with_all(workflow._snapshot).state if steps else {}
        for step, wanted in (steps or {}).items():
            run = split_key(step)
            if run.item:
                check_item(workflow._declaration, state, run)
            workflow._declaration.step(run.step)
            _expect(f"{step!r}", step_status(state, *run), wanted)
        for name, value in (fields or {}).items():
            _expect(f"the field {name!r}", _field(workflow, name), value)
        return self

    @property
    def workflow(self) -> W:
        """The workflow object as it is now."""
        self._reraise()
        found: W = self._past.declaration.workflow._from(self._snapshot())
        return found

    def _act(self, what: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if what is None:
            drain(self._using)
        elif isinstance(what, timedelta):
            self._let_pass(what)
        elif isinstance(what, Step | str):
            self._run(_name(what), args, kwargs)
        else:
            answer = what(self.workflow)
            self._outcome = answer if isinstance(answer, Outcome) else None

    def _let_pass(self, time: timedelta) -> None:
        """Ask what is due just now until when it may take; then let the time pass, and run what is due by then."""
        self._elapsed += time
        for run in questions(self._past.declaration, self._snapshot()):
            carry_out(run, self._using, alone=True)
        with travel(time):
            drain(self._using)

    def _run(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the step unless it is due anyhow, and run it here, wherever it is placed, without what comes next.

        If it is to be asked first when it is due, that is an attempt of its own, which may come to another end.
        """
        if (run := self._due(key)) is not None and self._asks_first(key):
            self._carry_out(run, key)
            if self._asks_first(key):
                return
        bound: BoundStep[...] = BoundStep(self.workflow, *split_key(key))
        if args or kwargs or self._due(key) is None:
            self._outcome = bound(*args, **kwargs)
        if (run := self._due(key)) is not None:
            self._carry_out(run, key)

    def _carry_out(self, run: Run, key: str) -> None:
        carry_out(run, self._using, alone=True)
        self._outcome = BoundStep(self.workflow, *split_key(key)).wait(0)

    def _due(self, key: str) -> Run | None:
        step, item, _round = split_key(key)
        runs = Run.objects.using(self._using).filter(timeline=self._id, step=step, item=item)
        run = runs.filter(status__in=CLAIMABLE).first()
        return run if run is not None and (run.due is None or run.due <= now()) else None

    def _asks_first(self, key: str) -> bool:
        run = with_all(self._snapshot()).state["runs"].get(key, {})
        return asks_first(self._past.declaration.step(split_key(key).step), run)

    @contextmanager
    def _back(self) -> Iterator[None]:
        """Go on with the past from where the timeline stands by now, at the story's time."""
        self._past.snapshot = with_all(self._snapshot())
        with travel(self._elapsed):
            yield

    def _happened(self) -> Self:
        self._past.check_all_is_set()
        self._past.ask()
        self._head = self._past.snapshot.head
        return self

    def _snapshot(self) -> store.Snapshot:
        return store.load(self._id, self._using)

    def _reraise(self) -> None:
        error, self._raised = self._raised, None
        if error is not None:
            raise error

    def _check_raised(self, wanted: type[Exception] | None, reason: str | None) -> None:
        __tracebackhide__ = True
        error = self._raised
        if wanted is None or (error is not None and not isinstance(error, wanted)):
            self._reraise()
        elif error is None:
            raise AssertionError(f"{wanted.__name__} was to be raised, and nothing was.")
        self._raised = None
        if reason is not None and isinstance(error, Refused):
            _expect("the reason of the refusal", error.reason, reason)

    def _check_events(self, wanted: list[str | Fact | type[Fact]]) -> None:
        __tracebackhide__ = True
        rows = Event.objects.using(self._using).filter(timeline=self._id, sequence__gt=self._head).order_by("sequence")
        appended = list(rows)
        left = iter(appended)
        for one in wanted:
            if not any(_is(row, one) for row in left):
                were = ", ".join(_told(row, one) for row in appended) or "none"
                raise AssertionError(
                    f"{_described(one)} is not among the events, in this order. Appended were: {were}."
                )

    def __del__(self) -> None:
        if self._raised is not None:
            warnings.warn(f"Nobody looked at what this story raised: {self._raised!r}", RuntimeWarning, 2, source=self)


def _name(step: type_step) -> str:
    return step.name if isinstance(step, Step) else step


def _expect(what: str, found: object, wanted: object) -> None:
    __tracebackhide__ = True
    if found != wanted:
        shown, hoped = (str(value) if isinstance(value, str) else repr(value) for value in (found, wanted))
        raise AssertionError(f"{what} is {shown}, not {hoped}.")


def _field(workflow: Workflow, name: str) -> Any:
    known = workflow._declaration.fields
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else f" It has {', '.join(known)}."
        raise AttributeError(f"{workflow._declaration.label} has no field {name!r}.{hint}")
    try:
        return workflow._read(name)
    except FieldUnset:
        raise AssertionError(f"the field {name!r} is not set.") from None


def _is(row: Event, wanted: str | Fact | type[Fact]) -> bool:
    if isinstance(wanted, str):
        type, _space, run = wanted.partition(" ")
        return row.type == type and (not run or split_key(run) == name_of(row))
    if isinstance(wanted, Fact):
        return row.type == wanted.__class__.__name__ and row.data == wanted.model_dump(mode="json")
    return row.type == wanted.__name__


def _told(row: Event, wanted: str | Fact | type[Fact]) -> str:
    """Describe an event, with what it says if one of its kind was to say something else."""
    alike = isinstance(wanted, Fact) and row.type == wanted.__class__.__name__
    return f"{row} {row.data}" if alike else str(row)


def _described(wanted: str | Fact | type[Fact]) -> str:
    return wanted.__name__ if isinstance(wanted, type) else str(wanted) if isinstance(wanted, str) else repr(wanted)
