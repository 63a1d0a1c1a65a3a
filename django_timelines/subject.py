"""The object that stands for one timeline: to callers a view of its state, to a body its ``self``."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.db.models import Model

from . import store
from .engine.body import Frame
from .engine.history import state_at
from .engine.runner import knowing, load
from .exceptions import Conflict, FieldUnset, TimelinesError
from .fields import UNSET, text
from .items import with_names
from .models import Timeline
from .references import has_key, keys_in, type_keys, with_keys
from .registry import Declaration
from .rollbacks import RollbackWatch, watch_over
from .state import RunName, run_key, timeline_status, type_run
from .store import Snapshot


class Subject:
    """What ``Workflow`` stands on: reading and writing fields, and what a body changed. All its names begin with ``_``."""

    _declaration: ClassVar[Declaration]
    _snapshot: Snapshot
    _watch: RollbackWatch
    _row: Timeline | None
    _frame: Frame | None
    _past: bool
    _values: dict[str, Any]
    _keys: dict[str, type_keys]

    @classmethod
    def _from(cls, snapshot: Snapshot, *, past: bool = False) -> Self:
        self = cls.__new__(cls)
        self._snapshot, self._row, self._frame, self._past = snapshot, None, None, past
        self._values, self._keys = {}, {}
        self._watch = watch_over(snapshot.using)
        return self

    @classmethod
    def _of(cls, timeline: Timeline) -> Self:
        self = cls._from(store.snapshot_of(timeline))
        self._row = timeline
        self._watch = timeline._watch or self._watch
        return self

    @classmethod
    def _in_body(cls, frame: Frame) -> Self:
        self = cls._from(frame.snapshot)
        self._frame = frame
        return self

    def _in(self, what: str) -> Frame:
        if self._frame is None:
            raise TimelinesError(f"{what} works only in a step's body.")
        return self._frame

    @property
    def _is_behind(self) -> bool:
        """Tell whether the timeline is newer code's: see ``Declaration.is_behind``."""
        return self._declaration.is_behind(self._snapshot.state)

    def _seen(self, snapshot: Snapshot) -> None:
        if snapshot.head != self._snapshot.head:
            self._values, self._keys = {}, {}
        self._snapshot, self._watch = snapshot, watch_over(snapshot.using)

    def _current(self) -> Snapshot:
        """Return what a call or ``wait()`` begins from: what this object knows, read again if a rollback has taken that back."""
        if self._watch.rolled_back and self._frame is None and not self._past:
            self._seen(load(self._snapshot.id, self._snapshot.using))
            self._row, self._values, self._keys = None, {}, {}
        return self._snapshot

    def _run(self, name: RunName) -> type_run:
        """Return what this object knows of a run. For an item that it has not read yet it looks again."""
        if self._snapshot.state["runs"].lacks(run_key(*name)):
            if self._frame is None:
                self._seen(knowing(self._current(), name))
            else:
                self._snapshot = _as_it_was(self._snapshot, name)
        run: type_run = self._snapshot.state["runs"].get(run_key(*name), {})
        return run

    def _read(self, name: str) -> Any:
        if name not in self._values:
            fields, field = self._snapshot.state["fields"] | self._kept, self._declaration.fields[name]
            if self._snapshot.state.get("erased"):
                raise FieldUnset(f"{name!r} of this {self._declaration.label} was erased.")
            encoded = field.stored_in(fields)
            if encoded is UNSET:
                reader = self._frame.name[0] if self._frame else "This"
                raise FieldUnset(f"{reader} reads {name!r}, which no step of {self._declaration.label} has set yet.")
            value = self._values[name] = field.decode(encoded)
            self._keys[name] = {id(value): (value, encoded)} if isinstance(value, Model) else keys_in(value, {})
        return self._values[name]

    def _write(self, name: str, value: Any) -> None:
        self._in(f"Setting {name!r}")
        field = self._declaration.fields[name]
        try:
            field.check(value)
        except ValidationError as error:  # the author's mistake, and no answer to whoever called
            raise TypeError(f"{self._declaration.label}.{name} cannot take that: {'; '.join(error.messages)}") from None
        self._values[name] = value
        if isinstance(value, Model) and has_key(value):
            self._keys[name] = {id(value): (value, field.encode(value))}
        else:
            self._keys[name] = keys_in(value, self._keys.get(name, {}))

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            label, near = self._declaration.label, difflib.get_close_matches(name, self._declaration.fields, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise AttributeError(f"{label} has no field {name!r}.{hint} Declare it: {name}: str, say.")
        super().__setattr__(name, value)

    def _changes(self) -> dict[str, Any]:
        """Return what differs, encoded, from what the body was given."""
        before = self._snapshot.state["fields"]
        after = self._kept | {name: self._encoded(name, value) for name, value in self._values.items()}
        fields = self._declaration.fields
        changes = {name: value for name, value in after.items() if not fields[name].is_same(value, self._given(name))}
        if changes:
            text({**before, **changes})
        return changes

    def _go_back_to(self, kept: dict[str, Any]) -> None:
        """Let the fields be what they were at a cursor, whatever the body has done to them since it began again."""
        state = self._snapshot.state
        now = {self._declaration.field_now_called(name, state): value for name, value in kept.items()}
        self._in("A cursor").kept = {name: now[name] for name in now if name in self._declaration.fields}
        self._values, self._keys = {}, {}

    @property
    def _kept(self) -> dict[str, Any]:
        return self._frame.kept if self._frame is not None else {}

    def _given(self, name: str) -> Any:
        """Return what the body was given, encoded. A field that is newer than the timeline has its default."""
        return self._declaration.fields[name].stored_in(self._snapshot.state["fields"])

    def _encoded(self, name: str, value: Any) -> Any:
        keys = self._keys.get(name, {})  # a row that was deleted meanwhile is still the one that the field names
        if isinstance(value, Model) and id(value) in keys:
            return keys[id(value)][1]
        gone = {at: known for at, known in keys.items() if known[0].pk is None}
        return self._declaration.fields[name].encode(with_keys(value, gone) if gone else value)

    def __repr__(self) -> str:
        return f"<{self._declaration.label} {self._snapshot.id} {timeline_status(self._snapshot.state)}>"


def _as_it_was(snapshot: Snapshot, name: RunName) -> Snapshot:
    """Return the timeline with this run as a body sees it: as of its claim, whatever has happened since."""
    try:
        return with_names(snapshot, [name])
    except Conflict:
        then = state_at(snapshot.id, snapshot.using, snapshot.head, fresh=True)
        return replace(snapshot, state={**snapshot.state, "runs": then["runs"]})


class FieldAttribute:
    """Makes a typed annotation read and write the timeline's field."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Subject | None, owner: type[Subject]) -> Any:
        return self if instance is None else instance._read(self.name)

    def __set__(self, instance: Subject, value: Any) -> None:
        instance._write(self.name, value)
