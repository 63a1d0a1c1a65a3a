"""The confirmation of a verb: GET says what will happen and asks for the reason, POST does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from .. import registry
from ..exceptions import Conflict, MovedOn, Refused, Rejected
from ..models import Timeline
from ..state import split_key
from .forms import ReasonForm, form_for
from .people import AssignForm
from .verbs import Outlook, Verb
from .verbs.rewinding import goals
from .words import step_title

if TYPE_CHECKING:
    from .timelines import TimelineAdmin


def confirm(model_admin: TimelineAdmin, request: HttpRequest, timeline: Timeline, verb: Verb, key: str) -> HttpResponse:
    """Answer the request for a verb on a timeline, on one of its runs, or back to one of its steps."""
    page = reverse(
        "admin:django_timelines_timeline_change", args=[timeline.pk], current_app=model_admin.admin_site.name
    )
    outlook = _look(request, timeline, verb, key)
    if outlook is None:
        return HttpResponseRedirect(page)
    if verb.name == "rewind" and not key:
        steps = [(step, step_title(step)) for step in goals(timeline)]
        return model_admin.render(request, "rewind", timeline, {"verb": verb, "steps": steps, "page_url": page})
    form = _form(request, timeline, verb, outlook)
    try:
        if request.method == "POST" and _act(request, timeline, verb, key, form):
            return HttpResponseRedirect(page)
    except MovedOn:  # between the look above and the commit: does it still come to what the person saw?
        return confirm(model_admin, request, model_admin.get_queryset(request).get(pk=timeline.pk), verb, key)
    context = {
        "verb": verb,
        "button": verb.button_for(timeline, key),
        "form": form,
        "question": verb.question % {"step": step_title(*split_key(key))},
        "outlook": outlook,
        "page_url": page,
    }
    return model_admin.render(request, "confirm", timeline, context)


def _look(request: HttpRequest, timeline: Timeline, verb: Verb, key: str) -> Outlook | None:
    """Return what will happen; None, with a message that says why, if nothing can."""
    try:
        if verb.applies(timeline, key):
            return verb.look(timeline, key)
        messages.error(request, verb.moved_on(timeline, key))
    except Refused as refused:
        messages.error(request, str(refused))
    return None


def _form(request: HttpRequest, timeline: Timeline, verb: Verb, outlook: Outlook) -> ReasonForm:
    declaration = registry.find(timeline.workflow)
    declared = declaration.fields if declaration else {}
    data = request.POST if request.method == "POST" else None
    if verb.asks_whom:
        return AssignForm(data, needs_reason=verb.needs_reason, outlook=outlook, asker=request.user)
    return form_for(verb, outlook, data, declared, timeline.state["fields"])


def _act(request: HttpRequest, timeline: Timeline, verb: Verb, key: str, form: ReasonForm) -> bool:
    """Do it, and return whether it is done; if not, the form asks again, with all that was typed.

    It is not done if something else would happen than the person saw: then they decide again on what is true now.
    """
    if form.is_stale:
        messages.error(request, verb.moved_on(timeline, key))
    elif form.is_valid():
        try:
            messages.success(request, verb.act(timeline, key, form.cleaned_data, request.user))
            return True
        except (Rejected, ValidationError) as rejected:
            messages.error(request, " ".join(rejected.messages))
        except MovedOn:
            raise
        except (Refused, Conflict) as refused:
            messages.error(request, str(refused))
    form.is_valid()  # what is wrong is said before what was seen is forgotten
    form.refresh()
    return False
