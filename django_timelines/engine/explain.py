"""Why is it not moving? One answer for admin, list, page and API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from .. import conf, moments, registry
from ..events import ENDINGS, EventType
from ..exceptions import StateDamaged
from ..items import read_named
from ..models import Event, Pause, Run, Timeline
from ..placements import EMBEDDED
from ..placements.embedded import is_used
from ..sight import Sight, look
from ..state import (
    CLAIMABLE,
    ENDED,
    RunName,
    StepStatus,
    TimelineStatus,
    awaits_child,
    count_alike,
    is_damaged,
    name_at,
    run_key,
    type_run,
)
from . import bells
from .assignee import may_be_given, whose
from .elsewhere import lacks
from .sentences import called, error_of, is_later, moment_of, sentences_of, step_of, with_one_full_stop, word_of
from .sightings import CLOCK, is_there, last_seen
from .slots import standing

MOST = 5  # items of a step that stand alike, each in a sentence of its own
PATIENCE = timedelta(seconds=10)  # for which a due step is no reason to look for workers


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps a timeline where it is: a word for programs, a sentence for whoever runs the site.

    ``public`` is what a visitor may read of it: no errors, no placements; it may be empty.
    """

    reason: str
    sentence: str
    public: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a timeline is where it is; ``str`` of it is for whoever runs the site, ``public`` for its visitors."""

    reasons: tuple[Reason, ...]

    @property
    def reason(self) -> str:
        """The first reason's word."""
        return self.reasons[0].reason

    @property
    def public(self) -> str:
        """The sentences that visitors may read."""
        return " ".join(reason.public for reason in self.reasons if reason.public)

    def __str__(self) -> str:
        return " ".join(reason.sentence for reason in self.reasons)


def explain(timeline: Timeline) -> Explanation:
    """Answer from the stored rows as they are now, all of one moment: the given row may be old."""
    seen = None if is_damaged(timeline.state) else look(timeline.pk, timeline.using)
    return _explained(seen or Sight(timeline, [], [], {}))


def explain_publicly(sight: Sight) -> Explanation:
    """Answer for visitors, of what was read: nobody looks for workers and clocks, of which they are not told."""
    return _explained(sight, publicly=True)


def _explained(sight: Sight, *, publicly: bool = False) -> Explanation:
    timeline, runs = sight.timeline, sight.runs
    if is_damaged(timeline.state):
        public = _("It cannot go on at the moment; somebody has to look at it.")
        return Explanation((Reason("state_damaged", str(StateDamaged(timeline.pk)), public),))
    if timeline.status in ENDED:
        words = {"status": capfirst(_(timeline.status)), "when": moment_of(_ended_at(timeline))}
        since = with_one_full_stop(_("%(status)s on %(when)s.") % words)
        return Explanation((Reason(timeline.status, since, since),))
    reasons = []
    declaration = registry.find(timeline.workflow)
    if declaration is None:
        sentence = _("The code has no workflow %(label)s any more: bring it back or cancel the timeline.")
        public = _("It cannot go on at the moment; somebody has to look at it.")
        reasons.append(Reason("unknown_workflow", sentence % {"label": timeline.workflow}, public))
    elif declaration.is_behind(timeline.state):
        sentence = _(
            "Newer code calls its steps or fields by other names, and goes on with it; this code does not know them."
        )
        reasons.append(Reason("older_code", sentence))
    if timeline.state.get("cancelling"):
        sentence = _("It is being cancelled; what was begun comes to its end first.")
        reasons.append(Reason("cancelling", sentence, sentence))
    reasons += _pauses(timeline, runs)
    reasons += _of_runs(sight, publicly)
    if not publicly:
        reasons += _clock(timeline, runs)
    said = dict.fromkeys(reasons)  # what holds for parent and child alike is said once
    return Explanation(tuple(said) or (Reason("unknown", _("Nothing is open, yet it has not ended.")),))


def _of_runs(sight: Sight, publicly: bool) -> Iterator[Reason]:
    """Say where each open run stands, and of many that stand alike how many more there are."""
    timeline, groups = sight.timeline, _alike(sight.runs)
    read_named(timeline, [run_key(run.step, run.item) for alike in groups for run in alike[:MOST]])
    for alike in groups:
        for run in alike[:MOST]:
            name = name_at(timeline.state, run.fence) or RunName(run.step, run.item)
            details = timeline.state["runs"].get(run_key(*name), {})
            if run.status == StepStatus.OVERDUE or not awaits_child(details):
                yield from _reasons_of(timeline, run, name, details, publicly)
            if awaits_child(details):
                yield from _of_child(sight, name, details, publicly)
        number = max(len(alike), count_alike(timeline.state, alike[0].step, alike[0].status))
        if number > MOST:
            more: dict[str, Any] = {
                "count": number - MOST,
                "step": alike[0].step.replace("_", " "),
                "status": _(alike[0].status),
            }
            sentence = _("And %(count)d more of “%(step)s” are %(status)s.") % more
            yield Reason("more", sentence, sentence, alike[0].step)


def _alike(runs: list[Run]) -> list[list[Run]]:
    """Put the items of a step that stand alike together."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.step, run.status), []).append(run)
    return list(found.values())


def _pauses(timeline: Timeline, runs: list[Run]) -> Iterator[Reason]:
    public = _("It is paused and goes on later.")
    if timeline.status == TimelineStatus.PAUSED:
        yield Reason("paused", _paused(timeline), public)
    if not any(run.status in CLAIMABLE for run in runs):
        return
    for pause in Pause.objects.using(timeline.using).filter(workflow__in=("", timeline.workflow)):
        what = _("%(workflow)s is paused") if pause.workflow else _("everything is paused")
        words = {"what": what % {"workflow": pause.workflow}, "reason": pause.reason, "when": moment_of(pause.at)}
        yield Reason(
            "all_paused", capfirst(with_one_full_stop(_("since %(when)s %(what)s: %(reason)s.") % words)), public
        )


def _paused(timeline: Timeline) -> str:
    """Say since when, by whom and why the timeline is paused, as the newest event of that does."""
    events = Event.objects.using(timeline.using).filter(timeline=timeline.pk, type=EventType.PAUSED)
    event = events.order_by("-sequence").first()
    if event is None or not event.data.get("reason"):
        return _("The timeline is paused: resume it.")
    sentence = _("The timeline is paused since %(when)s, by %(who)s: %(reason)s Resume it.")
    reason = with_one_full_stop(f"{event.data['reason']}.")
    return sentence % {"when": moment_of(event.at), "who": event.actor_label, "reason": reason}


def _reasons_of(timeline: Timeline, run: Run, name: RunName, details: type_run, publicly: bool) -> Iterator[Reason]:
    key = run_key(*name)
    words = {
        "step": called(name),
        "attempt": run.attempt,
        "placement": run.placement,
        "error": error_of(details),
    }
    words |= {"until": moment_of(run.until), "due": moment_of(run.due)}
    sentence, public = sentences_of(run, details, step_of(timeline, name))
    if not publicly:
        yield from _left_to_others(timeline, run, name)
    if run.awaits and not publicly and run.status in CLAIMABLE:
        yield _without_slot(timeline, run, name)
        return
    yield Reason(word_of(run), with_one_full_stop(sentence % words), with_one_full_stop(public % words), key)
    if details.get("assigned") and not publicly:
        yield from _assigned(timeline, run, details)
    is_due = run.status in CLAIMABLE and not is_later(run) and run.placement
    if is_due and not publicly and _waits_long(timeline, run) and bells.nobody_seen(run.placement):
        yield Reason("no_worker", _("No worker has been seen at %(placement)s: start one.") % words, step=key)


def _waits_long(timeline: Timeline, run: Run) -> bool:
    """Tell whether a worker should have taken it by now. Another branch of the timeline may have moved meanwhile."""
    events = Event.objects.using(timeline.using).filter(timeline=timeline.pk, sequence=run.fence)
    since = [run.due or timeline.started_at, *events.values_list("at", flat=True)]
    return moments.now() - max(since) > PATIENCE


def _left_to_others(timeline: Timeline, run: Run, name: RunName) -> Iterator[Reason]:
    """Say that this code has not the step that is open, unless more is to be said: it has not its class, or is older."""
    declaration = registry.find(timeline.workflow)
    if declaration is None or declaration.is_behind(timeline.state) or is_later(run):
        return
    if not lacks(declaration, name.step, timeline.state):
        return
    if run.status in (StepStatus.WAITING, StepStatus.BLOCKED):
        sentence = _(
            "This code has no step “%(step)s”: nobody can call, retry or skip it here. Bring it back, also for no longer than "
            "that takes, or cancel the timeline."
        )
    elif run.status in CLAIMABLE and run.ring is not None:
        sentence = _(
            "This code has no step “%(step)s”: it is left to processes of another release; "
            "if none has it within minutes, it is blocked."
        )
    else:
        return
    yield Reason("unknown_step", sentence % {"step": called(name)}, step=run_key(*name))


def _without_slot(timeline: Timeline, run: Run, name: RunName) -> Reason:
    held, number = standing(timeline, run)
    words = {"step": called(name), "held": held, "number": number or held}
    sentence = _("“%(step)s” waits for its turn: %(held)s of %(number)s are being executed.")
    return Reason("limit", sentence % words, _("“%(step)s” comes next.") % words, run_key(*name))


def _assigned(timeline: Timeline, run: Run, details: type_run) -> Iterator[Reason]:
    declaration = registry.find(timeline.workflow)
    if declaration is not None and run.step in declaration.steps and may_be_given(details):
        sentence = whose(details, declaration.steps[run.step], declaration.make(timeline))
        yield Reason("assigned", sentence, step=run_key(run.step, run.item))


def _of_child(sight: Sight, name: RunName, details: type_run, publicly: bool) -> Iterator[Reason]:
    """Say what a run waits for that began a timeline, and why that one stands where it stands."""
    seen = sight.child(uuid.UUID(details["child"]))
    words = {"step": called(name), "child": details["child"]}
    if seen is None:
        sentence = _("“%(step)s” waits for the timeline %(child)s, which is gone: skip it, or rewind to it.")
        yield Reason("child_gone", sentence % words, _("Waiting for “%(step)s”.") % words, run_key(*name))
        return
    child = seen.timeline
    words |= {"workflow": child.workflow, "child": str(child.pk), "status": _(child.status)}
    sentence = _("“%(step)s” waits for %(workflow)s %(child)s, which is %(status)s.") % words
    yield Reason("child", sentence, _("“%(step)s” is under way.") % words, run_key(*name))
    if child.status in ENDED and not publicly and registry.find(child.workflow) is None:
        sentence = _(
            "The code has no workflow %(workflow)s any more, to take what that did: bring it back, or skip “%(step)s”."
        )
        yield Reason("unknown_workflow", sentence % words, step=run_key(*name))
    if not publicly or conf.children_are_seen():
        yield from _explained(seen, publicly=publicly).reasons[:MOST]


def _clock(timeline: Timeline, runs: list[Run]) -> list[Reason]:
    if not any(run.ring for run in runs):
        return []
    seen = last_seen(timeline.using, CLOCK)
    if is_there(seen):
        return []
    if not is_used():
        mend = _("start manage.py timelines_clock")
    elif any(run.placement == EMBEDDED and run.status in CLAIMABLE for run in runs):  # a clock alone would run nothing
        mend = _("start the site")
    else:
        mend = _("start the site, or manage.py timelines_clock")
    if seen is None:
        return [Reason("no_clock", _("No clock has been seen: %(mend)s.") % {"mend": mend})]
    sentence = _("No clock has been seen since %(when)s: %(mend)s.")
    return [Reason("no_clock", sentence % {"when": moment_of(seen), "mend": mend})]


def _ended_at(timeline: Timeline) -> datetime:
    """Return when it ended: that it was erased, links were revoked or a result came too late may be told after the end."""
    ends = Event.objects.using(timeline.using).filter(timeline=timeline.id, type__in=ENDINGS)
    at: datetime | None = ends.order_by("-sequence").values_list("at", flat=True).first()
    return at or timeline.changed_at
