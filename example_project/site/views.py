"""The index, and the code behind it to read."""

from __future__ import annotations

import inspect

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from example_project.coffee import workflows as coffee
from example_project.signup import views, workflows

from .highlight import highlight


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Say what this is and where to begin."""
    return render(request, "site/index.html", _layout())


@require_safe
def source(request: HttpRequest) -> HttpResponse:
    """Show the workflows, and the view that starts one: this very code runs."""
    code = {
        "workflow": highlight(inspect.getsource(workflows)),
        "coffee": highlight(inspect.getsource(coffee)),
        "view": highlight(inspect.getsource(views.sign_up)),
    }
    return render(request, "site/source.html", _layout() | code)


def _layout() -> dict[str, object]:
    """Return what the environment made of this project."""
    placements: dict[str, str] = settings.TIMELINES.get("PLACEMENT", {})
    return {"database": connection.display_name, "placements": placements}
