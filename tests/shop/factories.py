"""Timelines of the shop, brought as far as a test needs them."""

import factory

from django_timelines.testing.factories import WorkflowFactory

from .workflows import Order, Visit


class OrderFactory(WorkflowFactory[Order]):
    """``OrderFactory(upto="pay")``: packed and announced, by bodies that ran."""

    class Meta:
        model = Order

    customer = "Ada"
    amount = 1
    pay = factory.Dict({"amount": 5})


class VisitFactory(WorkflowFactory[Visit]):
    """``VisitFactory(upto="arrive")``: a guest is expected."""

    class Meta:
        model = Visit

    guest = "Grace"
