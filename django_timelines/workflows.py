"""The front door: what you import to write workflows.

class Signup(Workflow):
    email: str

    @step
    def register(self, email: str): ...

    @step(after=register)
    def open_account(self): ...
"""

from __future__ import annotations

import inspect
import typing
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from asgiref.sync import sync_to_async
from django.db import router
from django.db.models import Model
from django.urls import reverse

from . import graph, links, registry, store
from .actors import Actor, of_user
from .domain import Event
from .engine import call, explain, operate, wait
from .engine.body import Frame
from .engine.call import Options
from .events import NewEvent
from .exceptions import DeclarationError, PermanentFailure, Refused, RetryAfter, TimelinesError, Unknown
from .fields import UNSET, Field, field_for, parameters_of
from .models import Event as StoredEvent
from .models import Timeline, TimelineQuerySet
from .registry import Declaration
from .retries import Retry
from .state import Outcome, StepStatus, empty, fold, step_status, timeline_status
from .steps import SECRET, AnyOf, Delivery, Step, StepOutcome
from .store import Snapshot

__all__ = [
    "AT_LEAST_ONCE",
    "AT_MOST_ONCE",
    "EXACTLY_ONCE",
    "Event",
    "Outcome",
    "PermanentFailure",
    "Refused",
    "Retry",
    "RetryAfter",
    "Secret",
    "StepStatus",
    "Workflow",
    "any_of",
    "step",
]

EXACTLY_ONCE = Delivery.EXACTLY_ONCE
AT_LEAST_ONCE = Delivery.AT_LEAST_ONCE
AT_MOST_ONCE = Delivery.AT_MOST_ONCE

P = ParamSpec("P")
T = TypeVar("T")
W = TypeVar("W")

Secret = Annotated[T, SECRET]
"""``Secret[str]``: an input that is stored encrypted, only while an attempt may need it. A plain ``str`` to the body."""


class WorkflowStep(Step[P]):
    """A declared step. On an instance it is a ``BoundStep``."""

    @overload
    def __get__(self, instance: None, owner: type[Workflow]) -> WorkflowStep[P]: ...
    @overload
    def __get__(self, instance: Workflow, owner: type[Workflow]) -> BoundStep[P]: ...
    def __get__(self, instance: Workflow | None, owner: type[Workflow]) -> WorkflowStep[P] | BoundStep[P]:
        return self if instance is None else BoundStep(instance, self.name)


@overload
def step(body: Callable[Concatenate[W, P], object], /) -> WorkflowStep[P]: ...
@overload
def step(
    *,
    after: Step[Any] | StepOutcome | AnyOf | list[Any] | None = ...,
    manual: bool = ...,
    within: timedelta | None = ...,
    delivery: Delivery = ...,
    retry: Retry | None = ...,
    when: Callable[[Any], bool] | None = ...,
    early: str = ...,
) -> Callable[[Callable[Concatenate[W, P], object]], WorkflowStep[P]]: ...
def step(body: Any = None, /, **options: Any) -> Any:
    """Declare a step of a workflow. Where it runs is never said here.

    ``after``: the steps, or outcomes of steps, that it comes after; the one step without is what ``start(…)`` begins with.
    ``manual``: it waits for somebody to call it, although it has no parameters. ``within``: how long it may wait before it
    is overdue. ``delivery``: ``EXACTLY_ONCE`` (default), ``AT_LEAST_ONCE`` or ``AT_MOST_ONCE``. ``retry``: the failure
    policy. ``when``: a guard, asked once, before the first attempt. ``early="keep"``: a call that comes too early is kept.
    """
    if body is not None:
        return WorkflowStep(body)
    return lambda body: WorkflowStep(body, **options)


def any_of(*members: Step[Any] | StepOutcome) -> AnyOf:
    """Come after whichever of these is done first."""
    return AnyOf(*members)


class BoundStep(Generic[P]):
    """A step of one timeline: call it like a method, from anywhere."""

    do_not_call_in_templates = True  # {{ signup.activate.status }} looks at the step: a template calls what it can

    def __init__(self, workflow: Workflow, name: str, item: str = "", options: Options | None = None) -> None:
        self._workflow = workflow
        self._name = name
        self._item = item
        self._options = options or Options()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        """Ask for the step; return the outcome. ``Refused`` if the call is wrong, ``Rejected`` if the input is."""
        workflow = self._writable()
        outcome, snapshot = call.call(
            workflow._declaration, workflow._snapshot, (self._name, self._item), self._options, args, kwargs
        )
        workflow._seen(snapshot)
        return outcome

    def using(self, *, key: str = "", actor: Any = None) -> BoundStep[P]:
        """Set options of the call: ``key`` (the same key has one effect and one answer), ``actor`` (a user or an ``Actor``)."""
        return BoundStep(self._workflow, self._name, self._item, _options(self._options, key, actor))

    @property
    def status(self) -> StepStatus:
        """Where the step stands, as this object last saw it. Calls and ``wait()`` look again."""
        return step_status(self._workflow._snapshot.state, self._name, self._item)

    def wait(self, timeout: float = 10) -> Outcome:
        """Wait at most ``timeout`` seconds until the step is settled, blocked or waits for a person; return where it stands.

        Raises ``Rejected`` if its body said no to the input. Inside a transaction of yours it returns at once.
        """
        outcome, snapshot = wait.wait(self._workflow._snapshot, (self._name, self._item), timeout)
        self._workflow._seen(snapshot)
        return outcome

    def link(self) -> str:
        """Return the absolute, signed address at which its holder calls the step, once, until its ``within=``."""
        return links.for_call(self._workflow.pk, self._name, self._item)

    def retry(self, *, reason: str = "", actor: Any = None) -> Outcome:
        """Try a blocked step again, or one that waits for its next attempt, now."""
        workflow = self._writable()
        outcome, snapshot = operate.retry(workflow._snapshot, (self._name, self._item), _actor(actor), reason)
        workflow._seen(snapshot)
        return outcome

    def skip(self, *, reason: str, actor: Any = None, **fields: Any) -> Outcome:
        """Go past the step, setting the fields that it would have set. It counts as done."""
        workflow = self._writable()
        outcome, snapshot = operate.skip(workflow._snapshot, (self._name, self._item), reason, fields, _actor(actor))
        workflow._seen(snapshot)
        return outcome

    def _writable(self) -> Workflow:
        if self._workflow._frame is not None:
            raise TimelinesError(
                f"The body of {self._workflow._frame.name[0]!r} calls {self._name!r} of its own timeline. "
                "Say after= instead: what comes next is declared, not called."
            )
        if self._workflow._past:
            raise Refused(
                f"This is the timeline as of event {self._workflow._snapshot.head}: it is read-only.", "read_only"
            )
        return self._workflow

    def __repr__(self) -> str:
        return f"<{self._workflow!r} {self._name}: {self.status}>"


class Starter(Generic[W]):
    """What ``using(…)`` makes of a workflow class: ``start`` with options."""

    def __init__(self, workflow: type[W], options: Options) -> None:
        self._workflow = workflow
        self._options = options

    def start(self, *args: Any, **kwargs: Any) -> W:
        """Begin a timeline, or find the one that this key began."""
        return self._workflow._start(self._options, args, kwargs)  # type: ignore[attr-defined, no-any-return]


class FieldAttribute:
    """Makes a typed annotation read and write the timeline's field."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Workflow | None, owner: type[Workflow]) -> Any:
        return self if instance is None else instance._read(self.name)

    def __set__(self, instance: Workflow, value: Any) -> None:
        instance._write(self.name, value)


class TimelinesOf:
    """``Signup.timelines``: the queryset of a class's timelines."""

    def __get__(self, instance: object, owner: type[Workflow]) -> TimelineQuerySet:
        return Timeline.objects.filter(workflow=owner._declaration.label)


RESERVED = frozenset({"start", "get", "astart", "aget", "using", "pk", "timeline", "timelines", "get_absolute_url"}) | {
    *("record", "iterate", "progress", "cancel", "idempotency_key")
}


class Workflow:
    """What is done, in which order. Subclass it in your app's ``workflows.py``: fields are annotations, steps are methods."""

    timelines: ClassVar[TimelinesOf] = TimelinesOf()
    _declaration: ClassVar[Declaration]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._declaration = _declare(cls)
        registry.register(cls._declaration)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError(f"{type(self).__name__}.start(…) begins a timeline, {type(self).__name__}.get(pk) finds one.")

    # Beginning and finding

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> Self:
        """Begin a timeline: call the entry step with this input. ``Rejected`` if it says no."""
        return cls._start(Options(), args, kwargs)

    @classmethod
    async def astart(cls, *args: Any, **kwargs: Any) -> Self:
        """Begin a timeline from async code."""
        return await sync_to_async(cls.start)(*args, **kwargs)

    @classmethod
    def using(cls, *, key: str = "", actor: Any = None) -> Starter[Self]:
        """Set options of ``start``: ``key`` (the same key twice is the same timeline), ``actor``."""
        return Starter(cls, _options(Options(), key, actor))

    @classmethod
    def get(cls, pk: Any = None, *, key: str | None = None, at: int | None = None) -> Self:
        """Find a timeline by its primary key or its key; ``Unknown`` if there is none.

        ``at=7``: the same as of event 7, read-only.
        """
        timeline = _find(cls._declaration, pk, key)
        if at is None:
            return cls._of(timeline)
        return cls._of(timeline, _as_of(timeline, at))

    @classmethod
    async def aget(cls, pk: Any = None, *, key: str | None = None, at: int | None = None) -> Self:
        """Find a timeline from async code."""
        return await sync_to_async(cls.get)(pk, key=key, at=at)

    # What it is

    @property
    def pk(self) -> uuid.UUID:
        """The timeline's primary key."""
        return self._snapshot.id

    @property
    def timeline(self) -> Timeline:
        """The timeline's row, as this object last saw it."""
        if self._row is None or self._row.head != self._snapshot.head:
            self._row = Timeline.objects.using(self._snapshot.using).get(pk=self.pk)
        return self._row

    def get_absolute_url(self) -> str:
        """Return the address of the visitor's page."""
        return reverse("timelines:timeline", args=[self.pk])

    # In a body

    def record(self, event: Event) -> None:
        """Append a fact in the domain's own words, with this step's completion."""
        frame = self._in("record")
        frame.recorded.append(
            NewEvent(type(event).__name__, *frame.name, event.model_dump(mode="json"), frame.attempt, event.version)
        )

    def cancel(self, *, reason: str) -> None:
        """Cancel the timeline, with this step's completion."""
        self._in("cancel").cancel_reason = reason

    @property
    def idempotency_key(self) -> str:
        """Names timeline, step and item: give it to outside services. The same over attempts and retries."""
        return self._in("idempotency_key").idempotency_key

    # Inside

    _snapshot: Snapshot
    _row: Timeline | None
    _frame: Frame | None
    _past: bool
    _values: dict[str, Any]
    _keys: dict[str, Any]

    @classmethod
    def _start(cls, options: Options, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Self:
        return cls._from(call.start(cls._declaration, options, args, kwargs))

    @classmethod
    def _from(cls, snapshot: Snapshot) -> Self:
        self = cls.__new__(cls)
        self._snapshot, self._row, self._frame, self._past = snapshot, None, None, False
        self._values, self._keys = {}, {}
        return self

    @classmethod
    def _of(cls, timeline: Timeline, as_of: Snapshot | None = None) -> Self:
        self = cls._from(as_of or store.snapshot_of(timeline))
        self._row, self._past = timeline, as_of is not None
        return self

    @classmethod
    def _in_body(cls, frame: Frame) -> Self:
        self = cls._from(frame.snapshot)
        self._frame = frame
        return self

    def _in(self, what: str) -> Frame:
        if self._frame is None:
            raise TimelinesError(f"{what} is there in a step's body only.")
        return self._frame

    def _seen(self, snapshot: Snapshot) -> None:
        if snapshot.head != self._snapshot.head:
            self._values, self._keys = {}, {}
        self._snapshot = snapshot

    def _read(self, name: str) -> Any:
        if name not in self._values:
            fields = self._snapshot.state["fields"]
            if name not in fields:
                step = self._frame.name[0] if self._frame else "This"
                raise PermanentFailure(
                    f"{step} reads {name!r}, which no step of {self._declaration.label} has set yet."
                )
            self._values[name] = self._declaration.fields[name].decode(fields[name])
            self._keys[name] = (self._values[name], fields[name])
        return self._values[name]

    def _write(self, name: str, value: Any) -> None:
        self._in(f"Setting {name!r}")
        field = self._declaration.fields[name]
        field.check(value)
        self._values[name] = value
        if isinstance(value, Model) and value.pk is not None:
            self._keys[name] = (value, field.encode(value))

    def _changes(self) -> dict[str, Any]:
        """Return what differs, encoded, from what the body was given."""
        before = self._snapshot.state["fields"]
        after = {name: self._encoded(name, value) for name, value in self._values.items()}
        return {name: value for name, value in after.items() if name not in before or before[name] != value}

    def _encoded(self, name: str, value: Any) -> Any:
        held, encoded = self._keys.get(name, (UNSET, None))
        if isinstance(value, Model) and held is value:
            return encoded  # a row that was deleted meanwhile is still the one that the field names
        return self._declaration.fields[name].encode(value)

    def __repr__(self) -> str:
        return f"<{self._declaration.label} {self._snapshot.id} {timeline_status(self._snapshot.state)}>"


def _declare(cls: type[Workflow]) -> Declaration:
    label = registry.label_for(cls.__module__, cls.__name__)
    steps = {
        name: value for base in reversed(cls.__mro__) for name, value in vars(base).items() if isinstance(value, Step)
    }
    for name, declared in steps.items():
        _check_name(label, name)
        declared.name = name
        declared.parameters = parameters_of(
            inspect.signature(declared.body), _hints(label, declared.body), f"{label}.{name}"
        )
    fields = _fields(cls, label, steps)
    inputs = {
        name: {p.name: field_for(f"{label}.{name}", p.name, p.annotation) for p in declared.parameters}
        for name, declared in steps.items()
    }
    return Declaration(label, cls, steps, fields, inputs, graph.build(label, steps))


def _fields(cls: type[Workflow], label: str, steps: dict[str, Step[Any]]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(Workflow)]):
        for name, annotation in _hints(label, base, own=True).items():
            if name.startswith("_") or typing.get_origin(annotation) is ClassVar or annotation is ClassVar:
                continue
            _check_name(label, name)
            if name in steps:
                raise DeclarationError(f"{label}: {name!r} is a field and a step. Rename one.")
            default = vars(base).get(name, UNSET)
            if isinstance(default, FieldAttribute):
                continue
            fields[name] = _with_default(label, field_for(label, name, annotation, default))
            setattr(base, name, FieldAttribute(name))
    return fields


def _with_default(label: str, field: Field) -> Field:
    if field.is_secret:
        raise DeclarationError(
            f"{label}.{field.name} is a Secret field. Secrets are inputs of steps only: state is not encrypted."
        )
    if field.default is not UNSET:
        try:
            field.encode(field.default)
        except Exception as error:
            raise DeclarationError(
                f"{label}.{field.name}: its default {field.default!r} does not fit its type: {error}"
            ) from error
    return field


def _hints(label: str, of: Any, *, own: bool = False) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(of, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"{label}: {error}. Types of fields and parameters must be importable where the class is made."
        ) from error
    return {name: hints[name] for name in inspect.get_annotations(of)} if own else hints


def _check_name(label: str, name: str) -> None:
    if name in RESERVED:
        raise DeclarationError(
            f"{label}.{name} takes a name of ours. Ours are: {', '.join(sorted(RESERVED))}. Rename it."
        )


def _find(declaration: Declaration, pk: Any, key: str | None) -> Timeline:
    if (pk is None) == (key is None):
        raise TypeError("Give a primary key or key=…, one of them.")
    timelines = Timeline.objects.using(router.db_for_read(Timeline)).filter(workflow=declaration.label)
    try:
        wanted = {"pk": uuid.UUID(str(pk))} if key is None else {"digest": call.key_digest(declaration.label, key)}
        return timelines.get(**wanted)
    except (ValueError, Timeline.DoesNotExist):
        named = f"with the primary key {pk}" if key is None else f"with the key {key!r}"
        raise Unknown(f"There is no {declaration.label} {named}.", "unknown_timeline") from None


def _as_of(timeline: Timeline, at: int) -> Snapshot:
    if not 1 <= at <= timeline.head:
        raise Unknown(f"{timeline} has the events 1 to {timeline.head}, not {at}.", "unknown_event")
    state = fold(empty(), stored_events(timeline, at), 1)
    return replace(store.snapshot_of(timeline), head=at, state=state, status=str(timeline_status(state)))


def stored_events(timeline: Timeline, until: int) -> list[NewEvent]:
    """Read the first events of a timeline, as the fold takes them."""
    rows = (
        StoredEvent.objects.using(timeline.using).filter(timeline=timeline.id, sequence__lte=until).order_by("sequence")
    )
    return [NewEvent(*row) for row in rows.values_list("type", "step", "item", "data", "attempt", "version")]


def _actor(given: Any) -> Actor | None:
    return given if given is None or isinstance(given, Actor) else of_user(given)


def _options(options: Options, key: str, actor: Any) -> Options:
    return replace(options, key=str(key) or options.key, actor=_actor(actor) or options.actor)


class _Verbs:
    """What a timeline's row can do, done by the engine."""

    def explain(self, timeline: Timeline) -> explain.Explanation:
        return explain.explain(timeline)

    def cancel(self, timeline: Timeline, *, reason: str) -> None:
        operate.cancel(store.snapshot_of(timeline), reason)
        timeline.refresh_from_db()

    def timeline_link(self, timeline: Timeline) -> str:
        return links.for_view(timeline.id)


registry.install(_Verbs())
