"""What all views have in common: the timeline that somebody may see, and how a refusal is answered."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import router
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from .. import conf, frames, policy, registry
from ..engine.assignee import not_theirs
from ..engine.behind import refuse_if_behind
from ..engine.judge import refusal
from ..events import EventType
from ..exceptions import Conflict, NotAllowed, NotUnique, Refused
from ..items import run_of
from ..models import Event, Timeline
from ..registry import Declaration
from ..state import StepStatus, split_key

_FORM_KEY = re.compile(r"[0-9a-f]{32}")
_STATUS_OF = {"forged": 404, "unknown": 404, "unknown_timeline": 404, "unknown_step": 404, "unknown_workflow": 404}
_STATUS_OF |= {"unknown_item": 404, "unknown_round": 404}
_STATUS_OF |= {
    "settled": 410,
    "superseded": 410,
    "revoked": 410,
    "overdue": 410,
    "not_allowed": 403,
    "assigned": 403,
    "invalid": 400,
    "wrong_input": 400,
    "invalid_key": 400,
}


def status_of(refused: Refused) -> int:
    """Return the HTTP status that says what the refusal's reason says. Most are a conflict."""
    return _STATUS_OF.get(refused.reason, 409)


def sentences_of(refused: Refused) -> list[str]:
    """Return what a refusal says to people."""
    return list(getattr(refused, "messages", None) or [str(refused)])


@contextmanager
def conflicts_refused() -> Iterator[None]:
    """Turn a conflict into a refusal: nothing was written, and the same may be sent again."""
    try:
        yield
    except Conflict:
        said = _("Others have moved this on at the same moment, and nothing was done. Send it again.")
        raise Refused(said, "conflict") from None


def other_of(request: HttpRequest, refused: Refused | None) -> Timeline | None:
    """Return the timeline that a refusal names, if there is one and this visitor may see it."""
    if not isinstance(refused, NotUnique):
        return None
    other = Timeline.objects.filter(pk=refused.timeline).first()
    return other if other is not None and may_view(request, other) else None


def form_key(request: HttpRequest, name: str) -> str:
    """Return the key of the form that was sent, so that a double click counts once; a new one for any other request.

    Without a key of its own, whoever comes second with the same input would be answered as if they had been the first.
    """
    sent = request.POST.get(name, "")
    return sent if _FORM_KEY.fullmatch(sent) else uuid.uuid4().hex


def visible(request: HttpRequest, id: uuid.UUID) -> Timeline:
    """Return the timeline, or the same 404 whether there is none or it is somebody else's."""
    timeline = frames.find(id, router.db_for_write(Timeline))
    if timeline is None or not may_view(request, timeline):
        raise Http404(_("There is no such timeline, or it is not yours to see."))
    return timeline


def may_view(request: HttpRequest, timeline: Timeline) -> bool:
    """Ask the policy for whoever sent the request."""
    return policy.may_view(timeline, *viewer(request))


def may_call(request: HttpRequest, timeline: Timeline, run: str) -> bool:
    """Ask the policy for whoever sent the request."""
    return policy.may_call(timeline, run, *viewer(request))


def check_call(request: HttpRequest, timeline: Timeline, run: str) -> None:
    """See that whoever sent the request may call this run. ``Refused`` says whose it is, if they are somebody we know."""
    if may_call(request, timeline, run):
        return
    refuse_if_behind(registry.find(timeline.workflow), timeline.state)
    has = run_of(timeline, run).get("assigned")
    step = split_key(run)[0]
    if has and getattr(viewer(request)[0], "is_authenticated", False):
        raise not_theirs(step, has["label"])
    raise NotAllowed(_("“%(step)s” is not yours to call.") % {"step": step.replace("_", " ")})


def too_late(request: HttpRequest, declaration: Declaration, timeline: Timeline, run: str) -> Refused | None:
    """Return why a step cannot be called any more, to one of those for whom it has waited; None to anybody else.

    Where the site says itself who may see a timeline, nobody can tell whether they might have: None, too.
    """
    if not conf.children_are_seen() or "runs" not in timeline.state or "erased" in timeline.state:
        return None
    if not may_call(request, timeline, run) or not policy.is_for(timeline, run, viewer(request)[0]):
        return None
    name, status = split_key(run), StepStatus(run_of(timeline, run).get("status", StepStatus.UPCOMING))
    due = Event.objects.using(timeline.using).filter(timeline=timeline.pk, type=EventType.STEP_DUE, item=name.item)
    due = due.filter(step__in=declaration.names_of(name.step))
    has_waited = any(data.get("waiting") for data in due.values_list("data", flat=True))
    if not has_waited or status in (StepStatus.UPCOMING, StepStatus.WAITING):
        return None
    return refusal(declaration, timeline.state, name, status)


def viewer(request: HttpRequest) -> tuple[Any, Any]:
    """Return user and session of a request; None for what the site has no middleware for."""
    return getattr(request, "user", None), getattr(request, "session", None)
