"""What is stored in the state itself, and what lies beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NoReturn
from uuid import UUID

from ..exceptions import StateDamaged
from ..runs import Runs, item_step, split_key, type_run
from .statuses import StepStatus

type_state = dict[str, Any]
type_changed = tuple[str, type_run | None, type_run | None]  # a run's key, and how it was and is


_STATUSES = frozenset(map(str, StepStatus))


class Damaged(type_state):
    """What was stored as a state and is none. Whatever it is asked for, it raises ``StateDamaged``, which names its timeline."""

    timeline = UUID(int=0)

    def _refuse(self, *_asked: Any) -> NoReturn:
        raise StateDamaged(self.timeline)

    __contains__ = __getitem__ = __iter__ = __or__ = __ror__ = __setitem__ = _refuse
    copy = get = items = keys = pop = setdefault = update = values = _refuse  # type: ignore[assignment]


def loaded(stored: Any) -> type_state:
    """Return a state as it was stored, without the runs that lie beside it: what asks for these is told so."""
    runs = stored.get("runs") if isinstance(stored, dict) else None
    if not isinstance(runs, dict) or not all(map(_is_run, runs.values())):
        return Damaged()
    return {**stored, "runs": Runs(runs, steps_with_items(runs))}


def _is_run(run: Any) -> bool:
    return isinstance(run, dict) and run.get("status") in _STATUSES and isinstance(run.get("fence"), int)


def steps_with_items(runs: Mapping[str, type_run]) -> list[str]:
    """Return the steps of which runs of items lie beside the state: also calls that are kept for what is no item of them."""
    return [step for step, run in runs.items() if any(run.get("each", {}).values())]


def with_fields(state: type_state, fields: Any, timeline: UUID) -> type_state:
    """Return the state that was loaded of this timeline with its fields, which are a column of their own."""
    if isinstance(fields, dict) and not isinstance(state, Damaged):
        return {**state, "fields": fields}
    damaged = Damaged()
    damaged.timeline = timeline
    return damaged


def is_damaged(state: type_state) -> bool:
    """Tell whether what was stored is no state, so that whoever asks it for anything is refused."""
    return isinstance(state, Damaged)


def stored(state: type_state) -> type_state:
    """Return a state as it is stored: without what lies beside it, the fields and the runs of items."""
    rest = {name: value for name, value in state.items() if name != "fields"}
    return rest | {"runs": dict(in_state(state))}


def lies_beside(runs: Runs, key: str) -> bool:
    """Tell whether this is the run of an item of a step that was reached. It is stored in a row of its own."""
    step = item_step(key)
    return bool(step) and "each" in dict.get(runs, step, ())


def in_state(state: type_state) -> Iterator[tuple[str, type_run]]:
    """Yield the runs that do not lie beside the state, by key."""
    runs: Runs = state["runs"]
    return ((key, run) for key, run in runs.here().items() if not lies_beside(runs, key))


def changed(before: type_state, after: type_state) -> Iterator[type_changed]:
    """Yield the runs that a fold has changed: the key, the run before and the run after it."""
    old, new = before["runs"].here(), after["runs"].here()
    yield from ((key, run, None) for key, run in old.items() if key not in new)
    yield from ((key, old.get(key), run) for key, run in new.items() if old.get(key) is not run)


def keys_of(state: type_state, steps: Collection[str]) -> list[str]:
    """Return the keys of all runs of these steps."""
    runs: Runs = state["runs"]
    for step in steps:
        runs.of(step)  # all of them are here
    return [key for key in runs.here() if split_key(key)[0] in steps]
