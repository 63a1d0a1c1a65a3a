"""Views of the tests' own site."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from .workflows import Order


def order(request: HttpRequest) -> HttpResponse:
    """Order for a customer; ``?fail`` raises after it."""
    made = Order.start(customer=request.GET["customer"])
    if "fail" in request.GET:
        raise RuntimeError("after the order")
    return HttpResponse(str(made.pk))
