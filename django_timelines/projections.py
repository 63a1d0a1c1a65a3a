"""Read models fed by events: what you import to write projections, in your app's ``projections.py``.

class Sales(Projection):
    into = (Day,)

    @on(PaymentTaken)
    def count(self, event):
        day, _ = Day.objects.get_or_create(date=event.at.date())
        Day.objects.filter(pk=day.pk).update(total=F("total") + event.data.amount)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

from django.db.models import Model

from . import answers, following, registry
from .domain import Event
from .engine.places import StoredEvent
from .events import EventType
from .exceptions import DeclarationError
from .following import Following, Handler
from .workflows import Workflow

__all__ = ["Projection", "StoredEvent", "on", "reaction"]

F = TypeVar("F", bound=Callable[..., Any])
type_what = type[Event] | str

_MARK = "_timelines_follows"


def on(*events: type_what, workflow: type[Workflow] | None = None, step: str = "") -> Callable[[F], F]:
    """Give the method these events: classes of yours, or names of ours (``"StepCompleted"``), of all workflows or of one.

    It is given each event once, with its timeline's in their order, and all of them again when the projection is rebuilt.
    """
    return _follow(events, workflow, step, is_reaction=False)


def reaction(*events: type_what, workflow: type[Workflow] | None = None, step: str = "") -> Callable[[F], F]:
    """Give the method these events, as ``on`` does, and not again on a rebuild: what it does is done once.

    Nor is it given what happened before the projection was first followed.
    """
    return _follow(events, workflow, step, is_reaction=True)


def _follow(
    events: tuple[type_what, ...], workflow: type[Workflow] | None, step: str, *, is_reaction: bool
) -> Callable[[F], F]:
    label = "" if workflow is None else _label_of(workflow)
    if step and (workflow is None or step not in registry.get(label).steps):
        known = "name its workflow, too" if workflow is None else f"known are {', '.join(registry.get(label).steps)}"
        raise DeclarationError(f"There is no step {step!r}: {known}.")
    if not events:
        raise DeclarationError("Say which events: @on(PaymentTaken), or @on('StepCompleted', workflow=Order).")
    named = [(*_named(event), label, step, is_reaction) for event in events]

    def mark(method: F) -> F:
        method.__dict__.setdefault(_MARK, []).extend(named)
        return method

    return mark


def _label_of(workflow: Any) -> str:
    if not (isinstance(workflow, type) and issubclass(workflow, Workflow) and workflow is not Workflow):
        raise DeclarationError(f"workflow={workflow!r} is no workflow class.")
    return str(workflow._declaration.label)


def _named(event: Any) -> tuple[str, type[Event] | None]:
    if isinstance(event, type) and issubclass(event, Event) and event is not Event:
        return event.__name__, event
    if event in set(EventType):
        return str(event), None
    raise DeclarationError(
        f"{event!r} is no event. Name a subclass of Event, or one of django_timelines: {', '.join(EventType)}."
    )


class Projection:
    """A read model fed by events. Subclass it in your app's ``projections.py``: methods under ``@on`` write your own models.

    What they write commits together with the projection's place, in the database that holds the timelines. An object of
    the class lives for one such transaction.
    """

    into: ClassVar[tuple[type[Model], ...]] = ()
    """The models whose rows it writes, and nobody else: a rebuild empties them."""

    label: ClassVar[str] = ""
    """Names it, ``shop.Sales`` unless you say otherwise: say what it was when you rename the class."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        handlers = list(_handlers_of(cls))
        if not handlers:
            return  # a base for others
        into: Any = cls.into
        if not isinstance(into, tuple) or not all(isinstance(one, type) and issubclass(one, Model) for one in into):
            raise DeclarationError(f"{cls.__name__}.into is no tuple of model classes: into = (Day,).")
        writes = any(not handler.is_reaction for handler in handlers)
        if writes and not cls.into and cls.clear is Projection.clear:
            raise DeclarationError(f"{cls.__name__} does not say which models it writes: into = (Day,).")
        for name in dict.fromkeys([*(handler.method for handler in handlers), "flush", "clear"]):
            answers.check(f"{cls.__name__}.{name}: ", getattr(cls, name))
        cls.label = cls.__dict__.get("label") or registry.label_for(cls.__module__, cls.__qualname__)
        registry.check_length(cls.label, cls.label)
        following.register(Following(cls.label, cls, tuple(cls.into), handlers))

    def __init__(self, using: str) -> None:
        self.using = using

    def flush(self) -> None:
        """Override it to write in bulk what handlers gathered on ``self``: called once before each commit."""

    def clear(self) -> None:
        """Delete what it has written, before it is rebuilt: the rows of ``into``. Override it where these are not all its own."""
        for model in self.into:
            model._base_manager.using(self.using).all().delete()


def _handlers_of(cls: type) -> Iterator[Handler]:
    """Yield the handlers in the order in which they are defined, those of bases first."""
    names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    for name in names:
        for type, says, workflow, step, is_reaction in getattr(getattr(cls, name, None), _MARK, ()):
            yield Handler(name, type, says, workflow, step, is_reaction)
