"""Erasing a finished timeline: the one exception to "events are never edited". What it said goes, what happened stays.

Payloads, error texts, keys and the labels of people become tombstones that keep the names: an event still says which field a
step set, and no longer to what. An item's name is a value, too: from then on it has a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from .. import actors
from ..actors import Actor, ActorType
from ..databases import as_they_are, begin_writing
from ..events import EventType, NewEvent
from ..exceptions import Conflict, Refused
from ..models import Event, Item, SealedInput, Timeline
from ..state import ENDED, Runs, apply, empty, run_key, split_key
from ..statements import update_each
from ..store import Snapshot
from .advance import advance
from .advanced import By
from .cancel import clean_reason
from .operate import say_why
from .runner import commit, load

TOMBSTONE = None
BATCH = 500
_BURIED = ("item", "data", "actor_id", "actor_label")
_PEOPLE = (ActorType.USER, ActorType.LINK)
# what our own events say that is no text of anybody's: names, numbers, times
_STRUCTURE = frozenset(
    {
        "waiting",
        "early",
        "late",
        "was_until",
        "due",
        "until",
        "final",
        "stopped",
        "progressed",
        "in_time",
        "timed",
        "schedule",
        "child",
        "done",
        "fatal",
        "superseded",
        "outcome",
        "guard_passed",
        "round",
        *("through", "remind", "planned", "since", "number", "wait"),
        "each",
        "enough",
        "may_fail",
    }
    | {
        "to",
        "rounds",
        "unset",
        "compensate",
        "sealed",
        "renamed",
        "forced",
    }
)
_RUNS = frozenset(
    {"of", "kept", "undo", "going_on", "withdrawn", "cancelled"}
)  # keys of runs, in lists or by one another
_BY_NAME = frozenset(
    {"fields", "changes", "changes_kept_back", "theirs", "input", "errors"}
)  # values, by the name of each


def erase(snapshot: Snapshot, reason: str, actor: Actor | None = None) -> Snapshot:
    """Erase what a timeline that has ended says. In one transaction; a second time changes nothing more, unless links were
    revoked since, or somebody else is named as who erased it.

    Who erases stays named, but for somebody of whom the timeline tells.
    """
    say_why(reason, _("Say why the timeline is erased."))
    using = snapshot.using
    with transaction.atomic(using=using):
        begin_writing(connections[using])
        now = load(snapshot.id, using, lock=True)
        if now.status not in ENDED:
            words = {"status": _(now.status)}
            raise Refused(_("Only a timeline that has ended can be erased: it is %(status)s.") % words, "not_ended")
        events, actor = as_they_are(Event.objects.using(using)).filter(timeline=now.id), actor or actors.current()
        newest = events.get(sequence=now.head)
        if newest.type == EventType.ERASED and not _names_another(newest, actor):
            return now  # nothing was said since: who revoked links then said why, and who they are
        if above := _open_above(now):
            words = {"timeline": str(above)}
            raise Refused(
                _(
                    "It is a part of %(timeline)s, which has not ended and may take its results, or have it undone. "
                    "Erase it once that has ended."
                )
                % words,
                "not_ended",
            )
        erased = NewEvent(EventType.ERASED, data={"reason": clean_reason(reason)})
        try:
            result = advance(None, now, [erased], By(_nameless_if_told_of(now, events, actor)))
            commit(result)
        except Conflict as conflict:
            raise Refused(_("Somebody else is writing this timeline. Erase it again."), "taken") from conflict
        return _scrub(result.after)


def _names_another(erased: Event, actor: Actor) -> bool:
    return erased.actor_type in _PEOPLE and erased.actor_id not in ("", actor.id)


def _nameless_if_told_of(snapshot: Snapshot, events: QuerySet[Event], actor: Actor) -> Actor:
    """Return who erases, without their name if they are one of those whose names go."""
    if actor.type not in _PEOPLE:
        return actor
    theirs = events.filter(Q(actor_type=actor.type, actor_id=actor.id) | Q(data__assigned__id=actor.id))
    return Actor(actor.type) if actor.id == snapshot.started_by or theirs.exists() else actor


def _open_above(snapshot: Snapshot) -> Timeline | None:
    """Return the nearest of those above it that has not ended: by what an erased child says nothing can be done or undone."""
    timelines = Timeline.objects.using(snapshot.using)
    parent = snapshot.state.get("parent", {}).get("timeline")
    while parent and (above := timelines.filter(pk=parent).first()):
        if above.status not in ENDED:
            return above
        parent = above.parent
    return None


class _Numbers(dict[str, str]):
    """The numbers that items have instead of their names, from 1 in the order in which the events come to them."""

    def __missing__(self, item: str) -> str:
        self[item] = str(len(self) + 1)
        return self[item]

    def of(self, item: str) -> str:
        """Return the number of an item; nothing for a run that is none's."""
        return self[item] if item else ""

    def in_runs(self, said: Any) -> Any:
        """Return keys of runs with numbers in them."""
        if isinstance(said, Mapping):
            return {self.in_runs(key): self.in_runs(value) for key, value in said.items()}
        if isinstance(said, list):
            return [self.in_runs(one) for one in said]
        if not isinstance(said, str):
            return said
        step, item, round = split_key(said)
        return run_key(step, self.of(item), round)


def _scrub(after: Snapshot) -> Snapshot:
    state, last, numbers = empty(), None, _Numbers()
    events = as_they_are(Event.objects.using(after.using)).filter(timeline=after.id).order_by("sequence")
    while batch := list((events.filter(sequence__gt=last) if last else events)[:BATCH]):
        for event in batch:
            _bury(event, numbers, after.head)
            new = NewEvent(event.type, event.step, event.item, 0, event.data, event.attempt, event.version)
            apply(state, new, event.sequence)
        rows = [({name: getattr(event, name) for name in _BURIED}, _where(event)) for event in batch]
        update_each(after.using, Event, rows)
        last = batch[-1].sequence
    Timeline.objects.using(after.using).filter(pk=after.id).update(
        state=state, fields=state["fields"], key="", digest=None, started_by=""
    )
    SealedInput.objects.using(after.using).filter(timeline=after.id)._raw_delete(after.using)
    _scrub_items(after, state["runs"], numbers)
    return replace(after, state=state, key="", digest=None, started_by="")


def _scrub_items(after: Snapshot, runs: Runs, numbers: _Numbers) -> None:
    """Write the rows of all items anew: one's number may have been another's name."""
    rows = Item.objects.using(after.using).filter(timeline=after.id)
    scrubbed = [
        Item(
            timeline_id=after.id,
            step=row.step,
            item=numbers[row.item],
            index=row.index,
            status=row.status,
            head=after.head,
            state=runs[run_key(row.step, numbers[row.item])],
        )
        for row in as_they_are(rows)
    ]
    rows._raw_delete(after.using)
    Item.objects.using(after.using).bulk_create(scrubbed, BATCH)


def _where(event: Event) -> dict[str, Any]:
    return {"timeline": event.timeline_id, "sequence": event.sequence}


def _bury(event: Event, numbers: _Numbers, head: int) -> None:
    if event.type != EventType.ERASED:
        event.item = numbers.of(event.item)
        event.data = _tombstones(event.data, numbers, is_ours=event.type in set(EventType))
    if event.actor_type in _PEOPLE and event.sequence < head:  # with which it is erased
        event.actor_id = event.actor_label = ""


def _tombstones(data: Mapping[str, Any], numbers: _Numbers, *, is_ours: bool) -> dict[str, Any]:
    buried: dict[str, Any] = {}
    for name, value in data.items():
        if is_ours and name in _STRUCTURE:
            buried[name] = value
        elif is_ours and name == "rest" and value:
            buried[name] = [[numbers[item], TOMBSTONE] for item, _value in value]
        elif is_ours and name in _RUNS:
            buried[name] = numbers.in_runs(value)
        elif is_ours and name == "parent" and isinstance(value, Mapping):
            buried[name] = {**value, "item": ""}
        elif is_ours and name in _BY_NAME and isinstance(value, Mapping):
            buried[name] = dict.fromkeys(value, TOMBSTONE)
        elif is_ours and name == "error" and isinstance(value, Mapping):
            buried[name] = {"type": value.get("type", ""), "message": "", "traceback": ""}
        elif is_ours and name == "reason" and data.get("error"):
            buried[name] = value  # a word of ours: failed, interrupted …
        else:
            buried[name] = "" if isinstance(value, str) else TOMBSTONE
    return buried
