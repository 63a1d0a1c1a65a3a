"""Steps as they are called: on the objects of a workflow, from anywhere."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, ParamSpec

from asgiref.sync import sync_to_async
from django.db.models import Model
from django.views.decorators.debug import sensitive_variables

from . import links
from .actors import Actor, of_user
from .engine import assign as giving
from .engine import call, judge, operate, revoke, wait
from .engine.asked import Options
from .engine.assignee import user_who_has
from .engine.links import call_link
from .exceptions import Refused, TimelinesError
from .models import Timeline
from .state import Outcome, RunName, StepStatus, run_key, step_status
from .subject import Subject

P = ParamSpec("P")


class BoundStep(Generic[P]):
    """A step of one timeline: call it like a method, from anywhere."""

    do_not_call_in_templates = True  # {{ signup.activate.status }} looks at the step: a template calls what it can

    def __init__(
        self, workflow: Subject, name: str, item: str = "", round: int = 0, options: Options | None = None
    ) -> None:
        self._workflow = workflow
        self._name = name
        self._item = item
        self._run = RunName(workflow._declaration.known_as(name, workflow._snapshot.state), item, round)
        self._options = options or Options()

    @sensitive_variables()
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        """Ask for the step; return the outcome. ``Refused`` if the call is wrong, ``Rejected`` if the input is."""
        workflow = self._writable()
        outcome, snapshot = call.call(
            workflow._declaration, workflow._current(), self._run, self._options, args, kwargs
        )
        workflow._seen(snapshot)
        return outcome

    @sensitive_variables()
    async def acall(self, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        """Ask for the step from async code."""

        @sensitive_variables()
        def ask() -> Outcome:  # takes no arguments, so that the frames between show none
            return self(*args, **kwargs)

        return await sync_to_async(ask)()

    def __getitem__(self, item: Any) -> BoundStep[P]:
        """Return the run of one item of a step with ``each=``: by its key, or the row that is the item."""
        key = str(item.pk if isinstance(item, Model) else item)
        if self._item or (
            hasattr(BoundStep, key) and not self._workflow._run(RunName(self._name, key, self._run.round))
        ):
            raise KeyError(key)  # of {{ bar.make.status }} a template looks for an item first
        return BoundStep(self._workflow, self._name, key, self._run.round, self._options)

    def using(self, *, key: str = "", actor: Any = None, round: int = 0) -> BoundStep[P]:
        """Set options of the call: ``key`` (the same key has one effect and one answer), ``actor`` (a user or an ``Actor``).

        ``round``: the run meant is that of an earlier round, which goes on beside the current one.
        """
        current = self._workflow._snapshot.state.get("rounds", {}).get(self._name, 1)
        earlier = self._run.round if not round else round if round != current else 0
        return BoundStep(self._workflow, self._name, self._item, earlier, with_options(self._options, key, actor))

    @property
    def child(self) -> Any:
        """The workflow object of the timeline that this step began, as it stands now; None if it has begun none."""
        run: dict[str, Any] = self._workflow._run(self._run)
        found = (
            Timeline.objects.using(self._workflow._snapshot.using).filter(pk=run.get("child", uuid.UUID(int=0))).first()
        )
        return found.subject if found else None

    @property
    def status(self) -> StepStatus:
        """Where the step stands, as this object last saw it. Calls and ``wait()`` look again."""
        self._workflow._run(self._run)
        if self._run.round:
            judge.check_item(self._workflow._declaration, self._workflow._snapshot.state, self._run)
        return step_status(self._workflow._snapshot.state, *self._run)

    def wait(self, timeout: float = 10) -> Outcome:
        """Wait at most ``timeout`` seconds until the step is settled, blocked or waits for a person; return where it stands.

        Raises ``Rejected`` if its body said no to the input. Inside a transaction of yours it returns at once.
        """
        outcome, snapshot = wait.wait(self._workflow._current(), self._run, timeout)
        self._workflow._seen(snapshot)
        return outcome

    async def await_outcome(self, timeout: float = 10) -> Outcome:
        """Wait from async code, as ``wait()`` does. It holds no thread meanwhile."""
        current = await sync_to_async(self._workflow._current)()
        outcome, snapshot = await wait.await_outcome(current, self._run, timeout)
        # in the thread that has the caller's transaction, if there is one
        await sync_to_async(self._workflow._seen)(snapshot)
        return outcome

    def link(self) -> str:
        """Return the absolute, signed address at which its holder calls the step, once, until its ``within=``."""
        if self._workflow._frame is not None:  # from then on it is its holder who may call the step
            self._workflow._frame.links.add(run_key(self._name, self._item))
        now = self._workflow._current()
        return links.for_call(call_link(self._workflow._declaration, now.state, now.id, self._name, self._item))

    def revoke_links(self, *, reason: str, actor: Any = None) -> None:
        """Let no link to the step be good that was made by now. A new ``link()`` is."""
        workflow = self._writable()
        name = RunName(self._name, self._item)
        workflow._seen(revoke.revoke_links(workflow._snapshot, reason, actor_of(actor), name))

    async def arevoke_links(self, *, reason: str, actor: Any = None) -> None:
        """Revoke them from async code."""
        await sync_to_async(self.revoke_links)(reason=reason, actor=actor)

    def assign(self, user: Any, *, reason: str = "", actor: Any = None) -> None:
        """Give the step, which waits, to this user, or with ``None`` back to all who may call it.

        Links that were made before are revoked with it. In a body it takes effect with the body's completion, if the step waits
        still.
        """
        name, frame = RunName(self._name, self._item), self._workflow._frame
        if frame is not None:
            frame.given.append(giving.prepared(self._workflow, name, user, reason))
            return
        workflow = self._writable()
        workflow._seen(giving.assign(workflow._snapshot, name, user, actor_of(actor), reason))

    async def aassign(self, user: Any, *, reason: str = "", actor: Any = None) -> None:
        """Give it to somebody from async code."""
        await sync_to_async(self.assign)(user, reason=reason, actor=actor)

    @property
    def assigned(self) -> Any:
        """The user who has the step, as this object last saw it; None if nobody in particular has it, or they are gone."""
        return user_who_has(self._workflow._run(self._run))

    def retry(self, *, reason: str = "", actor: Any = None, force: bool = False) -> Outcome:
        """Try a blocked step again, or one that waits for its next attempt, now.

        ``force``: also over an attempt that is being executed, which is superseded: what it comes to is recorded, never applied.
        """
        workflow = self._writable()
        outcome, snapshot = operate.retry(workflow._snapshot, self._run, actor_of(actor), reason, force=force)
        workflow._seen(snapshot)
        return outcome

    async def aretry(self, *, reason: str = "", actor: Any = None, force: bool = False) -> Outcome:
        """Try it again from async code."""
        return await sync_to_async(self.retry)(reason=reason, actor=actor, force=force)

    def skip(
        self, fields: Mapping[str, Any] | None = None, /, *, reason: str, actor: Any = None, **more: Any
    ) -> Outcome:
        """Go past the step, setting the fields that it would have set. It counts as done.

        ``charge.skip(reason="paid in cash", reference="till 4")``. Fields of any name go in a mapping before them, as for
        ``dict``: ``charge.skip({"reason": "a gift"}, reason="paid in cash")``.
        """
        workflow = self._writable()
        changes = {**(fields or {}), **more}
        outcome, snapshot = operate.skip(workflow._snapshot, self._run, reason, changes, actor_of(actor))
        workflow._seen(snapshot)
        return outcome

    async def askip(
        self, fields: Mapping[str, Any] | None = None, /, *, reason: str, actor: Any = None, **more: Any
    ) -> Outcome:
        """Go past it from async code."""
        return await sync_to_async(self.skip)(fields, reason=reason, actor=actor, **more)

    acall.alters_data = True  # type: ignore[attr-defined]
    retry.alters_data = True  # type: ignore[attr-defined]
    aretry.alters_data = True  # type: ignore[attr-defined]
    skip.alters_data = True  # type: ignore[attr-defined]
    askip.alters_data = True  # type: ignore[attr-defined]
    assign.alters_data = True  # type: ignore[attr-defined]
    aassign.alters_data = True  # type: ignore[attr-defined]
    revoke_links.alters_data = True  # type: ignore[attr-defined]
    arevoke_links.alters_data = True  # type: ignore[attr-defined]

    def _writable(self) -> Subject:
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

    __iter__ = None  # or Python would make an endless list of items

    def __repr__(self) -> str:
        self._workflow._run(self._run)  # of an item that was not read, too
        return f"<{self._workflow!r} {run_key(*self._run)}: {step_status(self._workflow._snapshot.state, *self._run)}>"


def actor_of(given: Any) -> Actor | None:
    """Return the actor that a caller named: a user, an ``Actor``, or nobody."""
    if given is None or isinstance(given, Actor):
        return given
    if not hasattr(given, "is_authenticated"):
        raise TypeError(f"actor={given!r}: give a user, or an Actor.")
    return of_user(given)


def with_options(options: Options, key: Any, actor: Any) -> Options:
    """Return the options with these set too."""
    key = "" if key is None else str(key)
    return replace(options, key=key or options.key, actor=actor_of(actor) or options.actor)
