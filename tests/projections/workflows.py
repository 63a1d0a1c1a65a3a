"""What the tests' projections follow."""

from __future__ import annotations

from typing import Any

from django_timelines.workflows import Event, Workflow, step


class Received(Event):
    """Somebody paid. Version 1 had cents, and no customer."""

    version = 2
    customer: str
    amount: int

    @classmethod
    def upcast(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        return {"customer": data.get("customer", "somebody"), "amount": data["cents"] // 100}


class Sale(Workflow):
    """Somebody pays, and pays again."""

    customer: str

    @step
    def begin(self, customer: str):
        self.customer = customer

    @step(after=begin)
    def pay(self, amount: int):
        self.record(Received(customer=self.customer, amount=amount))

    @step(after=pay)
    def pay_again(self, amount: int):
        self.record(Received(customer=self.customer, amount=amount))


class Visit(Workflow):
    """Nobody follows its payment but who follows all workflows."""

    customer: str

    @step
    def come(self, customer: str):
        self.customer = customer
        self.record(Received(customer=customer, amount=1000))


class Gift(Workflow):
    """It has a step of the same name as a sale's."""

    customer: str

    @step
    def begin(self, customer: str):
        self.customer = customer

    @step(after=begin, manual=True)
    def pay(self): ...


class Letter(Workflow):
    """A timeline that a reaction begins."""

    to: str

    @step
    def write(self, to: str):
        self.to = to

    @step(after=write)
    def post(self): ...
