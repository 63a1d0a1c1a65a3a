"""Verbs for several timelines of the list at once: retry, pause, resume and cancel, with one reason for all of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..exceptions import Conflict, Refused, Rejected
from ..models import Timeline
from . import words
from .forms import ReasonForm
from .verbs import VERBS, Verb

if TYPE_CHECKING:
    from .timelines import TimelineAdmin

MOST = 100  # a page of the list has fewer
_DESCRIPTIONS = {
    "retry_blocked": gettext_lazy("Retry what is blocked on the selected timelines"),
    "pause": gettext_lazy("Pause the selected timelines"),
    "resume": gettext_lazy("Resume the selected timelines"),
    "cancel": gettext_lazy("Cancel the selected timelines"),
}


def _action(verb: Verb) -> Callable[[Any, HttpRequest, Any], HttpResponse | None]:
    def action(model_admin: TimelineAdmin, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        return _ask(model_admin, request, verb)

    action.__name__ = f"{verb.name}_selected"
    action.short_description = _DESCRIPTIONS[verb.name]  # type: ignore[attr-defined]
    action.allowed_permissions = (verb.permits or verb.name,)  # type: ignore[attr-defined]
    return action


ACTIONS = tuple(_action(VERBS[name]) for name in _DESCRIPTIONS)


def _ask(model_admin: TimelineAdmin, request: HttpRequest, verb: Verb) -> HttpResponse:
    """Say what becomes of each, and ask why; or do it."""
    timelines = list(_selected(model_admin, request))
    form = ReasonForm(request.POST if "confirmed" in request.POST else None, needs_reason=verb.needs_reason)
    if form.is_bound and form.is_valid():
        for timeline in timelines:
            _act(request, timeline, verb, form.cleaned_data)
        return HttpResponseRedirect(request.get_full_path())
    moved = [one for one in timelines if verb.applies(one, "")]
    if not moved:
        messages.warning(request, _("Nothing to do: none of the selected timelines can be moved so."))
        return HttpResponseRedirect(request.get_full_path())
    context = {
        "question": _question(verb, len(moved)),
        "button": str(_DESCRIPTIONS[verb.name]),
        "is_grave": verb.is_grave,
        "timelines": [(one, words.timeline_title(one), words.badge(one.status)) for one in moved],
        "left_alone": [(one, words.timeline_title(one), words.badge(one.status)) for one in _without(timelines, moved)],
        "action": f"{verb.name}_selected",
        "checkbox": ACTION_CHECKBOX_NAME,
        "form": form,
        "page_url": request.get_full_path(),
    }
    return model_admin.render(request, "ask", None, {**context, "title": context["question"]})


def _question(verb: Verb, count: int) -> str:
    questions = {
        "retry_blocked": ngettext(
            "Retry what is blocked on %(count)d timeline?", "Retry what is blocked on %(count)d timelines?", count
        ),
        "pause": ngettext("Pause %(count)d timeline?", "Pause %(count)d timelines?", count),
        "resume": ngettext("Resume %(count)d timeline?", "Resume %(count)d timelines?", count),
        "cancel": ngettext("Cancel %(count)d timeline?", "Cancel %(count)d timelines?", count),
    }
    return questions[verb.name] % {"count": count}


def _without(timelines: list[Timeline], moved: list[Timeline]) -> list[Timeline]:
    return [one for one in timelines if one not in moved]


def _selected(model_admin: TimelineAdmin, request: HttpRequest) -> Iterator[Timeline]:
    """Yield the timelines that were ticked, each once; never all that a filter finds."""
    for timeline in model_admin.get_queryset(request).filter(pk__in=ticked(request)).order_by("-id"):
        if model_admin.has_view_permission(request, timeline):
            yield timeline


def ticked(request: HttpRequest) -> list[uuid.UUID]:
    """Return the ids that were ticked; none if one of them is no id."""
    try:
        return [uuid.UUID(text) for text in request.POST.getlist(ACTION_CHECKBOX_NAME)[:MOST]]
    except ValueError:
        return []


def _act(request: HttpRequest, timeline: Timeline, verb: Verb, asked: dict[str, Any]) -> None:
    name = words.timeline_title(timeline)
    try:
        if verb.applies(timeline, ""):
            messages.success(request, f"{name}: {verb.act(timeline, '', asked, request.user)}")
        else:
            messages.warning(request, f"{name}: {verb.moved_on(timeline, '')}")
    except Rejected as rejected:
        messages.error(request, f"{name}: {' '.join(rejected.messages)}")
    except (Refused, Conflict) as refused:
        messages.error(request, f"{name}: {capfirst(str(refused))}")
