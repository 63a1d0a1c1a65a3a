"""The steps of a timeline as its page shows them: where each stands, its attempts, times and last error."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Q
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .. import registry, store
from ..actors import ActorType
from ..events import EventType
from ..items import shown_keys, status_of
from ..models import Event, Run, Timeline
from ..outline import progress_of
from ..progress import Progress
from ..state import DONE, StepStatus, count_items, earlier_keys, in_state, is_open, settled_items, split_key
from . import words
from .verbs import VERBS, Verb
from .verbs.base import run_of
from .verbs.rewinding import goals

_ENDS = (
    EventType.ATTEMPT_FAILED,
    EventType.ATTEMPT_INTERRUPTED,
    EventType.STEP_COMPLETED,
    EventType.STEP_UNDONE,
    EventType.STEP_REJECTED,
    EventType.STEP_NOT_TAKEN,
)
MOST_ITEMS = 50
_ENDED = DONE | {StepStatus.FAILED, StepStatus.OVERDUE, StepStatus.CANCELLED}  # what has a time to be shown


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last attempt at a run: when it began, how long it took, where and by whom."""

    began: datetime
    ended: datetime | None
    placement: str
    worker: str

    @property
    def duration(self) -> str:
        """How long it took. What began and ended in one commit has no times of its own."""
        return "" if self.ended is None or self.ended == self.began else in_words(self.ended - self.began)


@dataclass(frozen=True, slots=True)
class Button:
    """The way to a verb's confirmation."""

    word: str
    url: str
    is_grave: bool = False


@dataclass(slots=True)
class StepRow:
    """One run of a step, or a step that was not reached."""

    key: str
    title: str
    doc: str
    status: StepStatus
    badge: SafeString
    round: str
    attempts: str
    attempt: Attempt | None
    error: Mapping[str, str] | None
    errors: list[str]
    is_settled: bool
    times: list[tuple[str, str]] = field(default_factory=list)
    lease: str = ""
    buttons: list[Button] = field(default_factory=list)
    rewind_url: str = ""
    is_item: bool = False
    items: str = ""  # of a step with items: how many are settled
    more: int = 0  # items of its step that are not listed; the last one that is says so
    child_url: str = ""
    assigned: str = ""  # who has it
    progress: Progress | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is being executed: then its progress has a rate, and a time left."""
        return self.status is StepStatus.RUNNING


def steps_of(timeline: Timeline, allowed: Collection[str], site_name: str) -> list[StepRow]:
    """Return the steps in the order of the class, then those that only the timeline still has."""
    keys = _keys(timeline)
    attempts, ends = _attempts(timeline, keys), _ends(timeline, keys)
    shown = timeline.runs.filter(fence__in={run_of(timeline, key).get("fence", 0) for key in keys})
    runs = {run.fence: run for run in shown.select_related("lease")}
    leases = store.leases(timeline.using, [run.pk for run in runs.values()]) if runs else {}
    progress = progress_of(timeline, runs.values())
    rewinding = set(goals(timeline)) if "rewind" in allowed else set()
    rows = []
    listed = Counter(split_key(key)[0] for key in keys)
    for key, following in zip(keys, [*keys[1:], ""], strict=True):
        name = split_key(key)
        run = runs.get(run_of(timeline, key).get("fence", 0))
        lease = words.held(run, live=bool(leases.get(run.pk))) if run is not None and run.pk in leases else ""
        row = _row(timeline, key, None if name.round else attempts.get(name[:2]))
        row.times, row.lease, row.progress = _times(run, ends.get(key)), lease, progress.get(key)
        row.buttons = _buttons(timeline, key, allowed, site_name)
        row.rewind_url = _rewind_url(timeline, key, site_name) if key in rewinding else ""
        if split_key(following)[0] != name[0]:
            row.more = max(0, count_items(timeline.state, name[0]) - listed[name[0]] + 1)
        row.assigned = (run_of(timeline, key).get("assigned") or {}).get("label", "")
        row.child_url = _child_url(timeline, key, site_name)
        rows.append(row)
    return rows


def _keys(timeline: Timeline) -> list[str]:
    """Name the runs, and the steps that have none yet; what undoes a step is shown once it has one."""
    declaration = registry.find(timeline.workflow)
    reached = [key for key, _run in in_state(timeline.state)]
    keys: list[str] = []
    for step in declaration.steps.values() if declaration else ():
        runs = shown_keys(timeline, step.name, MOST_ITEMS)
        keys += [*(runs or ([] if step.is_aside else [step.name])), *earlier_keys(timeline.state, step.name)]
    known = declaration.steps if declaration else {}
    gone = dict.fromkeys(name.step for name in map(split_key, reached) if name.step not in known)
    left = [[*shown_keys(timeline, step, MOST_ITEMS), *earlier_keys(timeline.state, step)] for step in gone]
    return [*keys, *(key for some in left for key in some)]


def _row(timeline: Timeline, key: str, attempt: Attempt | None) -> StepRow:
    name, details = split_key(key), run_of(timeline, key)
    declaration = registry.find(timeline.workflow)
    step = declaration.steps.get(name[0]) if declaration else None
    status = status_of(timeline, key)
    gone = _("The code has no such step any more.") if declaration else ""
    is_item = bool(name.item) and not name.round and count_items(timeline.state, name.step) > 0
    return StepRow(
        key,
        words.step_title(*name),
        "" if is_item else step.doc.partition("\n")[0] if step else gone,
        status,
        words.badge("undone" if "undone" in details else status),
        _round(timeline, key),
        _attempts_of(details.get("attempt", 0), step.retry.attempts if step else 0),
        attempt,
        details.get("error"),
        _errors(details.get("errors")),
        bool(details) and status not in (StepStatus.UPCOMING, StepStatus.CANCELLED) and not is_open(details),
        is_item=is_item,
        items=_items(timeline, key) if "each" in details else "",
    )


def _items(timeline: Timeline, step: str) -> str:
    """Say how many of a step's items are settled."""
    settled, count = settled_items(timeline.state, step)
    return _("%(settled)d of %(count)d") % {"settled": settled, "count": count}


def _child_url(timeline: Timeline, key: str, site_name: str) -> str:
    child = run_of(timeline, key).get("child")
    name = "admin:django_timelines_timeline_change"
    return reverse(name, args=[uuid.UUID(child)], current_app=site_name) if child else ""


def _round(timeline: Timeline, key: str) -> str:
    """Say which round a step is in from the second one on; of what undoes a step, which run it undoes."""
    run = run_of(timeline, key)
    if "of" in run:
        return _("undoes “%(run)s”") % {"run": words.run_title(timeline.state, run["of"])}
    name = split_key(key)  # one of an earlier round has it in its title
    number = 1 if name.round else timeline.state.get("rounds", {}).get(name.step, 1)
    return _("round %(number)d") % {"number": number} if number > 1 else ""


def _attempts_of(number: int, policy: int) -> str:
    if not number:
        return ""
    if number <= policy:
        return _("%(number)d of %(policy)d") % {"number": number, "policy": policy}
    return str(number)  # a person asked for more than the policy makes


def _times(run: Run | None, ended: datetime | None) -> list[tuple[str, str]]:
    if run is None:
        return [(_("ended"), words.moment(ended))] if ended else []
    times = [(_("due"), run.due), (_("until"), run.until)]
    return [(title, words.moment(at)) for title, at in times if at is not None]


def _errors(errors: Any) -> list[str]:
    """Return why the last call was rejected, as lines."""
    if isinstance(errors, dict):
        return [f"{name}: {message}" for name, messages in errors.items() for message in messages]
    return [str(message) for message in errors or []]


def _buttons(timeline: Timeline, key: str, allowed: Collection[str], site_name: str) -> list[Button]:
    return [
        button_of(verb, timeline, key, site_name)
        for verb in VERBS.values()
        if verb.of_a_step and verb.name in allowed and verb.applies(timeline, key)
    ]


def button_of(verb: Verb, timeline: Timeline, key: str, site_name: str) -> Button:
    """Return the way to the confirmation of this verb."""
    name = f"admin:django_timelines_timeline_{verb.name}"
    url = reverse(name, args=[timeline.pk, key] if verb.of_a_step else [timeline.pk], current_app=site_name)
    return Button(verb.button_for(timeline, key), url, verb.is_grave)


def _rewind_url(timeline: Timeline, step: str, site_name: str) -> str:
    url = reverse("admin:django_timelines_timeline_rewind", args=[timeline.pk], current_app=site_name)
    return f"{url}?{urlencode({'to': step})}"


def _attempts(timeline: Timeline, keys: list[str]) -> dict[tuple[str, str], Attempt]:
    """Return the last attempt of each of these runs, in two queries that read no payload."""
    named: dict[str, set[str]] = {}
    for step, item, _round in map(split_key, keys):
        named.setdefault(step, set()).add(item)
    about = Q()
    for step, items in named.items():
        about |= Q(step=step, item__in=items)
    events = Event.objects.using(timeline.using).filter(about, timeline=timeline.id)
    wanted = events.filter(type__in=[EventType.ATTEMPT_STARTED, *_ENDS])
    wanted = wanted.exclude(type=EventType.ATTEMPT_INTERRUPTED, data__superseded=True)  # of an attempt before the last
    wanted = wanted.filter(data__round__isnull=True)  # or of an earlier round
    newest = wanted.order_by().values("step", "item", "type").annotate(last=Max("sequence"))
    began: dict[tuple[str, str], Event] = {}
    ended: dict[tuple[str, str], list[Event]] = {}
    for event in events.defer("data").filter(sequence__in=[row["last"] for row in newest]):
        name = (event.step, event.item)
        if event.type == EventType.ATTEMPT_STARTED:
            began[name] = event
        else:
            ended.setdefault(name, []).append(event)
    return {name: _attempt(event, ended.get(name, [])) for name, event in began.items()}


def _ends(timeline: Timeline, keys: list[str]) -> dict[str, datetime]:
    """Return when each of these runs that has ended did."""
    found = {key: timeline.state["runs"][key] for key in keys if key in timeline.state["runs"]}
    runs = {key: run["fence"] for key, run in found.items() if run["status"] in _ENDED}
    events = Event.objects.using(timeline.using).filter(timeline=timeline.id, sequence__in=set(runs.values()))
    times = dict(events.values_list("sequence", "at"))
    return {key: times[fence] for key, fence in runs.items() if fence in times}


def _attempt(began: Event, ends: list[Event]) -> Attempt:
    after = [event for event in ends if event.sequence > began.sequence]
    end = min(after, key=lambda event: event.sequence) if after else None
    where = end or began
    worker = words.worker(where.actor_label) if where.actor_type == ActorType.WORKER else ""
    return Attempt(began.at, end.at if end else None, where.placement, worker)


def in_words(time: timedelta) -> str:
    """Return a duration: 42 ms, 1.5 s, 12 s, 3 min 5 s, 2 h 10 min."""
    seconds = time.total_seconds()
    if seconds < 1:
        return _("%(milliseconds)d ms") % {"milliseconds": round(seconds * 1000)}
    if seconds < 10:
        return _("%(seconds)s s") % {"seconds": number_format(round(seconds, 1), 1)}
    if seconds < 60:
        return _("%(seconds)d s") % {"seconds": seconds}
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    hours, minutes = divmod(minutes, 60)
    return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
