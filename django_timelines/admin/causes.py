"""The page "what led to what": the events of a family, each timeline within the step that began it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.urls import reverse
from django.utils.safestring import SafeString

from ..audit import name_of
from ..causes import Branch, Causes, Part, cause_of, causes_of, place_text, read_place, type_place
from ..models import Event, Timeline
from . import words


@dataclass(frozen=True, slots=True)
class Way:
    """The way to another event: on this page, or on that of its timeline. ``timeline`` is its name if it is another one's."""

    sequence: int
    timeline: str
    url: str


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event."""

    id: str
    event: Event
    title: str
    at: str
    actor: str
    url: str
    after: Way | None
    led_to: list[Way]


@dataclass(frozen=True, slots=True)
class StepEvents:
    """The events of a step, or those that are about none."""

    title: str
    newest: str
    after: str  # the step, or the other timeline, that led to it
    lines: list[EventLine]
    begun: list[TimelineBranch]


@dataclass(frozen=True, slots=True)
class TimelineBranch:
    """One timeline."""

    title: str
    badge: SafeString
    url: str
    is_here: bool
    is_continued: bool
    after: Way | None
    steps: list[StepEvents] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many of its events the page has."""
        return sum(len(step.lines) for step in self.steps)


class CausesPage:
    """The page as a reader asked for it."""

    def __init__(self, timeline: Timeline, after: str, site_name: str, sees: Callable[[Timeline], bool]) -> None:
        self._here = timeline
        self._site_name = site_name
        self._after = read_place(after)
        self._causes: Causes = causes_of(timeline, self._after, sees=sees)
        self._titles = {branch.timeline.pk: words.timeline_title(branch.timeline) for branch in self._all()}

    @property
    def branches(self) -> list[TimelineBranch]:
        """The timelines that no event on this page began; the others are within them."""
        return [self._branch(branch) for branch in self._causes.branches]

    @property
    def next(self) -> str:
        """Where the next page goes on; empty on the last one."""
        return place_text(self._causes.next) if self._causes.next else ""

    @property
    def is_first(self) -> bool:
        """Whether it begins with the family's first event."""
        return self._after is None

    @property
    def url(self) -> str:
        """The page of the timeline that it was asked for."""
        return self._url_of(self._here.pk)

    def _all(self) -> Iterator[Branch]:
        waiting = list(self._causes.branches)
        while waiting:
            branch = waiting.pop()
            yield branch
            waiting += [begun for part in branch.parts.values() for begun in part.begun]

    def _branch(self, branch: Branch) -> TimelineBranch:
        timeline = branch.timeline
        return TimelineBranch(
            self._titles[timeline.pk],
            words.badge(timeline.status),
            self._url_of(timeline.pk),
            timeline.pk == self._here.pk,
            branch.is_continued,
            self._way(branch.origin, timeline.pk) if branch.origin else None,
            [self._step(part) for part in branch.parts.values()],
        )

    def _step(self, part: Part) -> StepEvents:
        title = words.step_title(part.step) if part.step else ""
        lines = [self._line(event) for event in part.events]
        begun = [self._branch(branch) for branch in part.begun]
        return StepEvents(title, lines[-1].title, self._origin(part.events[0]), lines, begun)

    def _origin(self, event: Event) -> str:
        place = cause_of(event)
        cause = self._causes.events.get(place) if place else None
        if cause is None or cause.timeline_id != event.timeline_id:
            return self._titles.get(place[0], "") if place else ""
        return words.step_title(cause.step) if cause.step not in ("", event.step) else ""

    def _line(self, event: Event) -> EventLine:
        place = event.timeline_id, event.sequence
        cause, led_to = cause_of(event), self._causes.led_to.get(place, ())
        return EventLine(
            _anchor(place),
            event,
            words.event_title(event.type),
            words.exactly(event.at),
            name_of(event),
            self._url_of(*place),
            self._way(cause, event.timeline_id) if cause else None,
            [self._way((one.timeline_id, one.sequence), event.timeline_id) for one in led_to],
        )

    def _way(self, place: type_place, seen_from: uuid.UUID) -> Way:
        timeline, sequence = place
        name = "" if timeline == seen_from else self._titles.get(timeline, str(timeline)[: words.SHORT_ID])
        url = f"#{_anchor(place)}" if place in self._causes.events else self._url_of(*place)
        return Way(sequence, name, url)

    def _url_of(self, timeline: uuid.UUID, sequence: int | None = None) -> str:
        url = reverse("admin:django_timelines_timeline_change", args=[timeline], current_app=self._site_name)
        return f"{url}?before={sequence + 1}#event-{sequence}" if sequence else url


def _anchor(place: type_place) -> str:
    return f"event-{place_text(place)}"
