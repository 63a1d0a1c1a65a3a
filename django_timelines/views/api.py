"""The same calls as JSON: list, show, begin, call, and the events since. The same policy, the same refusals.

Who asks is whom Django's session says, and what changes something needs the CSRF token, as any form does. Inputs and fields
are in no answer: a page, or a view of the site's own, shows what is whose business.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, RequestDataTooBig, ValidationError
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from .. import actors, frames, policy, registry
from ..engine import assign as giving
from ..engine.asked import Options
from ..engine.assignee import user_named
from ..exceptions import NotAllowed, Refused, Rejected, Unknown
from ..models import Timeline
from ..outline import Line, outline
from ..registry import Declaration
from ..runs import can_be_stored
from ..state import Outcome, TimelineStatus, split_key, waits_for_call
from ..steps import Step
from ..store import snapshot_of
from ..workflows import BoundStep
from .visible import (
    check_call,
    conflicts_refused,
    may_call,
    may_view,
    other_of,
    sentences_of,
    status_of,
    viewer,
    visible,
)

PAGE = 50  # timelines in one answer
MOST_EVENTS = 200
type_view = Callable[..., HttpResponse]


def answered(view: type_view) -> type_view:
    """Answer as JSON what is refused, too."""

    @login_not_required
    @never_cache
    @csrf_protect
    @wraps(view)
    @sensitive_variables()
    def answer(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            with actors.through("api"), conflicts_refused():
                return view(request, **kwargs)
        except Refused as refused:
            message = " ".join(sentences_of(refused))
            return _error(status_of(refused), refused.reason, message, _more(request, refused))
        except BadRequest as error:
            return _error(400, "malformed", str(error))
        except Http404 as error:
            return _error(404, "unknown_timeline", str(error))

    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@answered
def timelines(request: HttpRequest) -> HttpResponse:
    """GET: list the timelines that are this caller's to see, the newest first. POST: begin one."""
    return _begin(request) if request.method == "POST" else _list(request)


@require_safe
@answered
def timeline(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one: where it stands, and each step, with what it takes if this caller may call it."""
    return JsonResponse(_shown(request, visible(request, pk)))


@require_safe
@answered
def events(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer what has happened after an event (``?after=7``), the oldest first, without payloads."""
    shown = visible(request, pk)
    after = frames.read_sequence(request.GET.get("after", "0"))
    if after is None:
        raise BadRequest(_("after= is the sequence of an event: a whole number from 0."))
    until = after + MOST_EVENTS
    found = frames.described(shown, sequence__gt=after, sequence__lte=min(until, shown.head))
    return JsonResponse({"sequence": shown.head, "status": shown.status, "more": until < shown.head, "events": found})


@require_POST
@answered
@sensitive_variables()
def step(request: HttpRequest, pk: uuid.UUID, run: str) -> HttpResponse:
    """Call a step: ``{"input": {"amount": 5}, "key": "evt_17", "seen": 7}``, of which each may be left out."""
    shown, asked = visible(request, pk), _body(request, "input", "key", "seen")
    declaration, (name, item, round) = _declared(shown), split_key(run)
    declaration.step(name)
    check_call(request, shown, run)
    seen = asked.get("seen")
    if seen is not None and type(seen) is not int:
        raise BadRequest(_("seen is the sequence of an event: a whole number."))
    options = Options(_text(asked, "key"), seen=seen, outside=True)
    bound: BoundStep[...] = BoundStep(declaration.make(shown), declaration.current(name), item, round, options)
    outcome = bound(**_input(asked, declaration.step(name)))
    shown.refresh_from_db()
    status = 202 if outcome in (Outcome.DUE, Outcome.KEPT, Outcome.RETRYING) else 200
    return JsonResponse({"outcome": outcome} | _shown(request, shown), status=status)


@require_POST
@answered
def assign(request: HttpRequest, pk: uuid.UUID, run: str) -> HttpResponse:
    """Give a step to somebody, by name, or to nobody: ``{"to": "ada", "reason": "she knows them"}``, ``{"to": null}``."""
    if not policy.may_assign(viewer(request)[0]):
        raise NotAllowed(_("It is not yours to say whose a step is."))
    shown, asked = visible(request, pk), _body(request, "to", "reason")
    if "to" not in asked:
        raise BadRequest(_("Send to: a user's name, or null."))
    user = None if asked["to"] is None else user_named(_text(asked, "to"))
    _declared(shown)
    giving.assign(snapshot_of(shown), split_key(run), user, None, _text(asked, "reason"))
    shown.refresh_from_db()
    return JsonResponse(_shown(request, shown))


def _declared(shown: Timeline) -> Declaration:
    """Return the timeline's class; ``Unknown`` if the code no longer has it. Which others there are is nobody's to know."""
    declaration = registry.find(shown.workflow)
    if declaration is None:
        raise Unknown(_("The code no longer has the workflow of this timeline."), "unknown_workflow")
    return declaration


@sensitive_variables()
def _begin(request: HttpRequest) -> HttpResponse:
    """Begin a timeline: ``{"workflow": "shop.Order", "input": {…}, "key": "<a random UUID>"}``."""
    asked = _body(request, "workflow", "input", "key")
    declaration = registry.find(_text(asked, "workflow"))
    if declaration is None or not policy.may_start(declaration, viewer(request)[0]):
        raise Unknown(_("There is no such workflow, or it is not yours to begin."), "unknown_workflow")
    entry = declaration.step(declaration.graph.entry.name)
    begun = declaration.workflow.using(key=_start_key(asked)).start(**_input(asked, entry))
    policy.remember(getattr(request, "session", None), [begun.pk.hex])  # the middleware does so once this is answered
    answer = JsonResponse(_shown(request, begun.timeline), status=201)
    answer["Location"] = reverse("timelines:api_timeline", args=[begun.pk])
    return answer


def _list(request: HttpRequest) -> HttpResponse:
    rows = policy.known_to(Timeline.objects.using(router.db_for_write(Timeline)), *viewer(request))
    if workflow := _asked(request, "workflow"):
        declaration = registry.find(workflow)
        rows = rows.filter(workflow__in=declaration.names if declaration else [workflow])
    if status := _asked(request, "status"):
        if status not in [*TimelineStatus]:
            raise BadRequest(_("status= is one of %(known)s.") % {"known": ", ".join(TimelineStatus)})
        rows = rows.filter(status=status)
    if before := _asked(request, "before"):
        try:
            rows = rows.filter(pk__lt=uuid.UUID(before))
        except ValueError:
            raise BadRequest(_("before= is the id of a timeline.")) from None
    found = list(rows.order_by("-pk")[: PAGE + 1])
    shown = [_summary(row) for row in found[:PAGE] if may_view(request, row)]
    return JsonResponse({"timelines": shown, "before": str(found[PAGE - 1].pk) if len(found) > PAGE else None})


def _asked(request: HttpRequest, name: str) -> str:
    asked = request.GET.get(name, "")
    if not can_be_stored(asked):
        raise BadRequest(_("%(name)s= holds what is no text.") % {"name": name})
    return asked


def _summary(row: Timeline) -> dict[str, Any]:
    declaration = registry.find(row.workflow)
    return {
        "id": str(row.pk),
        "workflow": row.workflow,
        "title": declaration.title if declaration else row.workflow,
        "status": row.status,
        "sequence": row.head,
        "started_at": row.started_at,
        "changed_at": row.changed_at,
        "url": row.get_absolute_url(),
    }


def _shown(request: HttpRequest, row: Timeline) -> dict[str, Any]:
    drawn, declaration = outline(row), registry.find(row.workflow)
    steps = [_step(request, row, declaration, line) for line in drawn.lines]
    return _summary(row) | {"explanation": drawn.sentence, "steps": steps}


def _step(request: HttpRequest, row: Timeline, declaration: Declaration | None, line: Line) -> dict[str, Any]:
    name, item, _round = split_key(line.name)
    shown: dict[str, Any] = {"run": line.name, "step": name, "item": item, "title": line.title, "status": line.status}
    shown |= {"attempt": line.attempt, "due": line.due, "until": line.until, "errors": line.errors}
    if policy.may_assign(viewer(request)[0]):
        shown["assigned"] = line.assigned or None
    callable = waits_for_call(row.state, line.name) and declaration is not None and may_call(request, row, line.name)
    shown["may_call"] = callable
    if callable and declaration is not None:
        shown["parameters"] = [
            {"name": parameter.name, "required": parameter.required} for parameter in declaration.step(name).parameters
        ]
    return shown


@sensitive_variables()
def _body(request: HttpRequest, *known: str) -> dict[str, Any]:
    """Read the request's JSON object; ``BadRequest`` says what is wrong with it."""
    if request.content_type != "application/json":
        raise BadRequest(_("Send application/json."))
    try:
        asked = json.loads(request.body)
    except RequestDataTooBig:
        raise BadRequest(_("This is too large.")) from None
    except UnreadablePostError:
        raise BadRequest(_("This has not come to its end.")) from None
    except (ValueError, RecursionError):
        raise BadRequest(_("This is no JSON.")) from None
    if not isinstance(asked, dict) or (set(asked) - set(known)):
        raise BadRequest(_("Send an object with %(names)s.") % {"names": ", ".join(known)})
    return asked


@sensitive_variables()
def _input(asked: dict[str, Any], step: Step[...]) -> dict[str, Any]:
    given = asked.get("input", {})
    if not isinstance(given, dict):
        raise BadRequest(_("input is an object: a value for each parameter."))
    names = [parameter.name for parameter in step.parameters]
    if unknown := [name for name in given if name not in names]:
        words = {"step": step.name, "names": ", ".join(names) or _("nothing"), "unknown": ", ".join(unknown)}
        raise Rejected(_("“%(step)s” takes %(names)s, not %(unknown)s.") % words, "wrong_input")
    return given


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise BadRequest(_("%(name)s is a text.") % {"name": name})
    return value


def _start_key(asked: dict[str, Any]) -> str:
    """Return the key of a start. Nobody can guess another's: whoever knows it is shown the timeline that it began."""
    key = _text(asked, "key")
    try:
        return uuid.UUID(key).hex if key else ""
    except ValueError:
        raise Rejected(_("The key of a start is a random UUID."), "invalid_key") from None


def _more(request: HttpRequest, refused: Refused) -> dict[str, Any]:
    """Say what is wrong with each field, and which timeline is in the way, if the caller may see that one."""
    fields = refused.message_dict if isinstance(refused, ValidationError) and hasattr(refused, "error_dict") else {}
    other = other_of(request, refused)
    return ({"fields": fields} if fields else {}) | ({"timeline": str(other.pk)} if other else {})


def _error(status: int, reason: str, message: str, more: dict[str, Any] | None = None) -> JsonResponse:
    return JsonResponse({"error": {"reason": reason, "message": message} | (more or {})}, status=status)
