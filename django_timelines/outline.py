"""What people see of a timeline: its steps in order, each with a word for where it stands. Templates draw it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from . import moments, registry
from .children import version_of
from .engine.explain import explain_publicly
from .items import read_named, shown_keys
from .models import Run, Timeline
from .progress import Progress
from .registry import Declaration
from .sight import Sight, look_at, newest_of
from .state import (
    DONE,
    ENDED,
    StepStatus,
    TimelineStatus,
    count_items,
    earlier_keys,
    in_state,
    name_at,
    run_key,
    settled_items,
    split_key,
    step_status,
)

_SETTLED = DONE | {StepStatus.FAILED, StepStatus.OVERDUE}  # not what was cancelled: nobody did that
MOST_ITEMS = 20  # of one step that a page lists; the step itself says how many there are
_AWAY = frozenset({StepStatus.NOT_TAKEN, StepStatus.NOT_REACHED})
_UNSEEN = frozenset({StepStatus.UPCOMING, StepStatus.NOT_TAKEN})  # of a step aside


@dataclass(frozen=True, slots=True)
class Line:
    """One step, or one item of a step, as it stands."""

    name: str
    title: str
    about: str
    status: StepStatus
    attempt: int = 0
    due: datetime | None = None
    until: datetime | None = None
    at: datetime | None = None  # when it came to where it stands
    errors: tuple[str, ...] = ()  # what the body said to the last input
    round: int = 1
    is_undone: bool = False
    is_item: bool = False
    items: tuple[int, int] | None = None  # of a step with items: how many are settled, of how many
    more: int = 0  # items of its step that are not listed; the last one that is says so
    progress: Progress | None = None  # of a long step that is open
    assigned: str = ""  # who has it, for those who may know

    @property
    def is_running(self) -> bool:
        """Tell whether it is being executed: then it has a rate, and a time left."""
        return self.status is StepStatus.RUNNING

    @property
    def word(self) -> str:
        """Its status, for people; from the second round on also which it is."""
        word = _("undone") if self.is_undone else _(str(self.status))
        if self.items is not None and self.items[1]:
            word = _("%(status)s, %(settled)d of %(count)d") % {
                "status": word,
                "settled": self.items[0],
                "count": self.items[1],
            }
        shown = self.round > 1 or self.is_earlier
        return _("%(status)s, round %(round)d") % {"status": word, "round": self.round} if shown else word

    @property
    def is_earlier(self) -> bool:
        """Tell whether it is a run of an earlier round, which goes on beside the current one."""
        return bool(split_key(self.name).round)

    @property
    def css(self) -> str:
        """Its status as a part of a class name; what was undone looks as what was cancelled."""
        return str(StepStatus.CANCELLED if self.is_undone else self.status).replace(" ", "-")

    @property
    def is_away(self) -> bool:
        """Tell whether the timeline went another way."""
        return self.status in _AWAY

    @property
    def shows_deadline(self) -> bool:
        """Tell whether its ``until`` matters: it waits."""
        return self.until is not None and self.status in (StepStatus.WAITING, StepStatus.OVERDUE)

    @property
    def shows_attempt(self) -> bool:
        """Tell whether there is something to say about attempts: there was more than one, or the one failed."""
        return self.attempt > 1 or (self.status is StepStatus.RETRYING and self.attempt > 0)


@dataclass(frozen=True, slots=True)
class Outline:
    """A timeline as a page shows it, the same for every viewer.

    ``version`` changes when a child moves that its steps wait for, which appends nothing here; empty where there is none.
    """

    timeline: Timeline
    title: str
    status: str
    word: str
    sentence: str
    lines: tuple[Line, ...]
    version: str

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will happen."""
        return self.status in ENDED

    @property
    def total(self) -> int:
        """How many steps lie on the way that the timeline takes."""
        return sum(not line.is_away and not line.is_item and not line.is_earlier for line in self.lines)

    @property
    def settled(self) -> int:
        """How many of them came to their end. A cancelled one did not."""
        return sum(line.status in _SETTLED and not line.is_undone and not line.is_item for line in self.lines)


def outline(timeline: Timeline) -> Outline:
    """Look at a timeline now: two queries or a few more. Its class may be gone from the code."""
    return outline_of(look_at(timeline))


def outline_of(sight: Sight) -> Outline:
    """Say how a timeline stood when it was read."""
    timeline = sight.timeline
    declaration = registry.find(timeline.workflow)
    title = declaration.title if declaration else timeline.workflow
    return Outline(
        timeline=timeline,
        title=title,
        status=timeline.status,
        word=_(timeline.status),
        sentence=explain_publicly(sight).public,
        lines=tuple(_lines(sight, declaration)),
        version=version_of(sight),
    )


def progress_of(timeline: Timeline, runs: Iterable[Run]) -> dict[str, Progress]:
    """Return how far the long steps are that are open at this event, by run."""
    shown = [run for run in runs if run.progress is not None]
    state = read_named(timeline, [run_key(run.step, run.item) for run in shown])
    found = {name_at(state, run.fence): run for run in shown}
    return {run_key(*name): Progress.read(run.progress) for name, run in found.items() if name is not None}


def is_moving(sight: Sight) -> bool:
    """Tell whether pages may have something new to show although there is no new event.

    It is running, so that why it does not go on may change; or a long step is being executed.
    """
    shows = any(run.status == StepStatus.RUNNING and run.progress is not None for run in sight.runs)
    return shows or sight.timeline.status == TimelineStatus.RUNNING


def title_of(step: str) -> str:
    """Return a step's name as people read it: "Open account" for ``open_account``."""
    title = step.replace("_", " ").strip().capitalize()
    return _(title) if title else ""  # gettext answers an empty text with its catalogue's head


def run_title(run: str) -> str:
    """Return a run's name as people read it: "Build[latte]"."""
    step, item, _round = split_key(run)
    return run_key(title_of(step), item)


def _lines(sight: Sight, declaration: Declaration | None) -> Iterator[Line]:
    timeline = sight.timeline
    progress = progress_of(timeline, sight.runs)
    declared = declaration.steps if declaration else {}
    aside = _asides(declaration) if declaration else set()
    reminders = {*declaration.reminders.values()} if declaration else set()  # no business of visitors
    known = [declaration.known_as(name, timeline.state) for name in declared] if declaration else []
    steps = dict.fromkeys([*known, *(split_key(key)[0] for key, _run in in_state(timeline.state))])
    shown = {name: shown_keys(timeline, name, MOST_ITEMS) or [name] for name in steps if name not in reminders}
    earlier = {name: earlier_keys(timeline.state, name) for name in steps}
    state = timeline.state
    listed = [key for keys in [*shown.values(), *earlier.values()] for key in keys]
    times = sight.times_of(state["runs"][key] for key in listed if key in state["runs"])
    for name, keys in shown.items():
        current = declaration.current(name) if declaration else name
        about = declared[current].doc.partition("\n")[0] if current in declared else ""
        for key in [*keys, *earlier[name]]:
            more = count_items(state, name) - len(keys) + 1 if key is keys[-1] else 0
            line = _line(timeline, key, about if key == name else "", times, more)
            if current not in aside or (key in state["runs"] and line.status not in _UNSEEN):
                has = state["runs"].get(key, {}).get("assigned")
                line = replace(line, progress=progress.get(key), assigned=has["label"] if has else "")
                yield line


def _line(timeline: Timeline, key: str, about: str, times: dict[int, datetime], more: int) -> Line:
    step, item, earlier = split_key(key)
    run = timeline.state["runs"].get(key, {})
    status = step_status(timeline.state, step, item, earlier)
    due, until = (moments.from_text(run[name]) if name in run else None for name in ("due", "until"))
    attempt = run.get("attempt") or 0
    at, errors = times.get(newest_of(run)), said(run.get("errors"))
    number = earlier or timeline.state.get("rounds", {}).get(step, 1)
    is_item = bool(item) and not earlier and step in timeline.state["runs"]
    title = item if is_item else run_title(key)  # it stands below its step
    settled = settled_items(timeline.state, step) if "each" in run else None
    is_undone = "undone" in run
    return Line(key, title, about, status, attempt, due, until, at, errors, number, is_undone, is_item, settled, more)


def said(errors: Any) -> tuple[str, ...]:
    """Flatten a rejection's errors: a list of sentences, or one for each parameter."""
    if isinstance(errors, dict):
        return tuple(sentence for one in errors.values() for sentence in said(one))
    return tuple(str(sentence) for sentence in errors) if isinstance(errors, list) else ()


def _asides(declaration: Declaration) -> set[str]:
    """Return the steps that come only after something went wrong: they are shown once the timeline goes there."""
    aside = {step.name for step in declaration.steps.values() if step.undoes is not None}
    for node in declaration.graph.nodes.values():
        off = [dependency.outcome != "done" or dependency.step in aside for dependency in node.after]
        if off and (any(off) if node.joins == "all" else all(off)):
            aside.add(node.name)
    return aside
