"""The visitor's pages: one that starts a workflow, one of a timeline with what waits for the visitor, one of a single step.

Each posts to its own address and answers with a redirect. What goes wrong is shown on the page that was posted from.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import View

from .. import actors, frames, policy, registry
from ..engine.allowed import check_allowed
from ..engine.renames import brought_up
from ..exceptions import DeclarationError, NotAllowed, Refused, Rejected, Unknown
from ..forms import add_errors, form_class, input_of, make_form, was_sent
from ..models import Timeline
from ..outline import outline, title_of
from ..registry import Declaration
from ..state import run_key, split_key
from ..steps import Step
from ..store import snapshot_of
from ..workflows import Workflow
from . import calls as possible
from .calls import (
    KEY,
    SEEN,
    STEP,
    PossibleCall,
    call_id,
    carry_out,
    known_input,
    possible_call,
    possible_calls,
    waits_for,
    was_carried_out,
)
from .changes import changes_since
from .visible import check_call, form_key, may_view, other_of, sentences_of, status_of, too_late, viewer, visible

PAGE, STEP_PAGE, START_PAGE = (f"django_timelines/{name}.html" for name in ("timeline_page", "step_page", "start_page"))
LATE_PAGE = "django_timelines/call.html"


@method_decorator([never_cache, csrf_protect, sensitive_post_parameters()], name="dispatch")
class WorkflowView(View):
    """What the three have in common."""

    workflow: ClassVar[type[Workflow] | None] = None
    template_name = ""
    extra_context: ClassVar[dict[str, Any] | None] = None
    through: ClassVar[str] = "page"  # what the events say that a call came through

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, and let events say what they came through."""
        with actors.through(self.through):
            return super().dispatch(request, *args, **kwargs)

    def get_template_names(self, declaration: Declaration | None, *names: str) -> list[str]:
        """Return where the template is looked for: ``<app>/<workflow>_<name>.html`` for each name."""
        if self.template_name:
            return [self.template_name]
        if declaration is None:
            return []
        app, _dot, workflow = declaration.label.partition(".")
        return [f"{app}/{workflow.lower()}_{name}.html" for name in names]

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        """Return what templates are given."""
        return {"view": self} | context | (self.extra_context or {})

    def get_success_url(self, workflow: Any) -> str:
        """Return where a call leads: to the timeline's page."""
        return str(workflow.get_absolute_url())


class StartView(WorkflowView):
    """Begin a workflow: ``path("donate/<int:campaign>/", StartView.as_view(workflow=Donation))``.

    It asks for the entry step's parameters. One that the address gives is not asked for; a template finds it by its name.
    """

    form_class: ClassVar[Any] = None  # instead of the step's own
    _other: Timeline | None = None  # which is in the way of this one, for those who may see it

    @sensitive_variables()
    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show the form."""
        declaration, entry = self._entry()
        known = self._known(declaration, entry)
        return self._page(declaration, entry, known, self._form(declaration, entry, None, known))

    @sensitive_variables()
    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """Begin a timeline with it and go to its page. The same form sent twice begins one."""
        declaration, entry = self._entry()
        known = self._known(declaration, entry)
        form = self._form(declaration, entry, request.POST, known)
        key = form_key(request, KEY)
        if form.is_valid():
            try:
                begun = declaration.workflow.using(key=key).start(**input_of(form, entry) | known)
            except Rejected as rejected:
                add_errors(form, rejected)
                self._other = other_of(request, rejected)
            except NotAllowed:
                raise
            except Refused:  # somebody went back to the form and changed it
                key = uuid.uuid4().hex
                form.add_error(None, _("This form was sent already. Send it again to begin another time."))
            else:
                return HttpResponseRedirect(self.get_success_url(begun))
        elif begun := self._begun(declaration, entry, form, key, known):
            return HttpResponseRedirect(self.get_success_url(begun))
        return self._page(declaration, entry, known, form, key)

    @sensitive_variables()
    def _begun(self, declaration: Declaration, entry: Step[...], form: Any, key: str, known: dict[str, Any]) -> Any:
        """Return what a form that is not valid began when it was sent first: it may have taken what it looks for itself."""
        with suppress(Unknown):
            begun = declaration.workflow.get(key=key)
            if was_sent(form, declaration, begun.timeline, entry.name, "", known):
                check_allowed(entry, None, None)
                actors.note_started(begun.pk)
                return begun
        return None

    def _entry(self) -> tuple[Declaration, Step[...]]:
        if self.workflow is None:
            raise DeclarationError("A StartView begins one workflow: StartView.as_view(workflow=Donation).")
        declaration = self.workflow._declaration
        return declaration, declaration.step(declaration.graph.entry.name)

    def _known(self, declaration: Declaration, entry: Step[...]) -> dict[str, Any]:
        try:
            return known_input(entry, declaration.inputs[entry.name], self.kwargs)
        except ValidationError:
            raise Http404(_("There is nothing to begin with.")) from None

    @sensitive_variables()
    def _form(self, declaration: Declaration, entry: Step[...], data: Any, known: dict[str, Any]) -> Any:
        return make_form(self.form_class or form_class(declaration, entry), data, without=known)

    @sensitive_variables()
    def _page(
        self, declaration: Declaration, entry: Step[...], known: dict[str, Any], form: Any, key: str = ""
    ) -> HttpResponse:
        call = PossibleCall(
            run="",
            title=title_of(entry.name),
            about=entry.doc.partition("\n")[0],
            id=f"timelines-call-{entry.name}",
            form=form,
            seen=0,
            key=key or uuid.uuid4().hex,
            other=self._other,
        )
        about = (declaration.workflow.__doc__ or "").strip().partition("\n")[0]
        context = {"title": declaration.title, "about": about, "call": call, "calls": [call], "form": form}
        names = [*self.get_template_names(declaration, entry.name), START_PAGE]
        return render(self.request, names, self.get_context_data(**known | context))


@method_decorator(login_not_required, name="dispatch")  # the policy says who may see a timeline
class CallingView(WorkflowView, ABC):
    """A page on which steps of one timeline are called."""

    @sensitive_variables()
    def post(self, request: HttpRequest, pk: uuid.UUID, **kwargs: Any) -> HttpResponseBase:
        """Call the step with what the form says, and go to the timeline's page; or say what is wrong, on this one."""
        try:
            timeline, declaration = self._timeline(pk)
        except Http404:
            if policy.has_called(
                viewer(request)[1], request.POST.get(KEY, "")
            ):  # sent twice: with the first it was theirs
                return HttpResponseRedirect(reverse("timelines:mine"))
            if late := self._too_late(pk):
                return late
            raise
        asked = split_key(self._asked_run(request))
        name = declaration.now_called(asked.step, timeline.state) if declaration else ""
        if declaration is None or name not in declaration.steps:
            return self._page(timeline, declaration, notes=[_("There is no such step any more.")], status=404)
        run = run_key(name, asked.item, asked.round)
        try:
            check_call(request, timeline, run)
        except Refused as refused:
            return self._page(timeline, declaration, notes=sentences_of(refused), status=status_of(refused))
        if name != asked.step:  # the form was opened before a release that renamed the step
            brought_up(declaration, snapshot_of(timeline))
            timeline.refresh_from_db()
        call = self._call(timeline, declaration, run, request.POST)
        call.key, call.seen = form_key(request, KEY), frames.read_sequence(request.POST.get(SEEN))
        is_valid = call.form.is_valid()
        try:
            if (carry_out if is_valid else was_carried_out)(request, declaration, timeline, call):
                timeline.refresh_from_db()
                return HttpResponseRedirect(self.get_success_url(declaration.make(timeline)))
        except Refused as refused:
            return self._refused(timeline, declaration, call, refused)
        return self._again(timeline, declaration, call) if is_valid else self._page(timeline, declaration, call)

    def get_success_url(self, workflow: Any) -> str:
        """Return where a call leads: to the timeline's page; whoever may see that no longer, to what waits for them."""
        may_see = may_view(self.request, workflow.timeline)
        return super().get_success_url(workflow) if may_see else reverse("timelines:mine")

    @sensitive_variables()
    def _too_late(self, pk: uuid.UUID) -> HttpResponse | None:
        """Tell one of several who might have done the step that it is too late, and nothing else of the timeline."""
        timeline = frames.find(pk, router.db_for_write(Timeline))
        declaration = registry.find(timeline.workflow) if timeline else None
        if timeline is None or declaration is None or not self._is_of_ours(timeline):
            return None
        asked = split_key(self._asked_run(self.request))
        run = run_key(declaration.now_called(asked.step, timeline.state), asked.item, asked.round)
        refused = too_late(self.request, declaration, timeline, run)
        if refused is None:
            return None
        call = self._call(timeline, declaration, run, self.request.POST)
        call.seen = frames.read_sequence(self.request.POST.get(SEEN))
        told = {"title": call.title, "about": call.about, "workflow_title": declaration.title}
        context = told | {"call": call, "calls": [call], "form": call.form, "notes": sentences_of(refused)}
        return render(self.request, LATE_PAGE, self.get_context_data(**context), status=status_of(refused))

    def _is_of_ours(self, timeline: Timeline) -> bool:
        return self.workflow is None or timeline.workflow in self.workflow._declaration.names

    def _timeline(self, pk: uuid.UUID) -> tuple[Timeline, Declaration | None]:
        timeline = visible(self.request, pk)
        if not self._is_of_ours(timeline):
            raise Http404(_("There is no such timeline, or it is not yours to see."))
        return timeline, registry.find(timeline.workflow)

    @abstractmethod
    def _asked_run(self, request: HttpRequest) -> str:
        """Return the key of the run that the request is about."""

    @sensitive_variables()
    def _call(self, timeline: Timeline, declaration: Declaration, run: str, data: Any = None) -> PossibleCall:
        return possible_call(self.request, timeline, declaration, run, data=data)

    @abstractmethod
    def _page(
        self,
        timeline: Timeline,
        declaration: Declaration | None,
        call: PossibleCall | None = None,
        notes: list[str] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        """Draw the page, with this call's form as it was sent."""

    def _told(
        self, timeline: Timeline, declaration: Declaration | None, calls: list[PossibleCall], notes: list[str] | None
    ) -> dict[str, Any]:
        """Return what a template is told of a timeline, by whichever view it is drawn."""
        drawn, first = outline(timeline), calls[0] if calls else None
        return {
            "timeline": timeline,
            "workflow": declaration.make(timeline) if declaration else None,
            "outline": drawn,
            "steps": drawn.lines,
            "calls": calls,
            "call": first,
            "form": first.form if first else None,
            "notes": notes or [],
        }

    def _again(self, timeline: Timeline, declaration: Declaration, call: PossibleCall) -> HttpResponse:
        """Show the form again after the step said no to it."""
        timeline.refresh_from_db()
        call.id, call.seen = call_id(timeline, call.run), timeline.head
        call.other = other_of(self.request, call.rejected)
        return self._page(timeline, declaration, call)

    def _refused(
        self, timeline: Timeline, declaration: Declaration, call: PossibleCall, refused: Refused
    ) -> HttpResponse:
        """Say why it cannot be called, and what has changed since the form was made. What was typed stays if it may be sent."""
        seen = timeline.head if call.seen is None else call.seen
        timeline.refresh_from_db()
        notes = [*sentences_of(refused), *changes_since(timeline, seen)]
        waits = waits_for(self.request, timeline, declaration, call.run)
        call.id, call.seen, call.key = call_id(timeline, call.run), timeline.head, uuid.uuid4().hex
        return self._page(timeline, declaration, call if waits else None, notes, status_of(refused))


class TimelineView(CallingView):
    """The page of a timeline: where it stands, and the forms of the steps that wait for this visitor.

    While one waits, the template is ``<app>/<workflow>_<step>.html``; else, or without it, ``<app>/<workflow>_timeline.html``.
    """

    def get(self, request: HttpRequest, pk: uuid.UUID, **kwargs: Any) -> HttpResponse:
        """Show it as it is now."""
        return self._page(*self._timeline(pk))

    def _asked_run(self, request: HttpRequest) -> str:
        return request.POST.get(STEP, "")

    def _page(
        self,
        timeline: Timeline,
        declaration: Declaration | None,
        call: PossibleCall | None = None,
        notes: list[str] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        calls = possible_calls(self.request, timeline, declaration, call) if declaration else []
        told = self._told(timeline, declaration, calls, notes)
        context = self.get_context_data(**told, more_calls=possible.more_calls(self.request, timeline, calls))
        waiting = [split_key(calls[0].run)[0]] if calls else []
        names = [*self.get_template_names(declaration, *waiting, "timeline"), PAGE]
        return render(self.request, names, context, status=status)


class StepView(CallingView):
    """The page of one step: ``path("orders/<uuid:pk>/pay/", StepView.as_view(workflow=Order, step="pay"))``.

    Where the step does not wait for this visitor, it leads to the timeline's page.
    """

    step: ClassVar[str] = ""
    item = ""
    form_class: ClassVar[Any] = None  # instead of the step's own

    def get(self, request: HttpRequest, pk: uuid.UUID, **kwargs: Any) -> HttpResponseBase:
        """Show the form; where there is nothing to call, lead to the timeline's page."""
        timeline, declaration = self._timeline(pk)
        run = self._asked_run(request)
        if declaration is None or not waits_for(request, timeline, declaration, run):
            return HttpResponseRedirect(timeline.get_absolute_url())
        return self._page(timeline, declaration, self._call(timeline, declaration, run))

    def _asked_run(self, request: HttpRequest) -> str:
        if self.workflow is None or self.step not in self.workflow._declaration.steps:
            raise DeclarationError('A StepView calls one step: StepView.as_view(workflow=Order, step="pay").')
        item = self.kwargs.get("item", "")
        return f"{self.step}[{item}]" if item else self.step

    @sensitive_variables()
    def _call(self, timeline: Timeline, declaration: Declaration, run: str, data: Any = None) -> PossibleCall:
        return possible_call(self.request, timeline, declaration, run, self.form_class, data)

    def _page(
        self,
        timeline: Timeline,
        declaration: Declaration | None,
        call: PossibleCall | None = None,
        notes: list[str] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        told = self._told(timeline, declaration, [call] if call else [], notes)
        context = self.get_context_data(**told, more_calls="", title=title_of(self.step))
        names = [*self.get_template_names(declaration, self.step), STEP_PAGE]
        return render(self.request, names, context, status=status)


@login_not_required
def start(request: HttpRequest, workflow: str) -> HttpResponseBase:
    """Begin any workflow by its label, for a first try: see ``policy.may_start``."""
    declaration = registry.find(workflow)
    if declaration is None or not policy.may_start(declaration, viewer(request)[0]):
        raise Http404(_("There is no such workflow, or it is not yours to begin."))
    return StartView.as_view(workflow=declaration.workflow)(request)
