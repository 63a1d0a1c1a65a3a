"""The outbox page. A demo's stand-in for everybody's mailbox: a real site has no such page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .models import Mail

SHOWN = 50


@require_safe
@never_cache
def outbox(request: HttpRequest) -> HttpResponse:
    """Show the newest mails."""
    return render(request, "outbox/outbox.html", {"mails": Mail.objects.all()[:SHOWN]})
