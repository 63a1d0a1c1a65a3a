"""The runs of a timeline in memory: those of steps all of them, of those of items as many as somebody needs.

A step may have thousands of items. Their runs lie beside the timeline's row, so that a commit reads and writes only those that
it touches. What asks for one that was left out is told so, by ``ItemsNotLoaded``: nothing works on a part unawares.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from typing import Any, NamedTuple

from .exceptions import ItemsNotLoaded

type_run = dict[str, Any]
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


class RunName(NamedTuple):
    """Which run of a timeline is meant. ``round``: the earlier one that it belongs to; 0: the current one."""

    step: str
    item: str = ""
    round: int = 0


def run_key(step: str, item: str = "", round: int = 0) -> str:
    """Write a run's name: ``"make"``, ``"make[latte#2]"`` for an item, ``"make[latte#2]@1"`` for one of an earlier round."""
    key = f"{step}[{item}]" if item else step
    return f"{key}@{round}" if round else key


def split_key(key: str) -> RunName:
    """Read what ``run_key`` wrote."""
    head, _at, number = key.rpartition("@")
    round = int(number) if head and number.isdecimal() and len(number) < 10 else 0
    step, bracket, item = (head if round else key).partition("[")
    return RunName(step, item.removesuffix("]") if bracket else "", round)


def can_be_stored(text: str) -> bool:
    """Tell whether a database could hold this: no NUL, no lone surrogate. What it cannot is the name of nothing."""
    return _NO_TEXT.search(text) is None


def item_step(key: str) -> str:
    """Return the step of which this is the run of an item in the current round; empty if it is none."""
    step, bracket, _item = key.partition("[")
    return step if bracket and key.endswith("]") else ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Runs of items that are to be read: those of these keys; of a step all, or so many from an index of its list on; or of
    some steps the one that completed last, after one event and before another.
    """

    keys: frozenset[str] = frozenset()
    step: str = ""
    first: int | None = None
    count: int = 0
    of: frozenset[str] = frozenset()
    after: int = 0
    before: int = 0

    def __str__(self) -> str:
        return ", ".join(sorted(self.keys)) or f"the items of {', '.join(sorted(self.of)) or self.step}"


class Runs(dict[str, type_run]):
    """Runs by key. ``left_out`` names the steps of whose items not all are here; ``known`` the keys that were looked for.

    ``since``: of some steps all items are here that completed from this event on and are not undone.
    """

    __slots__ = ("known", "left_out", "since")

    def __init__(
        self,
        runs: Mapping[str, type_run] | Iterable[tuple[str, type_run]] = (),
        left_out: Iterable[str] = (),
        known: Iterable[str] = (),
        since: tuple[frozenset[str], int] | None = None,
    ) -> None:
        super().__init__(runs)
        self.left_out = frozenset(left_out)
        self.known = frozenset(known)
        self.since = since

    def copy(self) -> Runs:
        """Return another one with the same runs."""
        return Runs(self.here(), self.left_out, self.known, self.since)

    def here(self) -> dict[str, type_run]:
        """Return the runs that are here, which may be a part of them: for what works run by run."""
        return dict(dict.items(self))

    def of(self, step: str) -> dict[str, type_run]:
        """Return the runs of a step's items, by item, in the order of the list."""
        if step in self.left_out:
            raise ItemsNotLoaded(Wanted(step=step))
        return self._sorted(step)

    def from_index(self, step: str, first: int, count: int) -> dict[str, type_run]:
        """Return as many runs of a step's items from this index on."""
        found = [
            (item, run) for item, run in self._sorted(step).items() if first <= run.get("index", -1) < first + count
        ]
        if len(found) < count and step in self.left_out:
            raise ItemsNotLoaded(Wanted(step=step, first=first, count=count))
        return dict(found)

    def lacks_before(self, steps: frozenset[str], before: int) -> int:
        """Return from which event on all items of these steps are here that completed and are not undone; at most ``before``."""
        if steps.isdisjoint(self.left_out):
            return 0
        return min(self.since[1], before) if self.since and self.since[0] == steps else before

    def lacks(self, key: str) -> bool:
        """Tell whether it is unknown if there is such a run."""
        return (
            bool(self.left_out)
            and key not in self.known
            and not dict.__contains__(self, key)
            and self._is_left_out(key)
        )

    def with_these(self, runs: Mapping[str, type_run], wanted: Wanted) -> Runs:
        """Return the same with runs that were read. Those that were here stay: they may be newer."""
        whole = {wanted.step} if wanted.step and wanted.first is None else set()
        since = self.since
        if wanted.of:
            since = wanted.of, min((run["fence"] for run in runs.values()), default=wanted.after + 1)
        return Runs({**runs, **self.here()}, self.left_out - whole, self.known | wanted.keys, since)

    def _sorted(self, step: str) -> dict[str, type_run]:
        found = [(split_key(key).item, run) for key, run in dict.items(self) if item_step(key) == step]
        return dict(sorted(found, key=lambda pair: _index(pair[1])))

    def _is_left_out(self, key: str) -> bool:
        return item_step(key) in self.left_out and can_be_stored(key)

    def _check(self, key: str) -> None:
        if self.left_out and key not in self.known and self._is_left_out(key):
            raise ItemsNotLoaded(Wanted(frozenset({key})))

    def _check_whole(self) -> None:
        for step in self.left_out:
            raise ItemsNotLoaded(Wanted(step=step))

    def __missing__(self, key: str) -> type_run:
        self._check(key)
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        found = dict.get(self, key)  # asked for each step that is decided
        if found is not None:
            return found
        if self.left_out:
            self._check(key)
        return default

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        if not found:
            self._check(str(key))
        return found

    def __iter__(self) -> Iterator[str]:
        self._check_whole()
        return super().__iter__()

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        self._check_whole()
        return super().keys()

    def values(self) -> ValuesView[type_run]:  # type: ignore[override]
        self._check_whole()
        return super().values()

    def items(self) -> ItemsView[str, type_run]:  # type: ignore[override]
        self._check_whole()
        return super().items()

    def __reduce__(self) -> Any:
        return Runs, (self.here(), self.left_out, self.known, self.since)


def _index(run: type_run) -> int:
    index: int = run.get("index", 1 << 31)  # a call that was kept for what the list does not have
    return index
