"""What may not be between timelines and beside them: of families, of schedules, and of projections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django_timelines.runs import split_key
from django_timelines.state import ENDED

from .history import History, Projected, Story, Timetable

type_found = tuple[str, str, str]
"""The sort, the timeline, and a sentence."""


def beyond(history: History) -> Iterator[type_found]:
    """Check all of it."""
    if history.notices:
        yield "stuck", "", f"{history.notices} notices that nobody took"
    for story in history.stories.values():
        yield from _of_children(story, history)
        compensated = any(event.type == "CancelRequested" and event.data.get("compensate") for event in story.events)
        if compensated and story.status in ENDED and (left := _not_undone(story, history)):
            yield "lost", story.id, f"it was to be undone, and {left} is not"
    for timetable in history.timetables:
        yield from _of_ticks(timetable)
    if history.projected:
        yield from _of_projection(history.projected, history)


def _of_children(story: Story, history: History) -> Iterator[type_found]:
    """Whoever begins a child names it, once, and takes its end from it."""
    named: Counter[str] = Counter()
    child_of: dict[str, Story] = {}
    for event in story.events:
        if "child" in event.data and "of" not in event.data:
            named[event.data["child"]] += 1
        if "child" in event.data:
            child = history.stories.get(_dashed(event.data["child"]))
            if child is None:
                yield "lost", story.id, f"{event.run} began {event.data['child']}, and there is no timeline"
            else:
                child_of[event.run] = child
        elif event.type == "StepCompleted" and event.run in child_of:
            if not any(told.type == "TimelineCompleted" for told in child_of[event.run].events):
                yield (
                    "out of order",
                    story.id,
                    f"event {event.sequence}: {event.run} is completed, and its child is not",
                )
        elif (
            event.type == "StepUndone" and event.run in child_of and (left := _not_undone(child_of[event.run], history))
        ):
            yield "lost", story.id, f"event {event.sequence}: {event.run} is undone, and of its child {left} is not"
        if event.elsewhere and not _is_there(history, event.elsewhere, event.cause or 0):
            yield (
                "lost",
                story.id,
                f"event {event.sequence} has a cause that is not there: {event.cause} of {event.elsewhere}",
            )
    begun = {one.id for one in history.stories.values() if one.parent == story.id}
    for id in begun - {_dashed(child) for child in named}:
        yield "doubled", story.id, f"{id} is its child, and no event of its own says so"
    for child, times in named.items():
        if times > 1:
            yield "doubled", story.id, f"{child} was begun {times} times"
    for id in sorted(begun):
        if story.status in ENDED and history.stories[id].status not in ENDED:
            yield "stuck", story.id, f"it is {story.status}, and its child {id} is {history.stories[id].status}"


def _has_completed(story: Story) -> bool:
    return any(event.type == "TimelineCompleted" for event in story.events)


def _not_undone(story: Story, history: History) -> str:
    """Name what was done, has an undo, and was not undone (or not skipped by a person: that is its end, too)."""
    undos = history.plans[story.workflow].undos
    done = Counter(event.run for event in story.events if event.type == "StepCompleted" and event.step in undos)
    undone = Counter(event.data["of"] for event in story.events if event.type == "StepUndone")
    by_hand = {event.run for event in story.events if event.type == "StepSkipped" and event.step in undos.values()}
    left = [
        run for run in (done - undone) if run.replace(split_key(run)[0], undos[split_key(run)[0]], 1) not in by_hand
    ]
    return ", ".join(sorted(left))


def _dashed(hex: str) -> str:
    return "-".join([hex[:8], hex[8:12], hex[12:16], hex[16:20], hex[20:]])


def _is_there(history: History, timeline: str, sequence: int) -> bool:
    story = history.stories.get(timeline)
    return story is not None and 0 < sequence <= story.head


def _of_ticks(timetable: Timetable) -> Iterator[type_found]:
    """From its first tick to its last a schedule begins one timeline at each, or keeps it for later."""
    name = f"schedule {timetable.name!r}"
    if timetable.error:
        yield "stuck", "", f"{name}: {timetable.error}"
    had = Counter([*timetable.begun, *timetable.queue])
    for tick, times in had.items():
        if times > 1:
            yield "doubled", "", f"{name} has {times} timelines for the tick {tick}"
        if tick > timetable.last:
            yield "out of order", "", f"{name} has come to {timetable.last}, and has a timeline for {tick}"
    tick = min(had, default=timetable.last)
    while tick <= timetable.last:
        if tick not in had:
            yield "lost", "", f"{name} passed the tick {tick}, and began no timeline"
        tick += timetable.every


def _of_projection(projected: Projected, history: History) -> Iterator[type_found]:
    """Each event is followed once, with its timeline's in their order, and reacted to once."""
    if projected.error:
        yield "stuck", "", f"the projection has stopped: {projected.error}"
    for what, found, types in (
        ("row", projected.rows, projected.follows),
        ("reaction", projected.reactions, (projected.reacts,)),
    ):
        times, last = Counter(found), dict[str, int]()
        for timeline, sequence in found:
            if sequence <= last.get(timeline, 0):
                yield "out of order", timeline, f"a {what} of event {sequence} comes after that of {last[timeline]}"
            last[timeline] = sequence
        for story in history.stories.values():
            for event in story.events:
                had = times.pop((story.id, event.sequence), 0)
                if event.type in types and not had:
                    yield "lost", story.id, f"event {event.sequence} ({event.type}) has no {what}"
                if had > 1:
                    yield "doubled", story.id, f"event {event.sequence} ({event.type}) has {had} {what}s"
        for (timeline, sequence), number in times.items():
            yield "doubled", timeline, f"{number} {what}s of event {sequence}, which is not there"
    for story in history.stories.values():
        if projected.places.get(story.id) != story.head:
            yield "stuck", story.id, f"the projection has come to {projected.places.get(story.id)} of {story.head}"
