"""What has happened before a story begins, written as the events that would have said so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import router

from .. import moments, store
from ..actors import Actor, ActorType
from ..engine.advance import advance
from ..engine.advanced import By
from ..engine.body import Timed, run_body
from ..engine.claim import item_of
from ..engine.failure import gave_up
from ..engine.unique import see_who_has
from ..events import EventType, NewEvent
from ..exceptions import TimelinesError, ValueTaken
from ..graph import Node
from ..models import Timeline, new_id
from ..registry import Declaration
from ..state import RunName, empty, is_open, items_of
from ..store import Snapshot
from .due import questions

BY = By(Actor(ActorType.SYSTEM, label="given"))
_ERROR = {"type": "Exception", "message": "It failed, in a test's past.", "traceback": ""}


class Past:
    """A timeline that is being brought to where a test wants it. No body runs and no bell rings."""

    def __init__(self, declaration: Declaration, snapshot: Snapshot) -> None:
        self.declaration = declaration
        self.snapshot = snapshot
        self._to_set: dict[str, Any] = {}

    @classmethod
    def begin(cls, declaration: Declaration, fields: Mapping[str, Any]) -> Self:
        """Begin a timeline with these fields, which stands at its entry step."""
        id, using = new_id(), router.db_for_write(Timeline)
        past = cls(declaration, Snapshot(id, declaration.label, using, 0, "", empty(), id))
        begun = NewEvent(EventType.TIMELINE_STARTED, data={"fields": declaration.defaults() | past._encoded(fields)})
        past._append([begun, *declaration.graph.reach(declaration.graph.entry, empty(), moments.now())])
        return past

    def with_fields(self, fields: Mapping[str, Any]) -> Self:
        """Let these fields be set by what is settled next."""
        self._to_set |= self._encoded(fields)
        return self

    def complete(self, step: str) -> None:
        """Let a step have been done, for all its items if it has some."""
        changes, self._to_set = self._to_set, {}
        while True:
            attempt = self._attempt(step)
            items = [item for item, run in items_of(self.snapshot.state, step).items() if is_open(run)] or [""]
            done = {"changes": {} if items[1:] else changes}
            started = NewEvent(EventType.ATTEMPT_STARTED, step, items[0], attempt=attempt)
            self._append([started, NewEvent(EventType.STEP_COMPLETED, step, items[0], 0, done, attempt)])
            if not self._is_open(step):
                return

    def give_up(self, step: str) -> None:
        """Let a step have failed, for all its items if it has some."""
        attempt = self._attempt(step)
        for item in self._items(step):
            started = NewEvent(EventType.ATTEMPT_STARTED, step, item, attempt=attempt)
            failure = NewEvent(EventType.ATTEMPT_FAILED, step, item, data={"error": _ERROR}, attempt=attempt)
            ending = gave_up(self.declaration, self.snapshot.state, RunName(step, item), "failed", _ERROR)
            self._append([started, failure, ending])

    def run_out(self, step: str) -> None:
        """Let a step's time have run out, for all its items if it has some."""
        self._attempt(step)
        if self.declaration.step(step).within is None:
            raise TimelinesError(f"{step!r} is never overdue: it has no within=.")
        final = self.declaration.graph.lets_run_late(step)
        for item in self._items(step):
            self._append([NewEvent(EventType.STEP_OVERDUE, step, item, data={"final": True} if final else {})])

    def lead_to(self, step: str) -> None:
        """Let what comes before this step be settled, so that it is reached."""
        node = self.declaration.graph.nodes.get(self.declaration.step(step).name)
        if node is None:
            raise TimelinesError(f"{step!r} undoes a step, or reminds of one: lead to that one.")
        self._settle_before(node)
        if not self._is_open(step):
            raise TimelinesError(f"This past does not lead to {step!r}: the timeline went another way before.")

    def _settle_before(self, node: Node) -> None:
        for one in node.after if node.joins == "all" else node.after[:1]:
            before = self.declaration.graph.nodes[one.step]
            if self._is_settled(before):
                continue
            self._settle_before(before)
            if self._is_open(before.name):  # one whose list is empty is settled as it is reached
                settle = {"failed": self.give_up, "overdue": self.run_out}.get(one.outcome)
                (settle or self.complete)(before.name)

    def ask(self) -> None:
        """Ask the functions that tell when a step is due, and who gets it. One that cannot tell yet is asked by an attempt."""
        for run in questions(self.declaration, self.snapshot):
            name, attempt = RunName(run.step, run.item), run.attempt + 1
            given = item_of(self.declaration, self.snapshot, name)
            answer = run_body(self.declaration, self.snapshot, name, attempt, given)
            if isinstance(answer, Timed):
                started = NewEvent(EventType.ATTEMPT_STARTED, *name, attempt=attempt)
                self._append([started, NewEvent(EventType.STEP_DUE, *name, data=answer.said, attempt=attempt)])

    def _items(self, step: str) -> Iterator[str]:
        """Yield the items that are open, one after the other as long as the step is; without items the step itself."""
        been: set[str] = set()
        while self._is_open(step):
            items = items_of(self.snapshot.state, step)
            left = [item for item, run in items.items() if is_open(run) and item not in been]
            if items and not left:
                return
            been.add(left[0] if items else "")
            yield left[0] if items else ""
            if not items:
                return

    def check_all_is_set(self) -> None:
        """See that something happened that set the fields that were named."""
        if self._to_set:
            named = ", ".join(self._to_set)
            raise TimelinesError(f"No step was done that could have set {named}. Set them with given(…, {named}=…).")

    def _is_settled(self, node: Node) -> bool:
        run = self.snapshot.state["runs"].get(node.name)
        return run is not None and run["status"] != "upcoming" and not is_open(run)

    def _is_open(self, step: str) -> bool:
        run = self.snapshot.state["runs"].get(step)
        return run is not None and is_open(run)

    def _attempt(self, step: str) -> int:
        """Return the number of the attempt that a step is at, if it can have been executed by now."""
        self.declaration.step(step)
        if not self._is_open(step):
            open_now = [key for key, run in self.snapshot.state["runs"].items() if is_open(run)]
            raise TimelinesError(
                f"{step!r} cannot have been settled here: open are {', '.join(open_now) or 'none'}. "
                f"Name what comes before it, or say upto({step!r})."
            )
        return int(self.snapshot.state["runs"][step].get("attempt") or 0) + 1

    def _encoded(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        known = self.declaration.fields
        if unknown := [name for name in fields if name not in known]:
            raise TypeError(f"{self.declaration.label} has no field {unknown[0]!r}. It has {', '.join(known)}.")
        return {name: self._encode(name, value) for name, value in fields.items()}

    def _encode(self, name: str, value: Any) -> Any:
        try:
            return self.declaration.fields[name].encode(value)
        except ValidationError as error:
            raise TypeError(f"{self.declaration.label}.{name} cannot take that: {'; '.join(error.messages)}") from None

    def _append(self, events: Sequence[NewEvent]) -> None:
        result = advance(self.declaration, self.snapshot, events, BY)
        try:
            store.commit(result.change)
        except ValueTaken as taken:
            see_who_has(taken, self.snapshot.using)
            raise
        self.snapshot = result.after
