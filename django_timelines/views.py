"""The visitor's pages: a timeline, what a page asks for when it polls, and where the two kinds of links lead."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from . import frames, links, moments, policy, registry
from .actors import Actor, ActorType
from .engine.asked import Options
from .engine.judge import Call, judge
from .exceptions import Refused, Unknown
from .links import CallLink
from .models import Timeline
from .outline import is_moving, outline, title_of
from .state import Outcome, StepStatus, TimelineStatus, run_key
from .workflows import BoundStep

PAGE, REFUSED, CALL = (f"django_timelines/{name}.html" for name in ("timeline_page", "link_refused", "call"))
_FORM_KEY = re.compile(r"[0-9a-f]{32}")
_STATUS_OF = {"forged": 404, "unknown": 404, "unknown_timeline": 404, "unknown_step": 404, "unknown_workflow": 404}
_STATUS_OF |= {"settled": 410, "overdue": 410, "not_allowed": 403, "invalid": 400}  # any other refusal: 409


@never_cache
@require_safe
def page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a timeline. Its app may bring a template of its own, ``signup/signup_timeline.html`` for ``signup.Signup``."""
    timeline = _visible(request, pk)
    declaration = registry.find(timeline.workflow)
    drawn = outline(timeline)
    context = {"timeline": timeline, "workflow": declaration.make(timeline) if declaration else None, "outline": drawn}
    app, _dot, name = timeline.workflow.partition(".")
    own = f"{app}/{name.lower()}_timeline.html"
    return render(request, [own, PAGE], context | {"steps": drawn.lines})


@never_cache
@require_GET
def since(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer a page that polls: the frame with what it has not seen, or 204.

    What is running is drawn again although nothing is new: a long step goes on, or why it does not move may have changed.
    """
    timeline = _visible(request, pk)
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
        _check(timeline, link)
        if request.method == "POST":
            _call(timeline, link, _form_key(request))
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


def _call(timeline: Timeline, link: CallLink, key: str) -> Outcome:
    workflow = registry.get(timeline.workflow).make(timeline)
    options = Options(key, Actor(ActorType.LINK, label="link"), early=True)
    step: BoundStep[[]] = BoundStep(workflow, link.step, link.item, options)
    return step()


def _form_key(request: HttpRequest) -> str:
    """Return the key of the form that was sent, so that a double click counts once; a new one for any other request.

    Without a key of its own, the holder of a used link would be answered as if they had used it.
    """
    sent = request.POST.get("key", "")
    return sent if _FORM_KEY.fullmatch(sent) else uuid.uuid4().hex


def _asked(request: HttpRequest, timeline: Timeline, link: CallLink) -> HttpResponse:
    declaration = registry.get(timeline.workflow)
    context = {"title": title_of(link.step), "about": declaration.step(link.step).doc.partition("\n")[0]}
    context |= {"workflow_title": declaration.title, "key": uuid.uuid4().hex}
    return _private(render(request, CALL, context))


def _refused(request: HttpRequest, refused: Refused, timeline: Timeline | None = None) -> HttpResponse:
    sentences = getattr(refused, "messages", None) or [str(refused)]
    shows_page = timeline is not None and _may_view(request, timeline)
    context = {
        "sentences": sentences,
        "reason": refused.reason,
        "timeline_url": _address(timeline) if shows_page else "",
    }
    return _private(render(request, REFUSED, context, status=_STATUS_OF.get(refused.reason, 409)))


def _to_page(request: HttpRequest, timeline: Timeline) -> HttpResponse:
    policy.remember(request.session, [timeline.id.hex])
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


def _visible(request: HttpRequest, id: uuid.UUID) -> Timeline:
    """Return the timeline, or the same 404 whether there is none or it is somebody else's."""
    timeline = frames.find(id, router.db_for_write(Timeline))
    if timeline is None or not _may_view(request, timeline):
        raise Http404(_("There is no such timeline, or it is not yours to see."))
    return timeline


def _may_view(request: HttpRequest, timeline: Timeline) -> bool:
    return policy.may_view(timeline, getattr(request, "user", None), getattr(request, "session", None))
