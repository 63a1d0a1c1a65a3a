"""The projections of the code: which events each of them follows, and with which of its methods."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import registry
from .domain import Event
from .events import EventType
from .exceptions import DeclarationError, Unknown


@dataclass(frozen=True, slots=True)
class Handler:
    """A method of a projection, and one type of event that it is given."""

    method: str
    type: str
    says: builtins.type[Event] | None = None  # what its data is read as; None: as it is stored
    workflow: str = ""  # the label of the only workflow that it follows
    step: str = ""
    is_reaction: bool = False

    def takes(self, workflow: str, step: str) -> bool:
        """Tell whether an event of this step of this workflow is for it. Former names count as the new ones."""
        if not self.workflow:
            return True
        if registry.current(workflow) != self.workflow:
            return False
        declaration = registry.find(workflow)
        return not self.step or (declaration is not None and declaration.current(step) == self.step)


@dataclass(frozen=True)
class Following:
    """A projection of the code."""

    label: str
    projection: Any  # the class: called with the alias of the database it makes an object for one transaction
    into: tuple[Any, ...]
    handlers: Sequence[Handler]
    by_type: dict[str, list[Handler]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for handler in self.handlers:
            self.by_type.setdefault(handler.type, []).append(handler)

    @property
    def types(self) -> set[str]:
        """The types of events that it reads; an erasure is always one."""
        return {*self.by_type, str(EventType.ERASED)}

    @property
    def workflows(self) -> set[str] | None:
        """The labels, also former ones, of the workflows that it follows; None: of all."""
        labels = {handler.workflow for handler in self.handlers}
        if "" in labels:
            return None
        return {name for label in labels for name in registry.get(label).names}

    def follows(self, workflow: str, types: Iterable[str]) -> bool:
        """Tell whether something of this is for it."""
        workflow = registry.current(workflow)
        found = (handler for type in types for handler in self.by_type.get(type, ()))
        return any(handler.workflow in ("", workflow) for handler in found)


_followings: dict[str, Following] = {}


def register(following: Following) -> None:
    """Take a projection in. A second class of the same label is an error, unless it is the same one made again."""
    known, new = _followings.get(following.label), following.projection
    if known is not None:
        old = known.projection
        if (old.__module__, old.__qualname__) != (new.__module__, new.__qualname__):
            raise DeclarationError(
                f"Two projections are called {following.label}: {old.__module__}.{old.__qualname__} and "
                f"{new.__module__}.{new.__qualname__}. Rename one, or give one a label of its own."
            )
    _followings[following.label] = following


def get(label: str) -> Following:
    """Return the projection of this label; ``Unknown`` if the code does not have it."""
    try:
        return _followings[label]
    except KeyError:
        known = ", ".join(sorted(_followings)) or "none"
        raise Unknown(f"There is no projection {label!r} in the code. Known: {known}.", "unknown_projection") from None


def everything() -> dict[str, Following]:
    """Return all projections by label."""
    return dict(_followings)


def labels() -> list[str]:
    """Return the labels of all projections."""
    return sorted(_followings)


def followers(workflow: str, types: Sequence[str]) -> list[str]:
    """Return the projections that are to be told of events of these types."""
    if not _followings:
        return []
    return [label for label, following in _followings.items() if following.follows(workflow, types)]
