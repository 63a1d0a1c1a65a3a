"""The site's views. Each takes and answers JSON; what is refused is a 409 with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, JsonResponse

from django_timelines.models import Run
from django_timelines.workflows import Refused, StepStatus

from .workflows import WORKFLOWS

type_view = Callable[[dict[str, Any]], dict[str, Any]]


def answers(view: type_view) -> Callable[[HttpRequest], JsonResponse]:
    """Read what is asked, and answer a refusal with its reason."""

    @wraps(view)
    def answer(request: HttpRequest) -> JsonResponse:
        try:
            return JsonResponse(view(json.loads(request.body or "{}")))
        except Refused as refused:
            return JsonResponse({"reason": refused.reason}, status=409)

    return answer


@answers
def start(asked: dict[str, Any]) -> dict[str, Any]:
    """Begin a timeline."""
    workflow = WORKFLOWS[asked["workflow"]].using(key=asked["key"]).start(name=asked["name"])
    return {"timeline": str(workflow.pk)}


@answers
def call(asked: dict[str, Any]) -> dict[str, Any]:
    """Call a step by a key."""
    workflow = WORKFLOWS[asked["workflow"]].get(asked["timeline"])
    outcome = getattr(workflow, asked["step"]).using(key=asked["key"])(**asked["input"])
    return {"outcome": str(outcome)}


@answers
def operate(asked: dict[str, Any]) -> dict[str, Any]:
    """Retry or skip a run, or cancel its timeline."""
    workflow = WORKFLOWS[asked["workflow"]].get(asked["timeline"])
    if asked["verb"] == "cancel":
        workflow.timeline.cancel(reason="changed their mind", compensate=asked["workflow"] == "Order")
        return {}
    step = getattr(workflow, asked["step"])
    run = step[asked["item"]] if asked["item"] else step
    if asked["verb"] == "skip":
        run.skip(reason="done by hand")
    else:
        run.retry(reason="once more")
    return {}


@answers
def blocked(asked: dict[str, Any]) -> dict[str, Any]:
    """List what needs a person, and how much waits for workers."""
    runs = Run.objects.filter(status=StepStatus.BLOCKED).select_related("timeline")[:50]
    due = Run.objects.filter(status__in=(StepStatus.DUE, StepStatus.RUNNING, StepStatus.RETRYING)).count()
    listed = [[run.timeline.workflow.partition(".")[2], str(run.timeline_id), run.step, run.item] for run in runs]
    return {"blocked": listed, "due": due}
