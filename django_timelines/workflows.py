"""The front door: what you import to write workflows.

class Signup(Workflow):
    email: str

    @step
    def register(self, email: str): ...

    @step(after=register)
    def open_account(self): ...
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import router
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from . import links, policy, registry, store
from .bound import BoundStep, actor_of, with_options
from .declarations import declare
from .decorators import any_of, step, subworkflow
from .domain import Event
from .engine import call, erase, explain, history, operate, pause, revoke
from .engine.asked import Options
from .engine.call import started_with
from .engine.iterate import Loops, Walk, source_of
from .engine.pause import pause_all, resume_all
from .engine.renames import as_called_now
from .engine.rewind import Rewind, plan_rewind
from .engine.runner import load
from .events import NewEvent
from .exceptions import PermanentFailure, Refused, RetryAfter, Unknown
from .fields import RenamedFrom, text
from .items import waiting_keys
from .limits import Limit, type_by
from .models import Timeline, TimelineQuerySet
from .registry import Declaration
from .retries import Retry
from .runs import can_be_stored
from .schedules import schedule
from .sight import MOST_ALIKE
from .state import Outcome, StepStatus, is_damaged, revoked_at, timeline_status, waiting_steps
from .steps import SECRET, Delivery
from .store import Snapshot
from .subject import Subject

__all__ = [
    "AT_LEAST_ONCE",
    "AT_MOST_ONCE",
    "EXACTLY_ONCE",
    "BoundStep",
    "Event",
    "Limit",
    "Outcome",
    "PermanentFailure",
    "Refused",
    "RenamedFrom",
    "Retry",
    "RetryAfter",
    "Secret",
    "StepStatus",
    "Workflow",
    "any_of",
    "pause_all",
    "resume_all",
    "schedule",
    "step",
    "subworkflow",
]

EXACTLY_ONCE = Delivery.EXACTLY_ONCE
AT_LEAST_ONCE = Delivery.AT_LEAST_ONCE
AT_MOST_ONCE = Delivery.AT_MOST_ONCE

T = TypeVar("T")
W = TypeVar("W")
MESSAGE_LIMIT = 200  # characters of what a long step says of its progress

Secret = Annotated[T, SECRET]
"""``Secret[str]``: an input that is stored encrypted, only while an attempt may need it. A plain ``str`` to the body."""


class Starter(Generic[W]):
    """What ``using(…)`` makes of a workflow class: ``start`` with options."""

    def __init__(self, workflow: type[W], options: Options) -> None:
        self._workflow = workflow
        self._options = options

    @sensitive_variables()
    def start(self, *args: Any, **kwargs: Any) -> W:
        """Begin a timeline, or find the one that this key began."""
        return self._workflow._start(self._options, args, kwargs)  # type: ignore[attr-defined, no-any-return]

    @sensitive_variables()
    async def astart(self, *args: Any, **kwargs: Any) -> W:
        """Begin a timeline, or find the one that this key began, from async code."""

        @sensitive_variables()
        def begin() -> W:  # takes no arguments, so that the frames between show none
            return self.start(*args, **kwargs)

        return await sync_to_async(begin)()


class TimelinesOf:
    """``Signup.timelines``: the queryset of a class's timelines."""

    def __get__(self, instance: object, owner: type[Workflow]) -> TimelineQuerySet:
        return Timeline.objects.all().of(owner._declaration)


class Workflow(Subject):
    """What is done, in which order. Subclass it in your app's ``workflows.py``: fields are annotations, steps are methods."""

    timelines: ClassVar[TimelinesOf] = TimelinesOf()

    def __init_subclass__(
        cls,
        *,
        renamed_from: str | tuple[str, ...] = (),
        unique: type_by | None = None,
        limit: int | Limit | None = None,
        **kwargs: Any,
    ) -> None:
        """Declare the class: ``class Signup(Workflow, unique="email")``.

        ``renamed_from="accounts.Registration"``, or several, the oldest last: the timelines under those labels are its own.
        ``unique``: a field, several, or a function of the workflow object: for each value there is one timeline at a time that
        has not ended. ``limit=3``: so many attempts at any of its steps at once, over all its timelines;
        ``limit=Limit(2, per="owner")``: for each owner.
        """
        super().__init_subclass__(**kwargs)
        former = (renamed_from,) if isinstance(renamed_from, str) else tuple(renamed_from)
        inherited = getattr(cls, "_declaration", None)  # of the class that this one is made from
        if inherited is not None:
            unique = inherited.unique if unique is None else unique
            limit = inherited.limit if limit is None else limit
        cls._declaration = declare(cls, Workflow, former, unique, limit)
        registry.register(cls._declaration)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError(f"{type(self).__name__}.start(…) begins a timeline, {type(self).__name__}.get(pk) finds one.")

    # Beginning and finding

    @classmethod
    @sensitive_variables()
    def start(cls, *args: Any, **kwargs: Any) -> Self:
        """Begin a timeline: call the entry step with this input. ``Rejected`` if it says no."""
        return cls._start(Options(), args, kwargs)

    @classmethod
    @sensitive_variables()
    async def astart(cls, *args: Any, **kwargs: Any) -> Self:
        """Begin a timeline from async code."""
        return await Starter(cls, Options()).astart(*args, **kwargs)

    @classmethod
    def using(cls, *, key: str = "", actor: Any = None) -> Starter[Self]:
        """Set options of ``start``: ``key`` (the same key twice is the same timeline), ``actor``."""
        return Starter(cls, with_options(Options(), key, actor))

    @classmethod
    def get(cls, pk: Any = None, *, key: str | None = None, at: int | None = None) -> Self:
        """Find a timeline by its primary key or its key; ``Unknown`` if there is none.

        ``at=7``: the same as of event 7, read-only.
        """
        snapshot = _find(cls._declaration, pk, key)
        return cls._from(snapshot) if at is None else cls._from(_as_of(snapshot, at), past=True)

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
        """The timeline's row, as this object last saw it. To read one that went on meanwhile brings this object up to date."""
        head, row = self._current().head, self._row
        if row is None or row.head < head or (row._watch and row._watch.rolled_back):
            self._row = row = Timeline.objects.using(self._snapshot.using).get(pk=self.pk)
            if row.head > self._snapshot.head and self._frame is None and not self._past:
                self._seen(store.snapshot_of(row))
        return row

    def get_absolute_url(self) -> str:
        """Return the address of the visitor's page."""
        return reverse("timelines:timeline", args=[self.pk])

    # In a body

    def record(self, event: Event) -> None:
        """Append a fact in the domain's own words, with this step's completion; in a loop of ``iterate`` with its batch."""
        frame, data = self._in("record"), event.model_dump(mode="json")
        try:
            text(data)
        except ValidationError as error:  # the author's mistake, and no answer to whoever called
            raise TypeError(f"{type(event).__name__}: {'; '.join(error.messages)}") from None
        recorded = NewEvent(
            type(event).__name__, *frame.name[:2], data=data, attempt=frame.attempt, version=event.version
        )
        frame.recorded.append(recorded)

    def iterate(self, items: Iterable[T], batch: int = 100) -> Walk[T]:
        """Walk over many items, and commit batch by batch: the writes, fields and facts of the items with the cursor.

        After a crash, a failure or a stop the body begins again and the walk goes on at its cursor. An exactly-once step then
        does at most a batch again, which had rolled back; another kind may do a batch twice. Fields are what they were at the
        cursor. What the body does before, between and after its loops it does again: let that be harmless, or make it a step
        of its own.

        A queryset is walked by primary key, whatever its order; any other iterable is read again up to the cursor. If it is
        not what it was, ``CursorLost`` blocks the step. A batch ends after ``batch`` items or a second. Between two items the
        step stops when its worker ends, or its timeline is paused or cancelled. A failure after a batch uses up no attempt.

        Inside a transaction of the caller's, batches are savepoints of it.
        """
        frame = self._in("iterate")
        if batch < 1:
            raise TypeError(f"iterate(batch={batch!r}): a whole number of items, 1 at least.")
        if frame.loops is None:
            assert frame.batches is not None
            frame.loops = Loops(frame.batches)
        return Walk(self, frame, frame.loops, source_of(items, batch), batch)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Let pages show how far the body is, with rate and time left; call it as often as you like.

        It is noted now and then, beside the body's transaction, and commits nothing of that (not on SQLite, nor in a transaction
        that keeps a snapshot, where it is seen with the next batch of ``iterate``). In a loop of ``iterate`` it takes the place
        of the count of items.
        """
        batches = self._in("progress").batches
        for name, number in (("done", done), ("total", total)):
            if number is not None and not 0 <= number < math.inf:
                raise TypeError(f"progress({name}={number!r}): a number, 0 at least.")
        try:
            text([message])
        except ValidationError as error:
            raise TypeError(f"progress(message=…): {'; '.join(error.messages)}") from None
        if batches is not None:
            batches.tell(done, total, str(message)[:MESSAGE_LIMIT])

    def cancel(self, *, reason: str, compensate: bool = False) -> None:
        """Cancel the timeline, with this step's completion. ``compensate``: then undo what completed, the last first."""
        self._in("cancel").cancel = (reason, compensate)

    @property
    def idempotency_key(self) -> str:
        """Names timeline, step, item and round: give it to outside services. The same over attempts and retries, and whatever
        the step is called by then.
        """
        return self._in("idempotency_key").idempotency_key

    @classmethod
    @sensitive_variables()
    def _start(cls, options: Options, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Self:
        return cls._from(call.start(cls._declaration, options, args, kwargs))


def _find(declaration: Declaration, pk: Any, key: str | None) -> Snapshot:
    if (pk is None) == (key is None):
        raise TypeError("Give a primary key or key=…, one of them.")
    found = None
    using = router.db_for_write(Timeline)
    if key is not None and can_be_stored(str(key)):
        found = started_with(declaration, key, using)
    elif key is None:
        with suppress(ValueError):  # what is no UUID names nothing
            found = store.find(using, {"id": uuid.UUID(str(pk))})
    if found is None or found.workflow not in declaration.names:
        named = f"with the primary key {pk}" if key is None else f"with the key {key!r}"
        raise Unknown(f"There is no {declaration.label} {named}.", "unknown_timeline")
    return found


def _as_of(now: Snapshot, at: int) -> Snapshot:
    if not 1 <= at <= now.head:
        raise Unknown(f"{now.workflow} {now.id} has the events 1 to {now.head}, not {at}.", "unknown_event")
    state = history.state_at(now.id, now.using, at)
    state |= {"erased": True} if now.state.get("erased") else {}
    return replace(now, head=at, state=state, status=str(timeline_status(state)))


class _Verbs:
    """What a timeline's row can do, done by the engine."""

    def explain(self, timeline: Timeline) -> explain.Explanation:
        return explain.explain(timeline)

    def cancel(self, timeline: Timeline, *, reason: str, compensate: bool, actor: Any) -> None:
        operate.cancel(store.snapshot_of(timeline), reason, actor_of(actor), compensate=compensate)
        timeline.refresh_from_db()

    def rewind(self, timeline: Timeline, *, to: str, reason: str, undo: bool, actor: Any) -> None:
        operate.rewind(store.snapshot_of(timeline), to, reason, actor_of(actor), undo=undo)
        timeline.refresh_from_db()

    def preview_rewind(self, timeline: Timeline, *, to: str, undo: bool) -> Rewind:
        now = load(timeline.id, timeline.using, whole=True)
        declaration = registry.get(now.workflow)
        return plan_rewind(declaration, as_called_now(declaration, now), to, undo=undo)

    def amend(self, timeline: Timeline, *, reason: str, fields: dict[str, Any], actor: Any) -> None:
        operate.amend(store.snapshot_of(timeline), reason, fields, actor_of(actor))
        timeline.refresh_from_db()

    def pause(self, timeline: Timeline, *, reason: str, actor: Any) -> None:
        pause.pause(store.snapshot_of(timeline), reason, actor_of(actor))
        timeline.refresh_from_db()

    def resume(self, timeline: Timeline, *, reason: str, actor: Any) -> None:
        pause.resume(store.snapshot_of(timeline), reason, actor_of(actor))
        timeline.refresh_from_db()

    def timeline_link(self, timeline: Timeline) -> str:
        return links.for_view(links.ViewLink(timeline.id, revoked_at(timeline.state)))

    def revoke_links(self, timeline: Timeline, *, reason: str, actor: Any) -> None:
        revoke.revoke_links(store.snapshot_of(timeline), reason, actor_of(actor))
        timeline.refresh_from_db()

    def waits_for(self, timeline: Timeline, user: Any) -> bool:
        if is_damaged(timeline.state):  # it keeps the others from nobody's list
            return False
        steps = waiting_steps(timeline.state)
        keys = [key for step in steps for key in waiting_keys(timeline, step, MOST_ALIKE, str(user.pk))]
        return any(policy.is_for(timeline, run, user) for run in keys)

    def erase(self, timeline: Timeline, *, reason: str, actor: Any) -> None:
        erase.erase(store.snapshot_of(timeline), reason, actor_of(actor))
        timeline.refresh_from_db()


registry.install(_Verbs())
