"""Views of the tests' own site."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from django_timelines.actors import SYSTEM

from .workflows import Order


def order(request: HttpRequest) -> HttpResponse:
    """Order for a customer; ``?fail`` raises after it."""
    made = Order.start(customer=request.GET["customer"])
    if "fail" in request.GET:
        raise RuntimeError("after the order")
    return HttpResponse(str(made.pk))


@transaction.non_atomic_requests(using="timelines")  # one settings module has ATOMIC_REQUESTS, which Django
@transaction.non_atomic_requests(using="default")  # refuses for async views
async def order_async(request: HttpRequest) -> HttpResponse:
    """Order from an async view; ``?by-system`` names the actor."""
    options = {"actor": SYSTEM} if "by-system" in request.GET else {}
    made = await Order.using(**options).astart(customer=request.GET["customer"])
    return HttpResponse(str(made.pk))
