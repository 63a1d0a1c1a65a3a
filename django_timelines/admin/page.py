"""What the page of one timeline shows, put together from its row, its events and its open runs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from functools import cached_property

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString

from .. import registry
from ..actors import ActorType
from ..audit import NAMED_BY, name_of
from ..diagram import Diagram, diagram_of
from ..engine.explain import explain
from ..engine.history import state_at
from ..models import Event, Timeline
from ..policy import may_view, sees_all
from ..state import ENDED, is_damaged
from . import words
from .events import EventPage, events_of
from .family import Family, family_of
from .fields import FieldRow, fields_of, row_of
from .pauses import Banner, pauses_of
from .steps import Button, StepRow, button_of, steps_of
from .verbs import VERBS
from .workflows import page_of


def seen_by(request: HttpRequest) -> Callable[[Timeline], bool]:
    """Return what tells whether the one policy lets this person see a timeline."""
    return lambda timeline: may_view(timeline, request.user, request.session)


class Page:
    """One timeline for one reader."""

    def __init__(self, timeline: Timeline, request: HttpRequest, site: AdminSite, allowed: Collection[str]) -> None:
        self.timeline = timeline
        self._request = request
        self._site = site
        self._allowed = allowed
        self.explanation = explain(timeline)  # why it is where it is
        if is_damaged(timeline.state):  # the page shows what the events say; the explanation, how to mend the row
            timeline.state = state_at(timeline.pk, timeline.using, timeline.head)

    @property
    def workflow(self) -> str:
        """The workflow's name."""
        return words.workflow_title(self.timeline.workflow)

    @property
    def workflow_url(self) -> str:
        """The page of its workflow; empty where the code no longer has the class."""
        declaration = registry.find(self.timeline.workflow)
        return page_of(declaration.label, self._site.name) if declaration else ""

    @property
    def badge(self) -> SafeString:
        """The status as a coloured word."""
        return words.badge(self.timeline.status)

    @property
    def started_at(self) -> str:
        """When it was started."""
        return words.moment(self.timeline.started_at)

    @property
    def changed_at(self) -> str:
        """When its newest event was appended."""
        return words.moment(self.timeline.changed_at)

    @cached_property
    def starter(self) -> tuple[str, str]:
        """Who started it, by the label of that day, and their admin page."""
        first = Event.objects.using(self.timeline.using).filter(timeline=self.timeline.id, sequence=1)
        event = first.only(*NAMED_BY).first()
        if event is None:
            return "", ""
        label = name_of(event)
        if event.actor_type != ActorType.USER or not event.actor_id:
            return label, ""
        return label, row_of(get_user_model(), event.actor_id, self._request, self._site)[1]

    @property
    def visitor_url(self) -> str:
        """The visitor's page; empty where the site has none."""
        try:
            return self.timeline.get_absolute_url()
        except NoReverseMatch:
            return ""

    @property
    def causes_url(self) -> str:
        """The page that says what led to what."""
        name = "admin:django_timelines_timeline_causes"
        return reverse(name, args=[self.timeline.pk], current_app=self._site.name)

    @property
    def is_live(self) -> bool:
        """Whether the site has the addresses that tell the page of what is new."""
        try:
            return bool(reverse("timelines:since", args=[self.timeline.pk]))
        except NoReverseMatch:
            return False

    @property
    def verbs(self) -> list[Button]:
        """What this person may do with the timeline as a whole."""
        verbs = [
            verb
            for verb in VERBS.values()
            if not verb.of_a_step and verb.name in self._allowed and verb.applies(self.timeline, "")
        ]
        return [button_of(verb, self.timeline, "", self._site.name) for verb in verbs]

    @cached_property
    def pauses(self) -> list[Banner]:
        """The pauses of everything, or of its workflow, that hold it."""
        if self.timeline.status in ENDED:
            return []
        return pauses_of(self.timeline.workflow, self.timeline.using, self._request.user, self._site.name)

    @cached_property
    def steps(self) -> list[StepRow]:
        """The steps."""
        return steps_of(self.timeline, self._allowed, self._site.name)

    @cached_property
    def diagram(self) -> Diagram | None:
        """The steps as a drawing, whose boxes lead to their rows; none where the code no longer has the class."""
        declaration = registry.find(self.timeline.workflow)
        if declaration is None:
            return None
        rows = {row.key: f"#step-{number}" for number, row in enumerate(self.steps, 1)}
        return diagram_of(declaration, self.timeline, rows=rows, child_url=self._url_of)

    def _url_of(self, timeline: uuid.UUID) -> str:
        name = "admin:django_timelines_timeline_change"
        return reverse(name, args=[timeline], current_app=self._site.name)

    @property
    def settled(self) -> int:
        """How many of the steps are settled."""
        return sum(step.is_settled and not step.is_item for step in self.steps)

    @property
    def total(self) -> int:
        """How many steps there are."""
        return sum(not step.is_item for step in self.steps)

    @cached_property
    def family(self) -> Family:
        """The timelines that led to one another, this one among them."""
        sees, counts = seen_by(self._request), sees_all(self._request.user)
        return family_of(self.timeline, self._site.name, sees, counts=counts)

    @cached_property
    def fields(self) -> list[FieldRow]:
        """The fields."""
        return list(fields_of(self.timeline, self._request, self._site))

    @cached_property
    def events(self) -> EventPage:
        """The newest events, or those that the address asks for."""
        return events_of(self.timeline, self._request.GET.get("before", ""), self._url_of)
