"""Where a step's link leads: GET shows its form and spends nothing, POST calls the step with what the form says."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import links, moments, registry
from ..actors import Actor, ActorType, of_user
from ..engine.allowed import check_allowed
from ..engine.judge import Call, judge
from ..engine.links import check_link
from ..exceptions import NotAllowed, Refused, Unknown
from ..items import read_named, run_of
from ..links import CallLink
from ..models import Timeline
from ..people import LINK
from ..registry import Declaration
from ..state import RunName, StepStatus, run_key
from .calls import KEY, PossibleCall, carry_out, possible_call, was_carried_out
from .links import find, private, refuse, to_page
from .pages import WorkflowView
from .visible import form_key, sentences_of, status_of, viewer

CALL = "django_timelines/call.html"


@dataclass(frozen=True, slots=True)
class Followed:
    """A link that is good: what it leads to, and who follows it."""

    timeline: Timeline
    declaration: Declaration
    link: CallLink
    step: str
    actor: Actor

    @property
    def run(self) -> str:
        """The key of the run that it lets its holder call."""
        return run_key(self.step, self.link.item)


@method_decorator(login_not_required, name="dispatch")
class CallLinkView(WorkflowView):
    """``timelines:call``. Its template is ``<app>/<workflow>_<step>_link.html``, or ours; its form the step's own."""

    http_method_names = ("get", "head", "post")
    through = "link"

    @sensitive_variables()
    def get(self, request: HttpRequest, token: str) -> HttpResponseBase:
        """Show what the step asks for."""
        return self._answer(token)

    @sensitive_variables()
    def post(self, request: HttpRequest, token: str) -> HttpResponseBase:
        """Call the step, and go to the timeline's page; or say what is wrong, with what was typed."""
        return self._answer(token)

    @sensitive_variables()
    def _answer(self, token: str) -> HttpResponseBase:
        timeline = None
        try:
            link = links.read_call(token)
            timeline = find(link.timeline)
            followed = follow(self.request, timeline, link)
            return self._call(followed) if self.request.method == "POST" else self._show(followed)
        except Refused as refused:
            return refuse(self.request, refused, timeline)

    @sensitive_variables()
    def _show(self, followed: Followed) -> HttpResponse:
        see_that_it_waits(followed)
        return self._page(followed, self._call_of(followed))

    @sensitive_variables()
    def _call(self, followed: Followed) -> HttpResponseBase:
        call = self._call_of(followed)
        call.key, notes, status = form_key(self.request, KEY), [], 200
        asked, is_valid = (self.request, followed.declaration, followed.timeline, call), call.form.is_valid()
        try:
            if carry_out(*asked, actor=followed.actor, link=followed.link) if is_valid else was_carried_out(*asked):
                # the link itself tells where its step stands
                return to_page(self.request, followed.timeline, otherwise=self.request.get_full_path())
        except NotAllowed:
            raise
        except Refused as refused:  # somebody went back to the form and changed it, say
            call.key, notes, status = uuid.uuid4().hex, sentences_of(refused), status_of(refused)
        followed.timeline.refresh_from_db()
        see_that_it_waits(followed)
        return self._page(followed, call, notes, status)

    @sensitive_variables()
    def _call_of(self, followed: Followed) -> PossibleCall:
        data = self.request.POST if self.request.method == "POST" else None
        call = possible_call(self.request, followed.timeline, followed.declaration, followed.run, data=data)
        call.seen = None  # whatever else has happened: the link names its run
        return call

    @sensitive_variables()
    def _page(
        self, followed: Followed, call: PossibleCall, notes: list[str] | None = None, status: int = 200
    ) -> HttpResponse:
        context = self.get_context_data(
            timeline=followed.timeline,
            workflow=followed.declaration.make(followed.timeline),
            workflow_title=followed.declaration.title,
            title=call.title,
            about=call.about,
            call=call,
            calls=[call],
            form=call.form,
            notes=notes or [],
        )
        names = [*self.get_template_names(followed.declaration, f"{followed.step}_link"), CALL]
        return private(render(self.request, names, context, status=status))


def follow(request: HttpRequest, timeline: Timeline, link: CallLink) -> Followed:
    """See that the link is still good for whoever follows it; ``Refused`` says why it is not."""
    declaration = registry.find(timeline.workflow)
    step = declaration.now_called(link.step, timeline.state) if declaration else link.step
    if declaration is None or step not in declaration.steps:
        raise Unknown(_("This link leads to something that is not there any more."), "unknown_step")
    words = {"step": run_key(step, link.item).replace("_", " ")}
    check_link(declaration, timeline.state, link)
    run = run_of(timeline, run_key(step, link.item))
    waits = run.get("status") in (StepStatus.WAITING, StepStatus.OVERDUE)
    if waits and "until" in run and moments.from_text(run["until"]) <= moments.now():
        raise Refused(_("The time for “%(step)s” has run out.") % words, "overdue")
    return Followed(timeline, declaration, link, step, _actor(request, timeline, declaration, step))


def see_that_it_waits(followed: Followed) -> None:
    """See that the step takes a call, now or when its turn comes; ``Refused`` says why it does not. Nothing is written."""
    looked_at = Call(RunName(followed.step, followed.link.item), "", "looked at", early=True)
    judge(followed.declaration, read_named(followed.timeline, [followed.run]), looked_at)


def _actor(request: HttpRequest, timeline: Timeline, declaration: Declaration, name: str) -> Actor:
    """Return who follows the link: its holder, or the user where ``allowed=`` wants to know who that is."""
    step = declaration.step(name)
    if not step.allowed or LINK in step.allowed:
        return Actor(ActorType.LINK, label="link")
    actor = of_user(viewer(request)[0])
    check_allowed(step, declaration.make(timeline), actor)
    return actor
