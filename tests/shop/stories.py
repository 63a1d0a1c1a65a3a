"""Where many tests begin: how far a workflow of the shop has come by itself."""

from __future__ import annotations

from django_timelines.testing import drain

from .workflows import Order, Supper


def ready_to_pay() -> Order:
    """Return Ada's order, which waits for her to pay; or stands where the test's plan has let it come."""
    order = Order.start(customer="Ada")
    drain()
    return Order.get(order.pk)


def eaten(*dishes: str) -> Supper:
    """Return a supper of these dishes, gone as far as it goes by itself."""
    supper = Supper.start(guest="Ada", dishes=list(dishes))
    drain()
    return Supper.get(supper.pk)
