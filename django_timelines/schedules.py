"""Schedules as they are declared on a workflow: at which moments a timeline begins by itself, and what it is given.

@schedule("0 7 * * 1-5", tz="Europe/Berlin")
class Report(Workflow): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.conf import settings
from django.core.exceptions import ValidationError

from . import moments
from .exceptions import DeclarationError, PermanentFailure
from .references import models_in

W = TypeVar("W")
LONGEST_NAME = 100
LONGEST_CRON = 200
type_given = Mapping[str, Any] | Callable[[datetime], Mapping[str, Any]]


class Missed(StrEnum):
    """What becomes of the ticks that passed while no clock ran."""

    SKIP = "skip"
    """None of them begins a timeline."""
    ONCE = "once"
    """The newest of them does."""
    ALL = "all"
    """Each of them does, in order."""


class Overlap(StrEnum):
    """What becomes of a tick while the timeline of the one before is open."""

    REFUSE = "refuse"
    """It begins none."""
    QUEUE = "queue"
    """It begins one when that one has ended."""
    ALLOW = "allow"
    """It begins one all the same."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a workflow begins by itself. Its name tells it from the others of its class."""

    cron: str
    tz: str
    name: str = ""
    missed: Missed = Missed.ONCE
    overlap: Overlap = Overlap.REFUSE
    given: type_given = field(default_factory=dict)

    def after(self, moment: datetime) -> datetime:
        """Return the first tick after a moment, in UTC."""
        for found in CronSim(self.cron, moment.astimezone(ZoneInfo(self.tz))):
            if found.astimezone(UTC) > moment:  # an hour that comes twice is read as its first time
                return found.astimezone(UTC)
        raise DeclarationError(f"The schedule {self.cron!r} never fires.")

    def newest(self, tick: datetime, at: datetime) -> datetime:
        """Return the newest tick that has passed: this one, or a later one."""
        back = CronSim(self.cron, (at + timedelta(seconds=1)).astimezone(ZoneInfo(self.tz)), reverse=True)
        newest = max(tick, next((found for one in back if (found := one.astimezone(UTC)) <= at), tick))
        while (later := self.after(newest)) <= at:  # in an hour that comes twice, looking back passes over some
            newest = later
        return newest

    def input_at(self, tick: datetime) -> Mapping[str, Any]:
        """Return what the entry step is called with at this tick. A function is given the tick, in the schedule's time zone."""
        given = self.given(tick.astimezone(ZoneInfo(self.tz))) if callable(self.given) else self.given
        if not isinstance(given, Mapping):
            raise PermanentFailure(
                f"given= of the schedule returned {type(given).__name__}. Return a dict of its input."
            )
        return given


def schedule(
    cron: str,
    *,
    tz: str = "",
    missed: str = Missed.ONCE,
    overlap: str = Overlap.REFUSE,
    given: type_given | None = None,
    name: str = "",
) -> Callable[[type[W]], type[W]]:
    """Begin a timeline of the class at each tick: ``@schedule("0 7 * * 1-5", tz="Europe/Berlin")``.

    ``cron``: minute, hour, day of the month, month, day of the week. ``tz``: whose clock that is; without it ``TIME_ZONE``. A
    tick in an hour that daylight saving leaves out comes right after it; of an hour that comes twice, the first time counts.
    ``missed``: of the ticks that passed while no clock ran the newest begins a timeline (``"once"``), each (``"all"``) or none
    (``"skip"``). ``overlap``: while the timeline of the tick before is open, a tick begins none (``"refuse"``), one after it
    (``"queue"``) or one beside it (``"allow"``). ``given``: what the entry step is called with, a dict or a function of the
    tick's moment that returns one. ``name``: tells several schedules of a class apart.
    """

    def declare(workflow: type[W]) -> type[W]:
        declaration = getattr(workflow, "_declaration", None)
        if declaration is None or "_declaration" not in vars(workflow):
            raise DeclarationError(f"@schedule({cron!r}) stands above {workflow!r}, which is no workflow class.")
        where = f"{declaration.label}: @schedule({cron!r})"
        made = Schedule(
            _cron(where, cron),
            _zone(where, tz or settings.TIME_ZONE),
            _name(where, name, declaration.schedules),
            _one_of(where, "missed", missed, Missed),
            _one_of(where, "overlap", overlap, Overlap),
            {} if given is None else given,
        )
        _check_fires(where, made)
        _check_given(where, made, declaration)
        declaration.schedules[made.name] = made
        return workflow

    return declare


def _cron(where: str, cron: Any) -> str:
    if not isinstance(cron, str) or len(cron.split()) != 5 or len(cron) > LONGEST_CRON:
        raise DeclarationError(
            f"{where} is no cron text. It has five fields (minute, hour, day of the month, month, day of the week): "
            "'0 7 * * 1-5' is seven o'clock on working days."
        )
    try:
        CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise DeclarationError(f"{where} is no cron text that ever fires: {error}.") from None
    return " ".join(cron.split())


def _zone(where: str, tz: Any) -> str:
    try:
        return ZoneInfo(tz).key
    except (KeyError, ValueError, TypeError, OSError):
        raise DeclarationError(f"{where}: there is no time zone {tz!r}. Write tz='Europe/Berlin', say.") from None


def _name(where: str, name: Any, known: Mapping[str, Schedule]) -> str:
    if not isinstance(name, str) or len(name) > LONGEST_NAME or "\x00" in name:
        raise DeclarationError(f"{where}: name={name!r} is no text of at most {LONGEST_NAME} characters.")
    if name in known:
        raise DeclarationError(f"{where}: the class has a schedule of that name already. Give each a name=.")
    return name


def _one_of(where: str, option: str, value: Any, words: type[Any]) -> Any:
    try:
        return words(value)
    except ValueError:
        known = ", ".join(repr(str(word)) for word in words)
        raise DeclarationError(f"{where}: {option}={value!r} is not known. Write one of {known}.") from None


def _check_fires(where: str, made: Schedule) -> None:
    try:
        made.after(moments.now())
    except DeclarationError:
        raise DeclarationError(f"{where} never fires: there is no such day.") from None


def _check_given(where: str, made: Schedule, declaration: Any) -> None:
    """See that the entry step gets what it needs. What a function will return is seen at each tick."""
    if callable(made.given):
        return
    if not isinstance(made.given, Mapping):
        raise DeclarationError(f"{where}: given={made.given!r} is neither a dict nor a function of the tick's moment.")
    entry = declaration.step(declaration.graph.entry.name)
    names = [parameter.name for parameter in entry.parameters]
    missing = [one.name for one in entry.parameters if one.required and one.name not in made.given]
    if missing:
        raise DeclarationError(
            f"{where}: the entry step {entry.name!r} needs {', '.join(missing)}, which nobody gives at a tick. "
            f"Write given={{{missing[0]!r}: …}}."
        )
    if unknown := [name for name in made.given if name not in names]:
        raise DeclarationError(
            f"{where}: given= has {unknown[0]!r}, which the entry step {entry.name!r} does not take."
        )
    for name, value in made.given.items():
        taken = declaration.inputs[entry.name][name]
        try:
            if not models_in(taken.annotation):  # a row is looked up at each tick
                taken.check(value)
        except ValidationError as error:
            raise DeclarationError(
                f"{where}: given[{name!r}] does not fit {entry.name!r}: {error.messages[0]}"
            ) from None
