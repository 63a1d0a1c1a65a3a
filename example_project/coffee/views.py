"""Ordering, and the barista's side of the counter. What happens between is in ``workflows.py``."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from django_timelines.workflows import Refused

from .forms import OrderForm
from .models import Machine, Unplugged
from .workflows import Order

SHOWN = 50


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def order(request: HttpRequest) -> HttpResponse:
    """Show the form, or begin an order with it and go to its page."""
    form = OrderForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        token = form.cleaned_data.pop("token")
        try:
            order = Order.using(key=str(token)).start(**form.cleaned_data)
        except Refused:  # somebody went back to the form and changed it
            form.renew()
            form.add_error(None, "This form was sent already. Send it again for another order.")
        else:
            return redirect(order)
    return render(request, "coffee/order.html", {"form": form})


@require_safe
@never_cache
@staff_member_required
def counter(request: HttpRequest) -> HttpResponse:
    """Show the orders that wait to be handed over, the oldest first, and the machines' plugs."""
    waiting = Order.timelines.waiting_for("hand_over").order_by("id")
    unplugged = set(Unplugged.objects.values_list("pk", flat=True))
    return render(
        request,
        "coffee/counter.html",
        {
            "orders": [timeline.subject for timeline in waiting[:SHOWN]],
            "more": max(0, waiting.count() - SHOWN),
            "machines": [(machine, machine in unplugged) for machine in Machine],
        },
    )


@require_POST
@staff_member_required
def hand_over(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Call the customer's name. Of two clicks, or two baristas, one does it, and both are told that it is done."""
    try:
        order = Order.get(pk)
    except Refused:
        raise Http404 from None
    try:
        order.hand_over.using(actor=request.user)()
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"Handed over to {order.customer}.")
    return redirect("counter")


@require_POST
@staff_member_required
def plug(request: HttpRequest, machine: str) -> HttpResponse:
    """Pull a machine's plug, or plug it in again, as the button said."""
    if machine not in Machine:
        raise Http404
    if request.POST.get("is") == "in":
        Unplugged.objects.filter(pk=machine).delete()
    else:
        Unplugged.objects.get_or_create(pk=machine)
    return redirect("counter")
