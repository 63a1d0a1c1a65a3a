"""Pauses of everything or of one workflow, for the bad day: what the pages say of them, and how they begin and end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import registry
from ..actors import of_user
from ..engine import pause
from ..exceptions import Refused, Rejected
from ..models import Pause
from ..store import EVERYTHING
from . import words
from .forms import ReasonForm
from .verbs import VERBS

if TYPE_CHECKING:
    from .timelines import TimelineAdmin

_LIST = "admin:django_timelines_timeline_changelist"


@dataclass(frozen=True, slots=True)
class Banner:
    """A pause that a page warns of, of one workflow or of everything. ``url`` is where to end it, if this person may."""

    workflow: str
    sentence: str
    reason: str
    url: str


def pauses_of(workflow: str | None, using: str, user: Any, site_name: str) -> list[Banner]:
    """Return the pauses that there are, or those that hold the timelines of this workflow."""
    pauses = Pause.objects.using(using).order_by("workflow")
    if workflow is not None:
        pauses = pauses.filter(workflow__in=(EVERYTHING, workflow))
    may = user.has_perm(VERBS["pause"].permission)
    url = reverse("admin:django_timelines_timeline_resume_all", current_app=site_name)
    once = {registry.current(one.workflow): one for one in pauses}  # a renamed workflow is paused under all its names
    return [
        Banner(name, _sentence(one), one.reason, f"{url}?{urlencode({'workflow': name})}" if may else "")
        for name, one in once.items()
    ]


def _sentence(pause: Pause) -> str:
    names = {"what": _what(pause.workflow), "when": words.moment(pause.at), "who": pause.actor_label}
    return _("%(what)s is paused since %(when)s, by %(who)s.") % names


def _what(workflow: str) -> str:
    return words.workflow_title(workflow) if workflow else _("Everything")


class PauseForm(ReasonForm):
    """What is paused, and why."""

    workflow = forms.ChoiceField(label=gettext_lazy("What"), required=False)

    def __init__(self, data: Any, workflow: str) -> None:
        super().__init__(data)
        titles = sorted((words.workflow_title(label), label) for label in registry.everything())
        named = [(label, f"{title} ({label})") for title, label in titles]
        self.fields["workflow"].choices = [(EVERYTHING, _("Everything")), *named]  # type: ignore[attr-defined]
        self.initial["workflow"] = workflow
        self.fields["reason"].help_text = _("It is shown on the pages of all that is paused, with your name.")


def pause_all(model_admin: TimelineAdmin, request: HttpRequest) -> HttpResponse:
    """Ask what is paused and why, or do it."""
    _check(model_admin, request)
    form = PauseForm(request.POST if request.method == "POST" else None, request.GET.get("workflow", ""))
    if request.method == "POST" and form.is_valid() and _pause(request, form.cleaned_data):
        return _to_the_list(model_admin)
    sentences = [
        _("No attempt is begun from now on. What is being executed comes to its end."),
        _("Timelines can be started and steps called: they become due, and run once it is resumed."),
        _("Deadlines that pass meanwhile are settled once it is resumed."),
    ]
    context = {"question": _("Pause everything, or one workflow?"), "button": _("Pause"), "sentences": sentences}
    return _page(model_admin, request, context | {"form": form})


def _pause(request: HttpRequest, asked: dict[str, str]) -> bool:
    workflow, reason = asked["workflow"], asked["reason"]
    try:
        is_new = pause.pause_all(reason, workflow, of_user(request.user))
    except Rejected as rejected:
        messages.error(request, " ".join(rejected.messages))
        return False
    except Refused as refused:
        messages.error(request, str(refused))
        return False
    if not is_new:
        messages.warning(request, _("Nothing was done: %(what)s is paused already.") % {"what": _what(workflow)})
        return True
    _log(request, workflow, ADDITION, reason)
    messages.success(request, _("%(what)s is paused.") % {"what": _what(workflow)})
    return True


def resume_all(model_admin: TimelineAdmin, request: HttpRequest) -> HttpResponse:
    """Ask whether a pause of everything or of a workflow ends, or end it."""
    _check(model_admin, request)
    workflow = request.GET.get("workflow", EVERYTHING)
    found = Pause.objects.using(router.db_for_write(Pause)).filter(workflow=workflow) if "\x00" not in workflow else ()
    paused = next(iter(found), None)
    if paused is None:
        messages.error(request, _("Nothing was done: %(what)s is not paused.") % {"what": _what(workflow)})
        return _to_the_list(model_admin)
    form = ReasonForm(request.POST if request.method == "POST" else None, needs_reason=False)
    form.fields["reason"].help_text = _("It is kept with the recent actions of the admin, with your name.")
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        if pause.resume_all(workflow, reason=reason, actor=of_user(request.user)):
            _log(request, workflow, DELETION, reason)
        messages.success(request, _("%(what)s is resumed.") % {"what": _what(workflow)})
        return _to_the_list(model_admin)
    sentences = [
        _sentence(paused),
        _("The reason was: %(reason)s") % {"reason": paused.reason},
        _("All that is due goes on: the clock rings for it at once."),
    ]
    question = _("Resume %(what)s?") % {"what": words.workflow_title(workflow) if workflow else _("everything")}
    context = {"question": question, "button": _("Resume"), "sentences": sentences, "form": form}
    return _page(model_admin, request, context)


def _check(model_admin: TimelineAdmin, request: HttpRequest) -> None:
    if not model_admin.has_view_permission(request) or not request.user.has_perm(VERBS["pause"].permission):
        raise PermissionDenied


def _log(request: HttpRequest, workflow: str, flag: int, reason: str) -> None:
    """Note it among the admin's recent actions: it belongs to no timeline, so it is no event."""
    LogEntry.objects.create(
        user_id=str(request.user.pk),
        content_type=ContentType.objects.get_for_model(Pause),
        object_id=workflow,
        object_repr=_what(workflow)[:200],
        action_flag=flag,
        change_message=reason,
    )


def _page(model_admin: TimelineAdmin, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    page_url = reverse(_LIST, current_app=model_admin.admin_site.name)
    return model_admin.render(request, "ask", None, {**context, "page_url": page_url, "title": context["question"]})


def _to_the_list(model_admin: TimelineAdmin) -> HttpResponse:
    return HttpResponseRedirect(reverse(_LIST, current_app=model_admin.admin_site.name))
