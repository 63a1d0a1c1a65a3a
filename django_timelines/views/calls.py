"""What waits for whoever looks at a timeline: its steps that they may call now, each with its form."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables

from .. import policy
from ..actors import Actor
from ..engine.asked import Options
from ..exceptions import Rejected
from ..forms import add_errors, form_class, initial_of, input_of, make_form, was_sent
from ..items import count_waiting, read_named, run_of, waiting_keys
from ..links import CallLink
from ..models import Timeline
from ..outline import run_title, said
from ..registry import Declaration
from ..state import Outcome, split_key, waits_for_call
from ..steps import Step
from ..workflows import BoundStep
from .visible import conflicts_refused, may_call, viewer

STEP, KEY, SEEN = "timelines-step", "timelines-key", "timelines-seen"
MOST_CALLS = 20  # items of a step of which a page has the forms
WAIT = 2  # seconds for which an answer is held back while a worker is about to have the next page ready


@dataclass
class PossibleCall:
    """A step that may be called, as templates draw it. ``id`` stays the same for as long as the step waits for this call."""

    run: str
    title: str
    about: str
    id: str
    form: Any
    seen: int | None  # the newest event that the page knew of
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    errors: tuple[str, ...] = ()  # what a worker said to the last input
    rejected: Rejected | None = None  # what the step said to this one
    other: Timeline | None = None  # which is in its way, for those who may see it

    @property
    def token(self) -> SafeString:
        """What the form sends besides its fields: which step, a key that lets it count once, and what it was made for."""
        sent = ((STEP, self.run), (KEY, self.key), (SEEN, self.seen))
        return format_html_join("", '<input type="hidden" name="{}" value="{}">', (pair for pair in sent if pair[1]))

    @property
    def asks(self) -> bool:
        """Tell whether there is something to fill in."""
        return bool(self.form.visible_fields())

    @property
    def is_wrong(self) -> bool:
        """Tell whether something is to be mended."""
        return bool(self.errors or self.form.errors)


def possible_calls(
    request: HttpRequest, timeline: Timeline, declaration: Declaration, sent: PossibleCall | None = None
) -> list[PossibleCall]:
    """Return what waits for this visitor, in the order of the class; of a step with many items ``MOST_CALLS`` at most.

    ``sent``: this one as it was sent, wherever in a long list it stands.
    """
    steps = [name for name, step in declaration.steps.items() if step.waits]
    waiting = [run for name in steps for run in waiting_keys(timeline, name, MOST_CALLS, user_key(request))]
    if sent is not None and sent.run not in waiting and waits_for(request, timeline, declaration, sent.run):
        waiting.insert(0, sent.run)
    runs = [run for run in waiting if may_call(request, timeline, run)]
    return [
        sent if sent is not None and run == sent.run else possible_call(request, timeline, declaration, run)
        for run in runs
    ]


def waits_for(request: HttpRequest, timeline: Timeline, declaration: Declaration, run: str) -> bool:
    """Tell whether this run waits for this visitor."""
    read_named(timeline, [run])
    waits = waits_for_call(timeline.state, run) and split_key(run).step in declaration.steps
    return waits and may_call(request, timeline, run)


def more_calls(request: HttpRequest, timeline: Timeline, calls: list[PossibleCall]) -> str:
    """Say how many more items wait of the steps of which as many as fit are shown; nothing if none does."""
    shown = Counter(split_key(call.run).step for call in calls)
    full = {step: number for step, number in shown.items() if number >= MOST_CALLS}
    more = sum(max(0, count_waiting(timeline, step, user_key(request)) - full[step]) for step in full)
    number = number_format(more, force_grouping=True)
    return ngettext("And %(count)s more waits.", "And %(count)s more wait.", more) % {"count": number} if more else ""


def user_key(request: HttpRequest) -> str:
    """Return the primary key of whoever is logged in; empty for anybody else."""
    user = viewer(request)[0]
    return str(user.pk) if getattr(user, "is_authenticated", False) else ""


def call_id(timeline: Timeline, run: str) -> str:
    """Return the id of a call's form: the same for as long as the step waits for this call."""
    return f"timelines-{split_key(run).step}-{run_of(timeline, run).get('fence', 0)}"


@sensitive_variables()
def possible_call(
    request: HttpRequest,
    timeline: Timeline,
    declaration: Declaration,
    run: str,
    form: type[Any] | None = None,
    data: Any = None,
) -> PossibleCall:
    """Return the call of this step, with its form as it is now, or with what was typed (``data``).

    Where the step comes back it has what was typed before, in this session and by nobody else.
    """
    step, session = declaration.step(split_key(run)[0]), viewer(request)[1]
    known = {}
    if data is None:
        known = initial_of(declaration, timeline, run, lambda key: policy.has_called(session, key))
    made = make_form(form or form_class(declaration, step), data, initial=known)
    id = call_id(timeline, run)
    made.auto_id = f"{id}-%s"  # several forms on one page
    return PossibleCall(
        run=run,
        title=run_title(run),
        about=step.doc.partition("\n")[0],
        id=id,
        form=made,
        seen=timeline.head,
        errors=said(run_of(timeline, run).get("errors")) if data is None else (),
    )


@sensitive_variables()
def carry_out(
    request: HttpRequest,
    declaration: Declaration,
    timeline: Timeline,
    call: PossibleCall,
    *,
    actor: Actor | None = None,
    link: CallLink | None = None,
) -> bool:
    """Call the step with what its valid form says; tell whether the step took it. ``Refused`` if it cannot be called."""
    policy.remember_call(viewer(request)[1], call.key)
    run = split_key(call.run)
    step = declaration.step(run.step)
    options = Options(call.key, actor, link is not None, call.seen, link, outside=link is None)
    bound: BoundStep[...] = BoundStep(declaration.make(timeline), *run, options)
    try:
        with conflicts_refused():
            outcome = bound(**input_of(call.form, step))
        if outcome is Outcome.DUE:
            bound.wait(WAIT)
    except Rejected as rejected:
        add_errors(call.form, rejected)
        call.rejected = rejected
        return False
    return True


def was_carried_out(request: HttpRequest, declaration: Declaration, timeline: Timeline, call: PossibleCall) -> bool:
    """Tell whether the step was called with this form, which is not valid now, when it was sent first."""
    timeline.refresh_from_db()
    run, _digest = timeline.state.get("keys", {}).get(call.key, ("", ""))
    if run != call.run or not was_sent(call.form, declaration, timeline, run, call.key):
        return False
    policy.remember_call(viewer(request)[1], call.key)
    return True


def known_input(step: Step[...], declared: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an address says of a step's parameters, as their types have it; ``ValidationError`` for what none is."""
    names = [parameter.name for parameter in step.parameters if parameter.name in kwargs]
    return {name: declared[name].check(kwargs[name]) for name in names}
