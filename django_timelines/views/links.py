"""What a page asks for when it polls, and where a timeline's link leads; how a link that is not good says so."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.timezone import get_current_timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import frames, links, policy
from ..engine.links import check_view_link
from ..exceptions import Refused, Unknown
from ..frames import Seen
from ..models import Timeline
from ..outline import is_moving
from ..sight import look_at
from .visible import may_view, sentences_of, status_of, viewer, visible

REFUSED = "django_timelines/link_refused.html"


@login_not_required
@never_cache
@require_safe
def since(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer a page that polls: the frame with what it has not seen, or 204.

    What is running is drawn again although nothing is new: a long step goes on, or why it does not move may have changed.
    """
    timeline = visible(request, pk)
    after = frames.read_sequence(request.GET.get("after", "0"))
    if after is None:
        return JsonResponse({"error": _("after= is the sequence of an event: a whole number from 0.")}, status=400)
    if after > timeline.head:
        return HttpResponse(status=204)
    sight, language = look_at(timeline, after), get_language() or settings.LANGUAGE_CODE
    seen = Seen(after, frames.read_version(request.GET.get("version", "")), language, get_current_timezone())
    frame = frames.frames(sight, [seen], redraws=is_moving(sight)).get(seen)
    return HttpResponse(frame, content_type="application/json") if frame else HttpResponse(status=204)


@login_not_required
@never_cache
@require_safe
def open_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """Follow a timeline's signed link: this browser's session may see it from now on."""
    try:
        link = links.read_view(token)
        timeline = find(link.timeline)
        check_view_link(timeline.state, link)
    except Refused as refused:
        return refuse(request, refused)
    return to_page(request, timeline)


def refuse(request: HttpRequest, refused: Refused, timeline: Timeline | None = None) -> HttpResponse:
    """Say why a link cannot be followed, and lead whoever may see the timeline there."""
    shows_page = timeline is not None and may_view(request, timeline)
    context = {
        "sentences": sentences_of(refused),
        "reason": refused.reason,
        "timeline_url": timeline.get_absolute_url() if timeline is not None and shows_page else "",
    }
    return private(render(request, REFUSED, context, status=status_of(refused)))


def to_page(request: HttpRequest, timeline: Timeline, otherwise: str = "") -> HttpResponse:
    """Lead to the timeline's page, which the link's holder may see from now on.

    ``otherwise``: where to if they may not, on a site that keeps no sessions, or whose policy says so.
    """
    policy.let_in(viewer(request)[1], timeline)
    leads_on = not otherwise or may_view(request, timeline)
    return private(HttpResponseRedirect(timeline.get_absolute_url() if leads_on else otherwise))


def private(response: HttpResponse) -> HttpResponse:
    """Keep a link's address to this site."""
    response["Referrer-Policy"] = "same-origin"  # the address is a secret; forms still need the header for CSRF
    return response


def find(id: uuid.UUID) -> Timeline:
    """Return the timeline that a link is about; ``Unknown`` if it is gone."""
    timeline = frames.find(id, router.db_for_write(Timeline))
    if timeline is None:
        raise Unknown(_("This link leads to something that is not there any more."), "unknown_timeline")
    return timeline
