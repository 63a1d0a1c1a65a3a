"""What a page asks for when it polls, and where the two kinds of links lead."""

from __future__ import annotations

import uuid
from dataclasses import replace

from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from .. import frames, links, moments, policy, registry
from ..actors import Actor, ActorType, of_user
from ..engine.allowed import check_allowed
from ..engine.asked import Options
from ..engine.judge import Call, judge
from ..exceptions import Refused, Unknown
from ..links import CallLink
from ..models import Timeline
from ..outline import is_moving, title_of
from ..state import Outcome, StepStatus, TimelineStatus, run_key
from ..steps import LINK
from ..workflows import BoundStep
from .visible import form_key, may_view, sentences_of, status_of, viewer, visible

REFUSED, CALL = "django_timelines/link_refused.html", "django_timelines/call.html"


@never_cache
@require_GET
def since(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer a page that polls: the frame with what it has not seen, or 204.

    What is running is drawn again although nothing is new: a long step goes on, or why it does not move may have changed.
    """
    timeline = visible(request, pk)
    after = frames.read_sequence(request.GET.get("after", "0"))
    if after is None:
        return JsonResponse({"error": _("after= is the sequence of an event: a whole number from 0.")}, status=400)
    is_running = timeline.status == TimelineStatus.RUNNING or is_moving(timeline)
    if after > timeline.head or (after == timeline.head and not is_running):
        return HttpResponse(status=204)
    return HttpResponse(frames.frame(timeline, after), content_type="application/json")


@never_cache
@require_safe
def open_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """Follow a timeline's signed link: this browser's session may see it from now on."""
    try:
        timeline = _find(links.read_view(token))
    except Refused as refused:
        return _refused(request, refused)
    return _to_page(request, timeline)


@never_cache
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def call_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """Follow a step's signed link: GET shows a button and spends nothing, POST calls the step."""
    timeline = None
    try:
        link = links.read_call(token)
        timeline = _find(link.timeline)
        link = _renamed(timeline, link)
        actor = _actor(request, timeline, link)
        _check(timeline, link)
        if request.method == "POST":
            _call(timeline, link, Options(form_key(request, "key"), actor, early=True))
            return _to_page(request, timeline)
        judge(
            registry.get(timeline.workflow), timeline.state, Call((link.step, link.item), "", "looked at", early=True)
        )
    except Refused as refused:
        return _refused(request, refused, timeline)
    return _asked(request, timeline, link)


def _renamed(timeline: Timeline, link: CallLink) -> CallLink:
    """Return the link under the name that its step has now."""
    declaration = registry.find(timeline.workflow)
    return replace(link, step=declaration.current(link.step)) if declaration else link


def _check(timeline: Timeline, link: CallLink) -> None:
    """See that the link is still good; ``Refused`` if it is not."""
    declaration = registry.find(timeline.workflow)
    if declaration is None or link.step not in declaration.steps:
        raise Unknown(_("This link leads to something that is not there any more."), "unknown_step")
    words = {"step": run_key(link.step, link.item).replace("_", " ")}
    if any(parameter.required for parameter in declaration.steps[link.step].parameters):
        raise Refused(_("“%(step)s” needs input, which a link cannot give.") % words, "needs_input")
    run = timeline.state["runs"].get(run_key(link.step, link.item), {})
    waits = run.get("status") in (StepStatus.WAITING, StepStatus.OVERDUE)
    if waits and "until" in run and moments.from_text(run["until"]) <= moments.now():
        raise Refused(_("The time for “%(step)s” has run out.") % words, "overdue")


def _actor(request: HttpRequest, timeline: Timeline, link: CallLink) -> Actor:
    """Return who follows the link: its holder, or the user where ``allowed=`` wants to know who that is."""
    declaration = registry.find(timeline.workflow)
    step = declaration.steps.get(link.step) if declaration else None
    if declaration is None or step is None or not step.allowed or LINK in step.allowed:
        return Actor(ActorType.LINK, label="link")
    actor = of_user(viewer(request)[0])
    check_allowed(step, declaration.make(timeline), actor)
    return actor


def _call(timeline: Timeline, link: CallLink, options: Options) -> Outcome:
    workflow = registry.get(timeline.workflow).make(timeline)
    step: BoundStep[[]] = BoundStep(workflow, link.step, link.item, options)
    return step()


def _asked(request: HttpRequest, timeline: Timeline, link: CallLink) -> HttpResponse:
    declaration = registry.get(timeline.workflow)
    context = {"title": title_of(link.step), "about": declaration.step(link.step).doc.partition("\n")[0]}
    context |= {"workflow_title": declaration.title, "key": uuid.uuid4().hex}
    return _private(render(request, CALL, context))


def _refused(request: HttpRequest, refused: Refused, timeline: Timeline | None = None) -> HttpResponse:
    shows_page = timeline is not None and may_view(request, timeline)
    context = {
        "sentences": sentences_of(refused),
        "reason": refused.reason,
        "timeline_url": _address(timeline) if shows_page else "",
    }
    return _private(render(request, REFUSED, context, status=status_of(refused)))


def _to_page(request: HttpRequest, timeline: Timeline) -> HttpResponse:
    policy.remember(request.session, [timeline.id.hex], as_guest=True)
    return _private(HttpResponseRedirect(_address(timeline)))


def _address(timeline: Timeline | None) -> str:
    return reverse("timelines:timeline", args=[timeline.id]) if timeline else ""


def _private(response: HttpResponse) -> HttpResponse:
    response["Referrer-Policy"] = "same-origin"  # the address is a secret; forms still need the header for CSRF
    return response


def _find(id: uuid.UUID) -> Timeline:
    timeline = frames.find(id, router.db_for_write(Timeline))
    if timeline is None:
        raise Unknown(_("This link leads to something that is not there any more."), "unknown_timeline")
    return timeline
