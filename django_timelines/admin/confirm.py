"""The confirmation of a verb: GET says what will happen and asks for the reason, POST does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.cancel import REASON_LIMIT
from ..exceptions import Conflict, Refused, Rejected
from ..models import Timeline
from ..state import split_key, step_status
from .verbs import Verb, run_of
from .words import step_title

if TYPE_CHECKING:
    from .timelines import TimelineAdmin


class ReasonForm(forms.Form):
    """Why somebody uses a verb, and the event that they saw last."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("It is kept on the timeline, with your name."),
        max_length=REASON_LIMIT,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
    )
    fence = forms.IntegerField(widget=forms.HiddenInput)
    use_required_attribute = True


def confirm(model_admin: TimelineAdmin, request: HttpRequest, timeline: Timeline, verb: Verb, key: str) -> HttpResponse:
    """Answer the request for a verb on a timeline, or on one of its runs."""
    page = reverse(
        "admin:django_timelines_timeline_change", args=[timeline.pk], current_app=model_admin.admin_site.name
    )
    fence = run_of(timeline, key).get("fence", 0) if verb.of_a_step else timeline.head
    form = _form(verb, request, fence)
    if request.method == "POST" and form.is_valid():
        _act(request, timeline, verb, key, fence, form.cleaned_data)
        return HttpResponseRedirect(page)
    if not verb.applies(timeline, key):
        messages.error(request, _has_moved_on(timeline, verb, key))
        return HttpResponseRedirect(page)
    question = verb.question % {"step": step_title(*split_key(key))}
    context = {
        "verb": verb,
        "form": form,
        "question": question,
        "effects": verb.effects(timeline, key),
        "page_url": page,
    }
    return model_admin.render(request, "confirm", timeline, context)


def _form(verb: Verb, request: HttpRequest, fence: int) -> ReasonForm:
    form = ReasonForm(request.POST if request.method == "POST" else None, initial={"fence": fence})
    form.fields["reason"].required = verb.needs_reason
    return form


def _act(request: HttpRequest, timeline: Timeline, verb: Verb, key: str, fence: int, asked: dict[str, object]) -> None:
    """Do it, unless the step has moved on since the person saw it: then they decide again on what is true now."""
    if verb.of_a_step and asked["fence"] != fence:
        messages.error(request, _has_moved_on(timeline, verb, key))
        return
    try:
        messages.success(request, verb.act(timeline, key, str(asked["reason"]), request.user))
    except Rejected as rejected:
        messages.error(request, " ".join(rejected.messages))
    except (Refused, Conflict) as refused:
        messages.error(request, str(refused))


def _has_moved_on(timeline: Timeline, verb: Verb, key: str) -> str:
    if not verb.of_a_step:
        return _("Nothing was done: the timeline is %(status)s.") % {"status": _(timeline.status)}
    name = split_key(key)
    words = {"step": step_title(*name), "status": _(str(step_status(timeline.state, *name)))}
    return _("Nothing was done: “%(step)s” has moved on since you saw it. It is %(status)s now.") % words
